"""The supervisor, with small processes of its own: start, death, backoff, end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tandem import supervisor as module
from tandem.processes import Process
from tandem.supervisor import StartError, Supervisor
from tests.support import pace
from tests.support.waiting import until

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


def test_a_process_is_given_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "named_module.py").write_text(
        "import json, sys\nprint(json.dumps({'event': 'ready', 'given': sys.argv[1:]}))\n"
        "sys.stdin.read()\nimport signal\nsignal.pause()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    one = Supervisor(
        [Process("named", "named_module", 0, ("fix2", "-x"))], env, tmp_path / "log",
        lambda name, text: None,
    )  # fmt: skip
    try:
        assert one.start()
        assert one.ready_fields["named"]["given"] == ["fix2", "-x"]
    finally:
        one.stop()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_stages_start_in_order_and_end_in_reverse(venue: Callable[..., Venue]) -> None:
    one = venue(("first", STEADY, 0), ("second", STEADY, 1))
    one.up()
    fields = one.supervisor.ready_fields
    assert fields["first"]["pid"] == one.supervisor.pids["first"]
    pids = list(one.supervisor.pids.values())
    one.down()
    assert not any(alive(pid) for pid in pids)
    assert one.ended.read_text().split() == ["second_module.py", "first_module.py"]


def test_a_killed_process_comes_back_alone(
    venue: Callable[..., Venue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEADY_S", 0.0)
    one = venue(("first", STEADY, 0), ("second", STEADY, 1))
    one.up()
    before = one.supervisor.pids
    os.kill(before["second"], signal.SIGKILL)
    until(lambda: ("second", "is back") in one.said)
    after = one.supervisor.pids
    assert after["first"] == before["first"]
    assert after["second"] != before["second"]
    assert ("second", "ended with signal 9; starting it again at once") in one.said


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
    until(lambda: not alive(forked))


def test_a_process_that_cannot_start_is_told_with_its_last_lines(
    venue: Callable[..., Venue],
) -> None:
    one = venue(("first", "raise SystemExit('the port is taken')", 0))
    with pytest.raises(StartError, match=r"first does not start(.|\n)*the port is taken"):
        one.supervisor.start()
    assert (one.log / "first.log").read_text().count("the port is taken") == 3


REASON = """
    import json, sys
    print(json.dumps({"event": "not_started", "level": "error", "reason": "port: a word"}))
    sys.exit(int(open("%s").read()))
"""


@pytest.mark.parametrize("code", [2, 3])
def test_what_only_a_person_can_mend_is_told_at_once_in_its_own_words(
    venue: Callable[..., Venue], tmp_path: Path, code: int
) -> None:
    (tmp_path / "code").write_text(str(code))
    one = venue(("first", REASON % (tmp_path / "code"), 0))
    with pytest.raises(StartError) as caught:
        one.supervisor.start()
    assert str(caught.value) == "first does not start: port: a word"
    assert one.said == []
    assert (one.log / "first.log").read_text().count("port: a word") == 1


def test_what_a_disk_or_a_port_keeps_from_starting_is_tried_three_times(
    venue: Callable[..., Venue], tmp_path: Path
) -> None:
    (tmp_path / "code").write_text("4")
    one = venue(("first", REASON % (tmp_path / "code"), 0))
    with pytest.raises(StartError, match="first does not start: port: a word"):
        one.supervisor.start()
    assert (one.log / "first.log").read_text().count("port: a word") == 3
    # The person at the terminal reads the reason once.
    assert [text for _, text in one.said if "a word" in text] == ["port: a word"]


class Deaths:
    """A supervisor of one process that never runs, whose clock and deaths the test makes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.said: list[str] = []
        self.one = Supervisor(
            [Process("first", "none", 0)], os.environ, folder / "log",
            lambda _, text: self.said.append(text), lambda: self.now,
        )  # fmt: skip
        self.slot = self.one._slots["first"]
        self.starts: list[float] = []
        monkeypatch.setattr(self.one, "_spawn", self._spawn)
        self._spawn(self.slot)

    def _spawn(self, slot: object) -> None:
        self.slot.restart_at = None
        self.starts.append(self.now)

    def life(self, code: int, *, ready_s: float | None, start_s: float = 0.0) -> float:
        """One life from its start on; the pause until the next start."""
        if ready_s is not None:
            self.now += start_s
            self.one._on_line(self.slot, {"event": "ready"})
            self.now += ready_s
        self.one._on_exit(self.slot, code)
        died, due = self.now, self.slot.restart_at
        assert due is not None
        self.now = due
        self.one._restart_due()
        return due - died


@pytest.fixture
def deaths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deaths:
    return Deaths(tmp_path, monkeypatch)


def test_with_a_kill_every_three_seconds_the_venue_is_mostly_up(deaths: Deaths) -> None:
    start_s = 1.5
    up = 0.0
    began = deaths.now
    for _ in range(100):
        next_kill = deaths.now - (deaths.now - began) % 3 + 3
        ready_s = next_kill - deaths.now - start_s
        if ready_s <= 0:
            deaths.now = next_kill
            deaths.life(-9, ready_s=None)
        else:
            deaths.life(-9, ready_s=ready_s, start_s=start_s)
            up += ready_s
    assert up / (deaths.now - began) > 0.4
    assert max(b - a for a, b in zip(deaths.starts, deaths.starts[1:], strict=False)) < 6


def test_a_process_that_is_killed_while_it_starts_is_started_again_within_a_second(
    deaths: Deaths,
) -> None:
    pauses = [deaths.life(-9, ready_s=None) for _ in range(20)]
    assert pauses[0] == pytest.approx(module.BACKOFF_FIRST_S)
    assert max(pauses) == pytest.approx(module.KILLED_BACKOFF_MAX_S)


def test_a_process_that_never_starts_does_not_keep_the_machine_busy(deaths: Deaths) -> None:
    pauses = [deaths.life(1, ready_s=None) for _ in range(20)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(module.BACKOFF_MAX_S)


def test_ready_for_a_moment_only_is_a_start_that_led_to_nothing(deaths: Deaths) -> None:
    pauses = [deaths.life(1, ready_s=0.1) for _ in range(20)]
    assert pauses[-1] == pytest.approx(module.BACKOFF_MAX_S)
    assert deaths.life(1, ready_s=module.STEADY_S) == 0


def test_a_process_that_was_steady_is_started_again_at_once_and_then_ever_later(
    deaths: Deaths,
) -> None:
    assert deaths.life(-9, ready_s=module.STEADY_S) == 0
    pauses = [deaths.life(-9, ready_s=None) for _ in range(3)]
    assert pauses == pytest.approx([module.BACKOFF_FIRST_S * 2**n for n in range(3)])


def test_a_wrong_configuration_met_later_is_tried_slowly_and_told_once(deaths: Deaths) -> None:
    deaths.life(-9, ready_s=5.0)
    pauses = [deaths.life(2, ready_s=None) for _ in range(3)]
    assert pauses == pytest.approx([module.HOPELESS_S] * 3)
    assert len([text for text in deaths.said if "a person must mend" in text]) == 1
    deaths.life(-9, ready_s=5.0)
    assert "is back" in deaths.said


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
    until(lambda: not alive(pid))
    assert (tmp_path / "ended").read_text() == "steady_module.py\n"


def test_a_line_that_a_process_has_for_the_console_is_shown(
    venue: Callable[..., Venue],
) -> None:
    told = '{"event": "refused", "level": "warning", "console": "ALICE was not let in: why"}'
    source = textwrap.dedent(STEADY).replace(
        "signal.sigwait", f"print('{told}', flush=True)\nsignal.sigwait"
    )
    one = venue(("first", source, 0))
    one.up()
    until(lambda: ("first", "ALICE was not let in: why") in one.said)
