"""The trial of the bounds of setup.cfg: it says what broke, and is bounded itself."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.support import pace
from tools import bounds

VERSIONS = "msgspec==0.18.6\nflask==3.1.1\n"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, str]]:
    """What each command says, by a word of it; a command without one says nothing."""
    answers: dict[str, tuple[int, str]] = {}

    def attempt(command: list[str], ends: float, **more: object) -> tuple[int, str]:
        if "compile" in command:
            Path(command[command.index("--output-file") + 1]).write_text(VERSIONS)
        return next((said for word, said in answers.items() if word in command), (0, ""))

    monkeypatch.setattr(bounds, "attempt", attempt)
    return answers


def test_what_passes_is_one_line(
    said: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    said["pytest"] = (0, "....\n12 passed in 3.21s\n")
    assert bounds.main(["oldest"]) == 0
    assert capsys.readouterr().out == (
        "The oldest versions that setup.cfg allows: 12 passed in 3.21s.\n"
    )


def test_what_breaks_is_named_with_the_versions_and_decides_nothing(
    said: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    said["pytest"] = (1, "FAILED tests/a.py::b - assert 1\n1 failed, 12 passed in 3.21s\n")
    assert bounds.main(["newest"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("allows: 1 failed, 12 passed in 3.21s.")
    assert lines[1] == "FAILED tests/a.py::b - assert 1"
    assert "msgspec: " in lines[2] and "-> 0.18.6" in lines[2] and len(lines) == 3


def test_what_cannot_be_found_out_is_said(
    said: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    said["pip"] = (1, "looking\nno such version\n")
    assert bounds.main(["oldest"]) == 0
    assert "not known, python failed: looking / no such version." in capsys.readouterr().out


def test_a_command_that_takes_too_long_ends_with_all_it_started() -> None:
    began = time.monotonic()
    with pytest.raises(bounds.GaveUpError, match="no time was left"):
        child = f"{sys.executable} -c 'import time; time.sleep(600)'"
        bounds.attempt(["sh", "-c", f"{child} & sleep 600"], began)
    assert time.monotonic() - began < pace.seconds(20)
