"""Where the files are that come with the venue and are no modules.

In a checkout they are where people look for them: ``spec/``, ``clients/``, ``build/docs``. A wheel
has copies inside this package (``setup.py`` puts them there), since a site-packages folder has no
place of ours besides packages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

INSIDE: Final = Path(__file__).resolve().parent / "files"
CHECKOUT: Final = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Return the file or folder of that name, like ``spec/FIX44.xml``; it need not exist."""
    inside = INSIDE / name
    return inside if inside.exists() else CHECKOUT / name
