"""``make plain`` takes away what ``make compiled`` brought, and nothing of anybody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import compiled


def test_only_our_own_shared_part_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, site = tmp_path / "core", tmp_path / "site"
    core.mkdir()
    site.mkdir()
    monkeypatch.setattr(compiled, "CORE", core)
    monkeypatch.setattr(compiled, "site_packages", lambda: site)
    ours, theirs = "0123456789abcdef0123__mypyc", "fedcba9876543210fedc__mypyc"
    (core / f"book{compiled.SUFFIX}").write_bytes(b"\x7fELF\0" + ours.encode() + b".init\0")
    (core / "book.py").write_text("")
    for name in (ours, theirs):
        (site / f"{name}{compiled.SUFFIX}").write_bytes(b"")
    assert compiled.remove() == 0
    assert [path.name for path in core.iterdir()] == ["book.py"]
    assert [path.name for path in site.iterdir()] == [f"{theirs}{compiled.SUFFIX}"]
