"""What is tried again, and how it is told: the hooks of ``tests/conftest.py`` and the last lines
of a run, ``tests/support/summary.py``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import pace, summary

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

def test_long():
    assert tries["alone"] == 0, "a long text\\n" * 400

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
    for name in ("conftest.py", "support/pace.py", "support/summary.py", "../setup.cfg"):
        shutil.copy(root / "tests" / name, tmp_path / "tests" / name)
    (tmp_path / "tests" / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "1", "--reruns", "1"],
        cwd=tmp_path, capture_output=True, text=True, timeout=pace.seconds(60),
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name}
        | {"CI": "true"},
    )  # fmt: skip
    said = done.stdout
    assert "2 failed, 2 passed, 1 skipped, 2 rerun" in said, said + done.stderr
    again = said.partition("tried again: a fault to be found")[2]
    assert "test_suite.py::test_alone, call:" in again and "the first try" in again
    assert not re.search(r"RERUN .*test_shared", said)
    title, *names, _ = said.splitlines()[-6:]
    assert "what went wrong" in title, said
    assert [" ".join(name.split()[:2]) for name in names] == [
        "RERUN tests/test_suite.py::test_alone", "RERUN tests/test_suite.py::test_long",
        "FAILED tests/test_suite.py::test_shared", "FAILED tests/test_suite.py::test_long",
    ]  # fmt: skip
    assert re.search(r" - test_suite\.py:\d+: AssertionError: the first try", names[0])
    assert max(len(name) for name in names) <= summary.CHARACTERS_MAX
    assert "the results of all" in said
    assert re.search(r"SKIPPED .*for this reason", said)
    assert re.search(r"pace: things take \d+\.\d times as long", said)


def report(number: int, outcome: str, text: str = "why") -> pytest.TestReport:
    return pytest.TestReport(
        f"tests/a/test_b.py::test_c[{number}]@serial", ("", 0, ""), {}, outcome, text, "setup"
    )  # type: ignore[arg-type]


def test_the_last_lines_name_each_test_once_without_its_group() -> None:
    twice = [report(1, "rerun", "first"), report(1, "rerun", "second")]
    assert summary.last_lines({"rerun": twice, "failed": [report(1, "failed", "a\nlast")]}) == [
        "RERUN tests/a/test_b.py::test_c[1] (setup) - first",
        "FAILED tests/a/test_b.py::test_c[1] (setup) - last",
    ]
    assert summary.last_lines({"passed": [report(1, "passed")]}) == []


def test_many_failures_leave_the_last_lines_few() -> None:
    stats = {
        "failed": [report(number, "failed") for number in range(500)],
        "rerun": [report(number, "rerun") for number in range(14)],
    }
    lines = summary.last_lines(stats)
    assert len(lines) == summary.LINES_MAX
    assert sum(line.startswith("RERUN") for line in lines) == 14
    assert lines[-1] == "… and 483 more like this, further up"
