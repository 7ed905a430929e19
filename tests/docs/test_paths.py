"""Every file that the documents name exists: a page cannot outlive the file that it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, pages

OURS = (
    "account_api", "benchmarks", "bots", "certification", "clients", "config", "docs", "engine",
    "fix_gateway", "spec", "tandem", "tests", "tools",
)  # fmt: skip
_NAMED = re.compile(rf"(?<![\w/.<-])(?:\.\./)*((?:{'|'.join(OURS)})/[\w./{{}},*-]*[\w/}}*])")
_BRACES = re.compile(r"\{([^{}]*)\}")
MADE = ("docs/api", "tandem/venue", "certification/ACME/", "fix_gateway/_bridge")
"""An address of a running venue, what only a built package has, and what a run or make writes."""


def documents() -> list[Path]:
    """The pages that describe the project as it is; CHANGELOG.md tells of what was."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found += [path for folder in ("docs", "spec") for path in pages(ROOT / folder, "*.md")]
    found += [path for room in OURS for path in pages(ROOT / room, "README.md")]
    return sorted({path for path in found if path.is_file()})


def expand(name: str) -> Iterator[str]:
    """Yield ``a/b.py`` and ``a/c.py`` for ``a/{b,c}.py``."""
    choices = [part.split(",") for part in _BRACES.findall(name)]
    frame = _BRACES.sub("\0", name).split("\0")
    for chosen in product(*choices):
        yield "".join(a + b for a, b in zip(frame, (*chosen, ""), strict=True))


def paths(text: str) -> set[str]:
    """Return the paths of this repository that a page names, in code, prose and links."""
    found: set[str] = set()
    for match in _NAMED.findall(text):
        found.update(expand(match))
    return {path for path in found if not path.startswith(MADE)}


def exists(path: str) -> bool:
    """Return True for a file, a folder or a pattern that matches at least one of them."""
    return any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists()


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    missing = sorted(path for path in paths(page.read_text(encoding="utf-8")) if not exists(path))
    assert not missing, f"{page.relative_to(ROOT)} names files that do not exist: {missing}"


def test_a_path_is_recognised() -> None:
    text = (
        "`engine/core/{book,ledger}.py`, [x](../config/demo.toml), tests/fix/*.py, http://a/spec/b"
    )
    assert paths(text) == {
        "engine/core/book.py", "engine/core/ledger.py", "config/demo.toml", "tests/fix/*.py",
    }  # fmt: skip
    assert not exists("engine/core/nothing.py") and not exists("tests/fix/nothing*.py")
