"""Start the processes of a venue, restart those that die, and stop them all.

One thread decides; others only wait (for a line, for an exit) and put what they saw into one
queue. Nothing here waits by sleeping: readiness is a line that the child prints, an exit is
reported by the kernel, and a restart is due at a time.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from config.process import EXIT_CONFIGURATION, EXIT_DAMAGED
from tandem.output import LINE_BYTES_MAX, LogFile, Output
from tandem.processes import Process

BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0
"""Between two starts of a process that exits before it has been ready for a while. One that was
ready is restarted at once: its clients wait."""
KILLED_BACKOFF_MAX_S: Final = 1.0
"""The same for a process that was killed, however often: the venue recovers."""
STEADY_S: Final = 1.0
"""The failures of a process that was ready for this long are no longer counted."""
HOPELESS_S: Final = 10.0
"""Until a process is restarted whose exit code says that it needs a person."""
HOPELESS_CODES: Final = frozenset((EXIT_CONFIGURATION, EXIT_DAMAGED))
TOLD_MAX: Final = 32
"""The maximum number of different lines about one process that is down; its log has them all."""
START_ATTEMPTS_MAX: Final = 3
READY_TIMEOUT_S: Final = 60.0
"""How long a process may be silent before it is ready; recovery logs its progress."""
STOP_TIMEOUT_S: Final = 6.0
LAST_LINES_S: Final = 2.0


_CHILD: Final = str(Path(__file__).with_name("child.py"))


class StartError(RuntimeError):
    """A process does not start; the message holds its last lines."""


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    pid: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Exit:
    name: str
    pid: int
    code: int


class _Stop:
    pass


@dataclass(slots=True)
class _Slot:
    """A process and its state. ``restart_at`` is set while it waits for its restart.

    ``failures`` counts failed starts in a row, ``reason`` is the reason that it last gave for its
    failure, and ``told`` are the messages about it since it has been down.
    """

    process: Process
    output: Output
    child: subprocess.Popen[bytes] | None = None
    ready: dict[str, Any] | None = None
    ready_at: float = 0.0
    heard_at: float = 0.0
    failures: int = 0
    down: bool = False
    hopeless: bool = False
    reason: str = ""
    told: set[str] = field(default_factory=set)
    restart_at: float | None = None


class Supervisor:
    """Runs the given processes with ``env`` until stopped. Logs go to ``log_folder``."""

    def __init__(
        self,
        processes: Sequence[Process],
        env: Mapping[str, str],
        log_folder: Path,
        say: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._env = dict(env)
        self._say = say
        self._clock = clock
        self._events: queue.SimpleQueue[_Line | _Exit | _Stop] = queue.SimpleQueue()
        self._slots = {
            process.name: _Slot(process, Output(LogFile(log_folder / f"{process.name}.log")))
            for process in processes
        }
        self._stopping = False
        self._starting = False

    @property
    def ready_fields(self) -> dict[str, dict[str, Any]]:
        """The fields of each process's ready line."""
        return {name: slot.ready for name, slot in self._slots.items() if slot.ready is not None}

    @property
    def pids(self) -> dict[str, int]:
        """The running children."""
        return {name: slot.child.pid for name, slot in self._slots.items() if slot.child}

    def request_stop(self) -> None:
        """Make ``start`` or ``watch`` return; may be called from a signal handler."""
        self._events.put(_Stop())

    def start(self) -> bool:
        """Start stage after stage, each when the one before is ready.

        Return False if a stop was requested meanwhile. Raises StartError.
        """
        self._starting = True
        for stage in sorted({slot.process.stage for slot in self._slots.values()}):
            slots = [slot for slot in self._slots.values() if slot.process.stage == stage]
            for slot in slots:
                self._spawn(slot)
            while waiting := [slot for slot in slots if slot.ready is None]:
                silent_until = min(slot.heard_at for slot in waiting) + READY_TIMEOUT_S
                self._handle(min(self._next_restart(), silent_until))
                if self._stopping:
                    return False
                self._give_up_if_hopeless(waiting)
        self._starting = False
        return True

    def watch(self) -> None:
        """Restart processes that die until a stop is requested."""
        while not self._stopping:
            self._handle(self._next_restart())

    def stop(self) -> None:
        """Stop every child, the last stage first; kill those that do not exit in time."""
        self._stopping = True
        for stage in sorted({s.process.stage for s in self._slots.values()}, reverse=True):
            slots = [s for s in self._slots.values() if s.process.stage == stage and s.child]
            for slot in slots:
                _signal(slot.child, signal.SIGTERM)
            deadline = self._clock() + STOP_TIMEOUT_S
            while any(slot.child for slot in slots):
                impatient = not self._handle(deadline)
                if impatient or self._clock() >= deadline:
                    for slot in slots:
                        _signal(slot.child, signal.SIGKILL)
                    deadline = self._clock() + STOP_TIMEOUT_S

    def _spawn(self, slot: _Slot) -> None:
        slot.restart_at = None
        slot.ready = None
        # A session of its own: Ctrl-C reaches the supervisor alone, which ends the children
        # in order; and whatever a dead child leaves behind can be ended with its group.
        child = subprocess.Popen(
            # A bare interpreter starts in a third of the time; it only executes another.
            [
                sys.executable, "-I", "-S", _CHILD, str(os.getpid()), slot.process.module,
                *slot.process.arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._env,
            start_new_session=True,
        )
        slot.child = child
        slot.heard_at = self._clock()
        name = slot.process.name
        reader = threading.Thread(
            target=self._read, args=(slot, child), name=f"{name}-read", daemon=True
        )
        reader.start()
        threading.Thread(
            target=self._wait, args=(slot, child, reader), name=f"{name}-wait", daemon=True
        ).start()

    def _read(self, slot: _Slot, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        with child.stdout as stream:
            for line in iter(lambda: stream.readline(LINE_BYTES_MAX), b""):
                fields = slot.output.take(line)
                if fields:
                    self._events.put(_Line(slot.process.name, child.pid, fields))

    def _wait(
        self, slot: _Slot, child: subprocess.Popen[bytes], reader: threading.Thread
    ) -> None:
        code = child.wait()
        # Its own children (gunicorn's workers) must not outlive it and hold the port.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        # Its last lines say why it died. Bounded, in case another process holds its output.
        reader.join(LAST_LINES_S)
        self._events.put(_Exit(slot.process.name, child.pid, code))

    def _next_restart(self) -> float:
        due = [s.restart_at for s in self._slots.values() if s.restart_at is not None]
        return min(due, default=float("inf"))

    def _handle(self, until: float) -> bool:
        """Handle one event, or what is due at ``until``; return False if a stop was requested."""
        wait_s = until - self._clock()
        try:
            event = self._events.get(timeout=None if wait_s == float("inf") else max(wait_s, 0))
        except queue.Empty:
            self._restart_due()
            return True
        if isinstance(event, _Stop):
            self._stopping = True
            return False
        slot = self._slots[event.name]
        if slot.child is None or slot.child.pid != event.pid:
            return True
        if isinstance(event, _Line):
            self._on_line(slot, event.fields)
        else:
            self._on_exit(slot, event.code)
        return True

    def _restart_due(self) -> None:
        now = self._clock()
        for slot in self._slots.values():
            if slot.restart_at is not None and slot.restart_at <= now and not self._stopping:
                self._spawn(slot)

    def _on_line(self, slot: _Slot, fields: dict[str, Any]) -> None:
        slot.heard_at = self._clock()
        if fields.get("event") == "ready" and slot.ready is None:
            slot.ready = fields
            slot.ready_at = self._clock()
            if slot.down:
                self._say(slot.process.name, "is back")
            slot.down, slot.hopeless, slot.reason = False, False, ""
            slot.told.clear()
        elif fields.get("console"):
            # A line that a process has chosen, and bounded, for whoever watches the venue.
            self._say(slot.process.name, str(fields["console"]))
        elif fields.get("level") in ("error", "critical"):
            event = str(fields.get("event"))
            why = fields.get("reason") or fields.get("error") or fields.get("exception") or ""
            slot.reason = str(why) or event
            text = f"{event} {why}".rstrip()
            if slot.ready is not None:
                self._say(slot.process.name, text)
            elif not self._starting:
                self._say_once(slot, text)

    def _on_exit(self, slot: _Slot, code: int) -> None:
        slot.child = None
        if self._stopping:
            return
        now = self._clock()
        steady = slot.ready is not None and now - slot.ready_at >= STEADY_S
        slot.down, slot.ready = True, None
        slot.hopeless = code in HOPELESS_CODES
        slot.failures = 0 if steady else slot.failures
        how = f"signal {-code}" if code < 0 else f"code {code}"
        if slot.hopeless:
            pause = HOPELESS_S
            if not self._starting:  # Otherwise StartError reports it, and there is no retry.
                self._say_once(
                    slot, f"ended with {how}, which a person must mend; trying every {pause:.0f} s"
                )
        else:
            if self._starting and slot.reason:
                self._say_once(slot, slot.reason)
            longest = KILLED_BACKOFF_MAX_S if code < 0 else BACKOFF_MAX_S
            pause = 0.0 if steady else min(BACKOFF_FIRST_S * 2 ** min(slot.failures, 16), longest)
            when = "at once" if steady else f"in {pause:.1f} s"
            self._say(slot.process.name, f"ended with {how}; starting it again {when}")
        if not steady:
            slot.failures += 1
        slot.restart_at = now + pause

    def _say_once(self, slot: _Slot, text: str) -> None:
        """Print a message about a process that is down, unless it was printed already."""
        if text not in slot.told and len(slot.told) < TOLD_MAX:
            slot.told.add(text)
            self._say(slot.process.name, text)

    def _give_up_if_hopeless(self, waiting: list[_Slot]) -> None:
        for slot in waiting:
            if slot.ready is not None:
                continue
            if self._clock() >= slot.heard_at + READY_TIMEOUT_S:
                why = f"is silent for {READY_TIMEOUT_S:.0f} s"
            elif slot.hopeless or slot.failures >= START_ATTEMPTS_MAX:
                why = "does not start"
            else:
                continue
            raise StartError(f"{slot.process.name} {why}{_because(slot)}")


def _because(slot: _Slot) -> str:
    """Return the reason that a process gave, or its last lines if it gave none."""
    if slot.reason:
        return f": {slot.reason}"
    tail = "\n".join(f"    {line}" for line in slot.output.tail)
    return f"; its last lines were:\n{tail}"


def _signal(child: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if child is not None:
        child.send_signal(number)
