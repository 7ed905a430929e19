"""Pages that say which test shows what: each of those tests exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

_TEST = re.compile(r"`(tests/[\w/]+\.\w+)(?:::(\w+))?`")
PAGES = ("security", "proofs")


def claims(page: str) -> list[tuple[str, str]]:
    """(file, test) of every claim; no test where the file as a whole is meant."""
    return _TEST.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    found = claims(page)
    assert len(found) > 20
    texts: dict[str, str] = {}
    for path, name in found:
        assert Path(ROOT, path).is_file(), f"{page}.md names {path}"
        text = texts.setdefault(path, Path(ROOT, path).read_text(encoding="utf-8"))
        assert not name or f"def {name}(" in text, f"{page}.md names {path}::{name}"


def test_a_claim_is_recognised() -> None:
    assert _TEST.findall("`tests/a/test_b.py::test_c`, `tests/d.toml` and `make`") == [
        ("tests/a/test_b.py", "test_c"), ("tests/d.toml", ""),
    ]  # fmt: skip
