"""What is tried again, and how it is told: the hooks of ``tests/conftest.py``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import pace

SUITE = '''
import pytest

tries = {"alone": 0, "shared": 0}

@pytest.fixture(scope="module")
def results():
    return {}

def test_alone():
    tries["alone"] += 1
    assert tries["alone"] > 1, "the first try"

def test_shared(results):
    tries["shared"] += 1
    assert tries["shared"] > 1, "the results of all"

def test_skipped():
    pytest.skip("for this reason")

@pytest.mark.timeout(100)
def test_limits(request):
    marker = request.node.get_closest_marker("timeout")
    assert marker.args[0] >= 150, marker
'''


def test_what_was_tried_again_is_named_and_what_shares_a_fixture_is_not_tried_again(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "tests" / "support").mkdir(parents=True)
    for name in ("tests/conftest.py", "tests/support/pace.py", "setup.cfg"):
        shutil.copy(root / name, tmp_path / name)
    (tmp_path / "tests" / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--reruns", "1"],
        cwd=tmp_path, capture_output=True, text=True, timeout=pace.seconds(60),
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name},
    )  # fmt: skip
    said = done.stdout
    assert "1 failed, 2 passed, 1 skipped, 1 rerun" in said, said + done.stderr
    again = said.partition("tried again: a fault to be found")[2]
    assert "test_suite.py::test_alone, call:" in again and "the first try" in again
    assert not re.search(r"RERUN .*test_shared", said)
    assert "the results of all" in said
    assert re.search(r"SKIPPED .*for this reason", said)
    assert re.search(r"pace: things take \d+\.\d times as long", said)
