"""The inner socket: its folder, and that QuickFIX knows all of its sessions when we take it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fix_gateway.session.handover import own_folder
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent.parent


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


def test_quickfix_knows_every_session_before_its_socket_is_taken(tmp_path: Path) -> None:
    child = [sys.executable, "-m", "tests.unit.fix.many_in_quickfix", str(tmp_path / "inner")]
    run = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True,
                         timeout=pace.seconds(60))  # fmt: skip
    assert "\x0135=A\x01" in run.stdout
