"""A machine that is gone says nothing: each side sees it within the time that is written down."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from engine.cluster.dial import LinkLimits
from tests.cluster import silence
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent
LATE_S = 0.5
"""Ample for what a thread needs to be woken and to say so."""
Seen: TypeAlias = "dict[str, dict[str, float]]"


def namespace() -> list[str]:
    """How to run in a network namespace with a firewall of its own; empty where it is forbidden."""
    for options in (["-n"], ["-rn"]):
        command = ["unshare", *options]
        try:
            tried = subprocess.run(
                [*command, "iptables", "-A", "INPUT", "-p", "tcp", "-j", "DROP"],
                capture_output=True, timeout=pace.seconds(10),
            )  # fmt: skip
        except FileNotFoundError:
            return []
        if tried.returncode == 0 and shutil.which("ip"):
            return command
    return []


def run(command: list[str], folder: Path, names: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, sys.executable, "-m", "tests.cluster.silence", str(folder), *names],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """What both sides of each loss saw; all are waited for at the same time."""
    processes = [run([], tmp_path_factory.mktemp("processes"), silence.PROCESSES)]
    apart = namespace()
    if apart:
        processes.append(run(apart, tmp_path_factory.mktemp("cuts"), silence.CUTS))
    found: Seen = {}
    try:
        for process in processes:
            said, _ = process.communicate(timeout=pace.seconds(60))
            assert process.returncode == 0
            found |= json.loads(said.splitlines()[-1])
    finally:
        for process in processes:
            process.kill()
            process.wait()
    yield found


@pytest.mark.parametrize("name", ["stopped", *silence.CUTS])
def test_a_leader_that_says_nothing_is_lost_within_three_seconds_and_found_again(
    seen: Seen, name: str
) -> None:
    if name not in seen:
        pytest.skip("there are no network namespaces here (unshare -n, iptables)")
    limits = LinkLimits()
    case = seen[name]
    assert limits.silence_s - limits.ping_s - LATE_S < case["lost"]
    assert case["lost"] < limits.silence_s + pace.seconds(LATE_S)
    assert str(case["reason"]).endswith("for 3 s")
    # A SYN that was dropped is repeated after a second, or by the next attempt.
    assert case["back"] < limits.connect_s + pace.seconds(2 * LATE_S)


@pytest.mark.parametrize("name", silence.CUTS)
def test_a_leader_sees_that_a_member_is_gone_in_whichever_direction_the_network_is_cut(
    seen: Seen, name: str
) -> None:
    if name not in seen:
        pytest.skip("there are no network namespaces here (unshare -n, iptables)")
    # Its polls are a fifth of a second apart; the link pings once a second.
    assert silence.SILENCE_S - 1 - LATE_S < seen[name]["gone"]
    assert seen[name]["gone"] < silence.SILENCE_S + pace.seconds(2 * LATE_S)


def test_a_leader_that_is_killed_is_lost_at_once(seen: Seen) -> None:
    assert seen["killed"]["lost"] < pace.seconds(LATE_S)
    reason = str(seen["killed"]["reason"])
    assert reason.endswith(("has closed the connection", "Connection reset by peer"))
