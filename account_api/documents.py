"""Write the documents that are made from the code: ``python -m account_api.documents DIR``.

``spec/openapi.yaml`` and ``spec/ERRORS.md`` are what this writes; a test holds them together.
"""

from __future__ import annotations

import sys
from pathlib import Path

from account_api.errors import catalogue_markdown
from account_api.http.openapi import document, yaml_text
from account_api.routes import ROUTES


def documents() -> dict[str, str]:
    """Return the text of each document by its file name."""
    head = "# Made by `python -m account_api.documents spec` from the types that validate.\n"
    return {
        "openapi.yaml": head + yaml_text(document(ROUTES)),
        "ERRORS.md": catalogue_markdown(),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("spec")
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
