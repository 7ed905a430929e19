"""What clients of every kind have in common: progress that others wait for, and findings."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path


class Story:
    """What was sent, received or done, each with its time, for whoever looks for a cause."""

    def __init__(self) -> None:
        self._told: list[tuple[float, str]] = []

    def note(self, text: str) -> None:
        """Remember something that has just happened."""
        self._told.append((time.time(), text))

    def write(self, path: Path) -> None:
        """Write all of it, one a line, each with its time in seconds since 1970."""
        lines = [f"{at:.6f} {text}\n" for at, text in self._told]
        path.write_text("".join(lines), encoding="utf-8")


class Told:
    """Counts what clients were told; collects what they found wrong. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.counts: Counter[str] = Counter()
        """How many things were told, by kind of client."""
        self.findings: list[str] = []
        self.large = 0
        """How many commands were sent that leave work over for many Ticks."""
        self.claimed = 0
        """How many requests were sent that an Idempotency-Key alone makes one."""
        self.ending = threading.Event()
        """No client begins anything new any more."""

    @property
    def count(self) -> int:
        """How many things were told to anybody."""
        return sum(self.counts.values())

    def progress(self, kind: str) -> None:
        """A client of this kind was told something."""
        with self._changed:
            self.counts[kind] += 1
            self._changed.notify_all()

    def begun(self) -> None:
        """A command was sent that is not done at once."""
        with self._changed:
            self.large += 1
            self._changed.notify_all()

    def claim(self) -> None:
        """A request with an Idempotency-Key is on its way."""
        with self._changed:
            self.claimed += 1
            self._changed.notify_all()

    def found(self, text: str) -> None:
        """Something is wrong."""
        with self._changed:
            if len(self.findings) < 50:
                self.findings.append(text)
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait a little, or until something was found."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self.findings), seconds)

    def wake(self) -> None:
        """Something else happened that somebody may wait for."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, wanted: Callable[[], bool], timeout_s: float) -> None:
        """Wait until something is so, at most so long, or until something was found."""
        with self._changed:
            self._changed.wait_for(lambda: wanted() or bool(self.findings), timeout_s)


class Client(threading.Thread):
    """A client's thread. ``busy`` tells whether it waits for an answer."""

    def __init__(self, name: str, told: Told) -> None:
        super().__init__(name=name, daemon=True)
        self.told = told
        self.over = threading.Event()
        """It ends, whatever it still waits for."""
        self.reconnects = 0
        self.story = Story()

    @property
    def busy(self) -> bool:
        """Whether something is still to come."""
        return False

    def state(self) -> str:
        """Where it stands, for whoever has to find out why it waits."""
        return self.name

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.life()
                self.reconnects += 1
                self.over.wait(0.05)
        except Exception as error:
            self.told.found(f"{self.name} failed: {type(error).__name__}: {error}")
            raise

    def life(self) -> None:
        """One connection, or one attempt."""


def await_rest(clients: list[Client], told: Told, timeout_s: float) -> None:
    """Wait until no client waits for anything."""
    deadline = time.monotonic() + timeout_s
    while any(client.busy for client in clients) and not told.findings:
        if time.monotonic() > deadline:
            waiting = [client.state() for client in clients if client.busy]
            told.found(f"{waiting} still wait {timeout_s:.0f} s after the last kill")
        told.pause(0.05)
