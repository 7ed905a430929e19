"""The supervisor, with small processes of its own: start, death, backoff, end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tandem.processes import Process
from tandem.supervisor import StartError, Supervisor
from tests import pace

STEADY = """
    import json, os, signal, subprocess, sys
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    print(json.dumps({"event": "ready", "pid": os.getpid()}), flush=True)
    signal.sigwait([signal.SIGTERM])
    open(os.environ["ENDED"], "a").write(sys.argv[0].rsplit("/", 1)[-1] + "\\n")
"""


class Venue:
    """A supervisor over processes made of the given sources, run in a thread."""

    def __init__(self, folder: Path, stages: list[tuple[str, str, int]]) -> None:
        self.said: list[tuple[str, str]] = []
        self.ended = folder / "ended"
        processes = []
        for name, source, stage in stages:
            (folder / f"{name}_module.py").write_text(textwrap.dedent(source))
            processes.append(Process(name, f"{name}_module", stage))
        env = {**os.environ, "ENDED": str(self.ended)}
        env["PYTHONPATH"] = os.pathsep.join([str(folder), str(Path.cwd())])
        self.log = folder / "log"
        self.supervisor = Supervisor(
            processes, env, self.log, lambda name, text: self.said.append((name, text))
        )
        self.thread = threading.Thread(target=self.supervisor.watch)

    def up(self) -> None:
        assert self.supervisor.start()
        self.thread.start()

    def down(self) -> None:
        self.supervisor.request_stop()
        if self.thread.ident:
            self.thread.join(pace.seconds(20))
        self.supervisor.stop()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Callable[..., Venue]]:
    made: list[Venue] = []

    def make(*stages: tuple[str, str, int]) -> Venue:
        made.append(Venue(tmp_path, list(stages)))
        return made[-1]

    yield make
    for one in made:
        one.down()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def eventually(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + pace.seconds(seconds)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stages_start_in_order_and_end_in_reverse(venue: Callable[..., Venue]) -> None:
    one = venue(("first", STEADY, 0), ("second", STEADY, 1))
    one.up()
    fields = one.supervisor.ready_fields
    assert fields["first"]["pid"] == one.supervisor.pids["first"]
    pids = list(one.supervisor.pids.values())
    one.down()
    assert not any(alive(pid) for pid in pids)
    assert one.ended.read_text().split() == ["second_module.py", "first_module.py"]


def test_a_killed_process_comes_back_alone(venue: Callable[..., Venue]) -> None:
    one = venue(("first", STEADY, 0), ("second", STEADY, 1))
    one.up()
    before = one.supervisor.pids
    os.kill(before["second"], signal.SIGKILL)
    eventually(lambda: ("second", "is back") in one.said)
    after = one.supervisor.pids
    assert after["first"] == before["first"]
    assert after["second"] != before["second"]
    assert ("second", "ended with signal 9; starting it again in 0.2 s") in one.said


def test_what_a_dead_process_forked_is_ended_with_it(venue: Callable[..., Venue]) -> None:
    forking = STEADY.replace(
        '"pid": os.getpid()',
        '"forked": subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]).pid',
    )
    one = venue(("first", forking, 0))
    one.up()
    forked = one.supervisor.ready_fields["first"]["forked"]
    assert alive(forked)
    os.kill(one.supervisor.pids["first"], signal.SIGKILL)
    eventually(lambda: not alive(forked))


def test_a_process_that_cannot_start_is_told_with_its_last_lines(
    venue: Callable[..., Venue],
) -> None:
    one = venue(("first", "raise SystemExit('the port is taken')", 0))
    with pytest.raises(StartError, match=r"first does not start(.|\n)*the port is taken"):
        one.supervisor.start()
    assert (one.log / "first.log").read_text().count("the port is taken") == 3


def test_what_ignores_the_request_to_end_is_killed(
    venue: Callable[..., Venue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.supervisor.STOP_TIMEOUT_S", 0.3)
    deaf = """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('{"event": "ready"}', flush=True)
        while True: signal.pause()
    """
    one = venue(("first", deaf, 0))
    one.up()
    pid = one.supervisor.pids["first"]
    one.down()
    assert not alive(pid)


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """The kernel ends them: nothing is left that holds a port or the journal."""
    (tmp_path / "steady_module.py").write_text(textwrap.dedent(STEADY))
    script = f"""
        import os, sys
        from pathlib import Path
        from tandem.processes import Process
        from tandem.supervisor import Supervisor
        one = Supervisor([Process("steady", "steady_module", 0)], os.environ,
                         Path({str(tmp_path / "log")!r}), print)
        one.start()
        print(one.pids["steady"], flush=True)
        one.watch()
    """
    env = {**os.environ, "ENDED": str(tmp_path / "ended")}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(Path.cwd())])
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], env=env, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    eventually(lambda: not alive(pid))
    assert (tmp_path / "ended").read_text() == "steady_module.py\n"
