"""Builds the documentation: ``python docs/build.py FOLDER``, without any network.

The pages live in docs/ and spec/ as they read on GitHub. The site has them in one tree, so
they are staged first: docs/ at the top, spec/ below it, and every relative link is turned
accordingly. A link to a file that is no page becomes a link to the file where a venue serves it
(``/docs/files/…``: clients' settings, the dictionary), and its name otherwise (code).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from config.shipped import downloads

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs.keywords import KEYWORDS  # noqa: E402

_LINK: Final = re.compile(r"(?<!!)\[([^\]\n]+)\]\((?!https?://|mailto:|#|/)([^)\s#]+)(#[^)\s]*)?\)")
_FENCE: Final = re.compile(r"^(```[a-z]*) output$", re.MULTILINE)
SECTIONS: Final = (
    ("Start", ("first-trade", "test-net", "clients", "certification", "faq", "glossary")),
    ("Guides", ("trading-firm", "market-data", "treasury", "webhooks", "operator", "deployment",
                "cluster", "tls", "runbooks", "upgrade")),
    ("How it works", ("money", "spec/ARCHITECTURE", "spec/MATCHING", "security", "proofs",
                      "benchmarks", "benchmarks-figures", "comparison", "decisions")),
    ("Reference", ("spec/FIX", "fix-card", "reference/rest", "spec/REST", "reference/websocket",
                   "spec/ERRORS", "reference/authority", "reference/certification", "spec/IPC",
                   "spec/JOURNAL", "spec/CLUSTER", "changelog")),
)  # fmt: skip
"""The order of the pages in the menu. One that is not there yet is left out, and one that is
not named here comes last."""
DECISIONS: Final = "spec/decisions/"
"""Pages that are listed on one of their own and that the search does not know: they say why things
are as they are, which is seldom what somebody looks for, and mention everything."""
ASSETS: Final = ("conf.py", "static", "templates")


def pages() -> dict[str, Path]:
    """Every page by its name in the site, which is its path there without the suffix."""
    found = {}
    for path in sorted((ROOT / "docs").rglob("*.md")):
        found[path.relative_to(ROOT / "docs").with_suffix("").as_posix()] = path
    for path in sorted((ROOT / "spec").rglob("*.md")):
        found[path.relative_to(ROOT).with_suffix("").as_posix()] = path
    found["changelog"] = ROOT / "CHANGELOG.md"
    return found


def staged_text(name: str, path: Path, names: dict[Path, str]) -> str:
    """A page as it stands in the site; ``names`` are those of all pages by their files."""

    files = {path.resolve(): served for served, path in downloads().items()}

    def turned(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        file = (path.parent / target).resolve()
        if not file.exists():
            raise SystemExit(f"{path.relative_to(ROOT)}: the link {target} leads nowhere")
        known = names.get(file)
        if known is None and file in files:
            # Not a link of Sphinx, which knows only pages; it is served beside the site.
            target = os.path.relpath(f"files/{files[file]}", Path(name).parent)
            return f'<a href="{target}">{text.strip("`")}</a>'
        if known is None:
            return text if text.startswith("`") else f"`{text}`"
        relative = os.path.relpath(known, Path(name).parent)
        return f"[{text}]({relative}.md{anchor})"

    text = _LINK.sub(turned, path.read_text(encoding="utf-8"))
    return _searchable(name, _FENCE.sub(r"\1", text))


def _searchable(name: str, text: str) -> str:
    """The page with what the search needs: its keywords, or that it is not to be found."""
    if name.startswith(DECISIONS):
        return f"---\nnosearch: true\norphan: true\n---\n{text}"
    entries = "".join(
        f"```{{index}} ! single: {phrase}\n```\n\n" for phrase in KEYWORDS.get(name, ())
    )
    title, rest = text.split("\n", 1)
    return f"{title}\n\n{entries}{rest}"


def decisions(found: dict[str, Path]) -> str:
    """The page that lists the decisions. They are in no menu, which every page would repeat."""
    listed = sorted(name for name in found if name.startswith(DECISIONS))
    titles = {name: found[name].read_text(encoding="utf-8").split("\n", 1)[0] for name in listed}
    rows = "".join(f"- [{titles[name].lstrip('# ')}]({name}.md)\n" for name in listed)
    return (
        "---\nnosearch: true\n---\n# Decisions\n\nWhy the venue is built as it is, one page for "
        f"each decision that a newcomer would ask about.\n\n{rows}"
    )


def menu(names: set[str]) -> str:
    """The table of contents, for the end of the first page."""
    parts, seen = [], {"index"}
    listed = [*SECTIONS]
    for title, entries in listed:
        there = [entry for entry in entries if entry in names]
        seen.update(there)
        parts.append(_tree(title, there))
    rest = sorted(name for name in names - seen if not name.startswith(DECISIONS))
    if rest:
        parts.append(_tree("More", rest))
    return "\n".join(parts)


def _tree(title: str, entries: list[str]) -> str:
    listed = "\n".join(entries)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n:maxdepth: 1\n\n{listed}\n```\n"


def stage(folder: Path) -> None:
    """Write every page to a folder as the site has it."""
    found = pages()
    names = {path.resolve(): name for name, path in found.items()}
    for name, path in found.items():
        text = staged_text(name, path, names)
        if name == "index":
            text += menu({*found, "decisions"})
        target = folder / f"{name}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    (folder / "decisions.md").write_text(decisions(found), encoding="utf-8")
    for name in ASSETS:
        path = ROOT / "docs" / name
        if path.is_dir():
            shutil.copytree(path, folder / name)
        else:
            shutil.copy(path, folder / name)
    for pattern in ("*.png", "*.svg"):
        for path in (ROOT / "docs").rglob(pattern):
            target = folder / path.relative_to(ROOT / "docs")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def _no_inline_scripts(site: Path) -> None:
    """Move scripts that stand in a page to files of their own: the server allows no others."""
    for path in site.rglob("*.html"):

        def moved(match: re.Match[str], folder: Path = path.parent) -> str:
            name = f"inline-{hashlib.sha256(match[1].encode()).hexdigest()[:12]}.js"
            script = site / "_static" / name
            script.write_text(match[1], encoding="utf-8")
            return f'<script src="{os.path.relpath(script, folder)}"></script>'

        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(?s)<script>(.*?)</script>", moved, text), encoding="utf-8")


def _keywords_lead_to_pages(site: Path) -> None:
    """Let the entries of the search lead to the top of a page: their own places hold no text,
    of which the search would show a piece."""
    index = site / "searchindex.js"
    text = index.read_text(encoding="utf-8")
    index.write_text(re.sub(r'(?<=\d,)"index-\d+"(?=,(?:true|false)\])', '""', text), "utf-8")


def build(target: Path) -> int:
    """Build the site; any warning is a failure. Returns Sphinx's exit code."""
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as temporary:
        source, doctrees = Path(temporary) / "source", Path(temporary) / "doctrees"
        source.mkdir()
        stage(source)
        site = Path(temporary) / "site"
        code = build_main(
            ["-b", "html", "-q", "-W", "--keep-going", "-d", str(doctrees), str(source), str(site)]
        )
        if code:
            return int(code)
        _no_inline_scripts(site)
        _keywords_lead_to_pages(site)
        (site / ".buildinfo").unlink(missing_ok=True)
        (site / "objects.inv").unlink(missing_ok=True)
        # A venue that runs serves what is there: the old site, and then the new one.
        new, old = (target.with_name(f"{target.name}.{word}") for word in ("new", "old"))
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(site, new)
        if target.exists():
            target.rename(old)
        new.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "docs")))
