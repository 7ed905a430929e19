"""The journal over a disk that fails, tears, fills up, or loses what was not flushed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.prove.disk.faults import some_faults, try_faults
from tests.prove.disk.fullstart import PROCESSES, try_full_processes, try_full_starts
from tests.prove.disk.powerloss import explore
from tests.prove.disk.shim import NoCompiler, environment, library

SEED = int(os.environ.get("TANDEM_SEED", "1"))


@pytest.fixture(scope="module", autouse=True)
def layer() -> Path:
    """The layer below the files; without a C compiler there is none."""
    try:
        return library()
    except NoCompiler as error:
        pytest.skip(str(error))


def test_whatever_a_loss_of_power_leaves_holds_all_that_was_acknowledged() -> None:
    explored = explore(SEED, 30, 2, 16)
    assert explored.findings == []
    assert explored.images > 100 and explored.lost_unacknowledged > 10
    assert explored.retired > 100


def test_a_journal_that_flushes_too_little_is_found() -> None:
    assert explore(SEED, 20, 1, 20, "careless").findings


def test_each_failed_or_torn_call_stops_the_journal_or_is_survived() -> None:
    tried = try_faults(SEED, 20, some_faults(SEED, 20, 20))
    assert tried.findings == []
    assert tried.faults == 20 and len(tried.ends) >= 3


def test_a_disk_that_is_full_at_the_start_is_named_and_nothing_is_lost() -> None:
    tried = try_full_starts(SEED, every=3)
    assert tried.findings == []
    assert tried.ends["stopped"] > 3


@pytest.mark.serial
@pytest.mark.timeout(180)
def test_a_process_that_starts_on_a_full_disk_goes_on_or_names_the_disk() -> None:
    """One of them; the long form starts each on many a write."""
    one = sorted(PROCESSES)[SEED % len(PROCESSES)]
    assert try_full_processes((one,), (1,)).findings == []


WRITE_TWICE = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
libc.fwrite.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
libc.ferror.argtypes = [ctypes.c_void_p]
stream = libc.fopen(sys.argv[1].encode(), b"w")
for _ in range(2):
    print(libc.fwrite(b"abc", 1, 3, stream), bool(libc.ferror(stream)))
"""


def test_a_failed_fwrite_leaves_the_streams_error_as_the_c_library_does(tmp_path: Path) -> None:
    """QuickFIX looks at nothing else: a report would be lost that no real disk loses."""
    path = tmp_path / "watched"
    ran = subprocess.run(
        [sys.executable, "-c", WRITE_TWICE, str(path)], text=True, check=True, capture_output=True,
        env=os.environ | environment(str(path), fault="write:2:brief"),
    )  # fmt: skip
    assert ran.stdout == "3 False\n0 True\n"
