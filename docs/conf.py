"""Sphinx settings of the site that `make docs` builds from docs/ and spec/."""

from __future__ import annotations

project = "Tandem"
copyright = "the Tandem authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]

myst_heading_anchors = 4
# A fence names its language first and what the tests do with it second ("text output").
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "Tandem"
html_show_sourcelink = False
html_copy_source = False
html_use_index = False
html_theme_options = {"navigation_with_keys": True}
html_favicon = "static/icon.svg"
html_static_path = ["static"]
html_css_files = ["tandem.css"]
html_js_files = [("tandem.js", {"defer": "defer"})]
templates_path = ["templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html", "venue.html", "sidebar/search.html", "sidebar/scroll-start.html",
        "sidebar/navigation.html", "sidebar/scroll-end.html",
    ]
}  # fmt: skip
