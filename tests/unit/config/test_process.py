"""What every process does alike."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import structlog.testing

from config import process
from config.process import (
    COLLECT_AFTER,
    EXIT_CONFIGURATION,
    EXIT_UNAVAILABLE,
    no_space,
    start_failure,
)
from config.settings import Settings

# In a process of its own: the collector belongs to the whole of it.
PROGRAM = """
import gc
from config.process import collect_seldom
before = gc.get_threshold()
collect_seldom()
after = gc.get_threshold()
print(gc.isenabled(), gc.get_freeze_count() > 1000, after[0], after[1:] == before[1:])

class Node:
    pass

def cycle(found=[]):
    node = Node()
    node.itself = node
    import weakref
    weakref.finalize(node, found.append, 1)
    return found

for _ in range(2 * after[0]):
    found = cycle()
print(len(found) > 0)
"""


def test_the_collector_looks_seldom_but_looks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True", str(COLLECT_AFTER), "True", "True"]


def test_what_keeps_a_process_from_starting_has_a_code_and_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    code, text = start_failure(full)
    assert code == EXIT_UNAVAILABLE and text.startswith("the disk is full")
    # What wraps it, as SQLAlchemy does, is the same.
    wrapping = RuntimeError("could not")
    wrapping.orig = full  # type: ignore[attr-defined]
    assert no_space(wrapping) and start_failure(wrapping)[0] == EXIT_UNAVAILABLE
    code, text = start_failure(PermissionError(errno.EACCES, "Permission denied", "/x/lock"))
    assert code == EXIT_CONFIGURATION
    assert text.startswith("/x/lock cannot be used by the user") and "Permission denied" in text
    assert start_failure(OSError(errno.EADDRINUSE, "Address in use"))[0] == EXIT_UNAVAILABLE
    vague = sqlite3.OperationalError("disk I/O error")
    assert "full" not in start_failure(vague, tmp_path)[1]
    monkeypatch.setattr("config.process.PAGE_ROOM_BYTES", 1 << 62)
    assert "the disk is full" in start_failure(vague, tmp_path)[1]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """What a process logs; it reads the demo configuration, and its data folder is a new one."""
    mask, told = os.umask(0o022), structlog.get_config()
    monkeypatch.setenv("TANDEM_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("TANDEM_CONFIG", raising=False)
    monkeypatch.setattr("config.process.log_json_lines", lambda: None)
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.configure(**told)
    os.umask(mask)


def test_a_process_runs_in_a_private_data_folder_to_its_exit_code(
    lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    def serve(settings: Settings) -> int:
        (settings.data / "file").touch()
        return 7

    assert process.run(serve, structlog.get_logger()) == 7
    assert [(tmp_path / "data" / name).stat().st_mode & 0o077 for name in ("", "file")] == [0, 0]
    assert lines == []


def test_a_wrong_configuration_is_one_sentence_and_only_a_person_can_help(
    lines: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_CONFIG", str(tmp_path / "none.toml"))
    code = process.run(lambda settings: 0, structlog.get_logger(), not_started="x_not_started")
    (line,) = lines
    assert code == EXIT_CONFIGURATION and "cannot be read" in line["reason"]
    assert (line["event"], line["log_level"]) == ("x_not_started", "critical")


@pytest.mark.parametrize(
    ("error", "code", "event", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space"), EXIT_UNAVAILABLE, "not_started", "the disk is full"),
        (sqlite3.OperationalError("locked"), EXIT_UNAVAILABLE, "not_started", "locked"),
        (KeyError("known"), 9, "ended", "a sentence"),
    ],
)
def test_an_error_is_explained_by_the_process_or_as_everywhere(
    lines: list[dict[str, Any]], error: Exception, code: int, event: str, sentence: str
) -> None:
    def serve(settings: Settings) -> int:
        raise error

    def explain(met: Exception) -> process.Failure | None:
        known = isinstance(met, KeyError)
        return process.Failure(9, "a sentence", "ended", {"seq": 4}) if known else None

    assert process.run(serve, structlog.get_logger(), explain) == code
    (line,) = lines
    assert line["event"] == event and sentence in line["reason"]
    assert line.get("seq") == (4 if code == 9 else None)


def test_an_error_that_nobody_explains_is_raised(lines: list[dict[str, Any]]) -> None:
    def serve(settings: Settings) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        process.run(serve, structlog.get_logger())
    assert lines == []


def test_every_process_starts_by_the_one_way() -> None:
    """None reads the arguments of its start, the mask or the log's form by itself."""
    root = Path(__file__).parent.parent.parent.parent
    mains = sorted(path for path in root.glob("*/**/main.py") if ".venv" not in path.parts)
    mains.append(root / "tandem" / "metrics.py")
    assert len(mains) == 10
    for path in mains:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"return (process\.)?run\(", text), path
        assert "keep_private" not in text and "ensure_data" not in text, path
