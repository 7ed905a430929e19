"""The conversations in spec/golden run against the real exchange, character for character."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fix_desk import play

FOLDER = Path(__file__).parent.parent.parent / "spec" / "golden"
SCRIPTS = sorted(FOLDER.glob("*.txt"))


def test_there_are_conversations() -> None:
    assert len(SCRIPTS) >= 9


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_conversation(path: Path) -> None:
    script = path.read_text(encoding="ascii")
    assert play(script) == script
