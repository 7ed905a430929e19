"""`tandem demo-cluster`: the leader's machine is killed, and nothing is lost.

What it shows is tested by tests/cluster/test_venues.py at each run of the suite, the demonstration
itself by `make prove`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import pace
from tests.support.etcd import needs_etcd

ROOT = Path(__file__).parent.parent.parent
COMMAND = (sys.executable, "-m", "tandem", "demo-cluster")

pytestmark = pytest.mark.xdist_group("cluster")


@needs_etcd
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_machine_is_killed_and_nothing_is_lost() -> None:
    # Short: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        done = subprocess.run(
            COMMAND, capture_output=True, text=True, timeout=pace.seconds(280), cwd=ROOT,
            env={**os.environ, "TMPDIR": folder},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert not list(Path(folder).glob("tandem-cluster-*"))
    killed = re.search(r"kill -9 of everything on machine ([abc])", done.stdout)
    after = re.search(r"acknowledged [0-9.]+ s after the kill\. *\n? *Machine ([abc])", done.stdout)
    assert killed and after and killed[1] != after[1]
    states = re.findall(r"([abc]): state at (seq \d+ is \w+)", done.stdout)
    assert [name for name, _ in states] == ["a", "b", "c"]
    assert len({state for _, state in states}) == 1
    assert "Nothing was lost and nothing doubled" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80, "a table needs a wide terminal"


def test_without_etcd_it_says_what_to_install() -> None:
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, timeout=pace.seconds(60), cwd=ROOT,
        env={**os.environ, "PATH": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "Debian: apt-get install etcd-server" in done.stdout + done.stderr
