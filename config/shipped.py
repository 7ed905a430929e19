"""Where the files are that come with the venue and are no modules.

In a checkout they are where people look for them: ``spec/``, ``clients/``, ``build/docs``. A wheel
has the same folders, beside the same packages (``setup.py``, decision 34).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_TREE: Final = Path(__file__).resolve().parent.parent
DOWNLOADS: Final = (
    "clients", "spec/golden", "spec/FIX44.xml", "spec/openapi.yaml", "spec/asyncapi.yaml",
    "config/grafana", "config/prometheus",
)  # fmt: skip
"""What a client may download from a running venue: files, and folders with what is in them."""
SUFFIXES: Final = frozenset((
    ".cfg", ".cpp", ".cs", ".go", ".java", ".js", ".json", ".md", ".mjs", ".py", ".sh", ".toml",
    ".ts", ".txt", ".xml", ".yaml", ".yml",
))  # fmt: skip
_LEFT_OUT: Final = ("__pycache__", "node_modules", "build", "dist", "sdk")
"""What is made from other files, and the client library, which is installed."""
DOWNLOAD_BYTES_MAX: Final = 1 << 20


def shipped(name: str) -> Path:
    """Return the file or folder of that name, like ``spec/FIX44.xml``; it need not exist."""
    return _TREE / name


def downloads() -> dict[str, Path]:
    """Return what a client may download, by its path in the tree, such as ``clients/README.md``."""
    found = {}
    for name in DOWNLOADS:
        top = shipped(name)
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            parts = path.relative_to(top).parts
            if any(part.startswith(".") or part in _LEFT_OUT for part in parts):
                continue
            if path.suffix in SUFFIXES and path.is_file():
                if path.stat().st_size <= DOWNLOAD_BYTES_MAX:
                    found["/".join((name, *parts))] = path
    return found
