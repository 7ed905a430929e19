"""The folder of the inner socket: one for each process, and none is left behind for good."""

from __future__ import annotations

import os
from pathlib import Path

from fix_gateway.handover import own_folder


def test_a_start_removes_what_killed_gateways_left_and_nothing_of_a_live_one(
    tmp_path: Path,
) -> None:
    parent = tmp_path / "store" / "inner"
    killed, its_lock = own_folder(parent)
    (killed / "inner").touch()
    live, live_lock = own_folder(parent)
    assert killed.exists(), "its lock is still held"
    os.close(its_lock)  # As the kernel does when a process ends, however it ends.
    mine, my_lock = own_folder(parent)
    assert sorted(parent.iterdir()) == sorted([live, mine])
    assert mine.stat().st_mode & 0o777 == 0o700
    os.close(live_lock)
    os.close(my_lock)
