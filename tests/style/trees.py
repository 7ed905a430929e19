"""The syntax tree of a source, made once for all laws that read it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@cache
def tree(path: str) -> ast.Module:
    """The tree of a file; its path is relative to the root of the repository."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))
