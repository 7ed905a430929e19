"""What housekeeping says when the disk is full: one sentence now and then, and no traceback."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from fix_gateway.runtime import housekeeping
from fix_gateway.runtime.housekeeping import TELL_EVERY_S, Housekeeping


def test_a_full_disk_is_a_sentence_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(housekeeping.time, "monotonic", lambda: now[0])
    nothing: Any = SimpleNamespace()
    keeper = Housekeeping(nothing, nothing, nothing, nothing)

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with capture_logs() as said:
        for _ in range(50):
            keeper._guarded(full)
        now[0] += TELL_EVERY_S
        keeper._guarded(full)
    assert [line["event"] for line in said] == ["store_not_written"] * 2
    assert "No space left on device" in said[0]["reason"]
    assert all("exc_info" not in line for line in said)


def test_a_fault_of_ours_is_logged_with_its_trace() -> None:
    nothing: Any = SimpleNamespace()
    keeper = Housekeeping(nothing, nothing, nothing, nothing)
    with capture_logs() as said:
        keeper._guarded(lambda: nothing.missing)
    assert said[0]["event"] == "housekeeping_failed" and said[0]["exc_info"]
