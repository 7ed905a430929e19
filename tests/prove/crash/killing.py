"""Kills processes of a venue at moments that the load chooses, and brings them back."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.api.processes import children
from tests.prove.crash.told import Story, Told
from tests.prove.disk.faults import WRITE_FAILED as TRY_AGAIN
from tests.prove.disk.shim import NoCompiler, environment
from tests.prove.venue import STORES, Child, Venue

PROGRESS_S_MAX: Final = 120.0
WEIGHTS: Final = {"engine": 4, "fix": 4, "history": 2, "api": 2, "stream": 2, "settlement": 1}
KINDS: Final = ("FIX", "REST", "WebSocket")
INSIDE: Final = ("kill", "killmid", "killafter")
DISKS: Final = STORES | {"api": "/answers.db:/keys.db:/logins.db"}
"""Files whose disk is full for a moment."""
AMID_S_MAX: Final = 3.0


class Killer:
    """Keeps the venue under fire until so many processes have been killed.

    The engine dies mostly when a command was just sent that leaves work over for many Ticks; of
    the account API at times a worker alone; and the disk of a process is full for a moment.
    Half of those with files are killed from within: they are started with a layer that ends
    them amid the n-th write, flush, rename or truncation of their files. The others, and all
    that have no files, are killed when clients have been told so many things more.
    """

    def __init__(
        self, venue: Venue, told: Told, seed: int,
        say: Callable[[int], None] = lambda kills: None,
    ) -> None:  # fmt: skip
        self.kills: Counter[str] = Counter()
        self.amid = 0
        """Kills of the engine just after a command that leaves work over was sent."""
        self.full = 0
        """Processes that were given a disk that is full for a moment."""
        self.story = Story()
        self._venue = venue
        self._told = told
        self._random = random.Random(f"killer {seed}")
        self._say = say
        self.states: Callable[[], list[str]] = list
        """Where each client stands, for whoever has to find out why it waits."""
        self._first = ["engine", "fix", "stream", "api", "history"]
        self._random.shuffle(self._first)
        try:
            environment("nothing")
            self.inside = True
        except NoCompiler:
            self.inside = False

    @property
    def count(self) -> int:
        """How many were killed so far."""
        return sum(count for how, count in self.kills.items() if "gave up" not in how)

    def run(self, kills: int) -> None:
        """Kill and restart until the number is reached or something is found."""
        self._venue.on_exit = self._told.wake
        while self.count < kills and not self._told.findings:
            for name in self._victims():
                self._kill(name)
            self._await_progress()
            self._say(self.count)
        self.restore()

    def _kill(self, name: str) -> None:
        child = self._venue.children[name]
        if name == "engine" and self._random.random() < 0.7:
            before = self._told.large
            self._told.wait_for(lambda: self._told.large > before, AMID_S_MAX)
            self._told.pause(0.03 * self._random.random())
            self.amid += self._told.large > before
        if name == "api" and self._random.random() < 0.6:
            self._kill_workers(child.pid)
            return
        self.story.note(f"kill {name} {child.pid}")
        child.kill()

    def _kill_workers(self, api: int) -> None:
        """Kill those that a request with an Idempotency-Key has just come to, and no more."""
        before = self._told.claimed
        self._told.wait_for(lambda: self._told.claimed > before, AMID_S_MAX)
        self._told.pause(0.01 * self._random.random())
        workers: list[int] = []
        with contextlib.suppress(FileNotFoundError):  # All of it has ended meanwhile.
            workers = children(api)
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                self.story.note(f"kill worker {worker}")
                self.kills["api worker, from outside"] += 1

    def _await_progress(self) -> None:
        """Wait until clients were told enough; start again meanwhile what has ended.

        Mostly each kind of client is to be told something, so that all have come back; at
        times a few things told to anybody are enough, so that they are killed on the way.
        """
        told, before = self._told, self._told.counts.copy()
        patient = self._random.random() < 0.6
        more = self._random.choice((1, 3, 10, 30))
        last, since = told.count, time.monotonic()

        def enough() -> bool:
            moved = all(told.counts[kind] > before[kind] for kind in KINDS)
            return told.count >= before.total() + more and (moved or not patient)

        while not enough() and not told.findings:
            told.wait_for(lambda: enough() or bool(self._venue.ended), 1.0)
            self.bury()
            now = time.monotonic()
            if told.count > last and not patient:
                last, since = told.count, now
            elif now - since > PROGRESS_S_MAX:
                running = {n: c.code for n, c in self._venue.children.items()}
                moved = told.counts - before
                told.found(
                    f"not told enough in {PROGRESS_S_MAX:.0f} s: {moved}, {running}, "
                    f"{self.states()}, {self._venue.log_of('fix', 3_000)}"
                )

    def _victims(self) -> list[str]:
        """One, or now and then two, of those that are ready; at first each kind once."""
        ready = [
            name for name, child in self._venue.children.items()
            if child.code is None and child.ready is not None
        ]  # fmt: skip
        if self._first:
            first = self._first[-1]
            return [self._first.pop()] if first in ready else []
        pick, weights = self._random, [WEIGHTS.get(name, 1) for name in ready]
        if not ready or pick.random() < 0.2:
            return []
        return list({pick.choices(ready, weights)[0] for _ in range(pick.choice((1, 1, 1, 2)))})

    def bury(self) -> None:
        """Take note of who has ended, and start each again."""
        venue = self._venue
        with venue.changed:
            ended, venue.ended = venue.ended, []
        for child in ended:
            self._note(child)
            if venue.children[child.name] is child:
                self._start(child.name)
        for child in venue.children.values():
            if child.ready is None and child.code is None:
                child.look_whether_ready()

    def _note(self, child: Child) -> None:
        """A death by our hand counts; any other is a finding."""
        self.story.note(f"ended {child.name} {child.pid} with {child.code}")
        inside = child.code == -9 and not child.killed
        if child.code == -9 and (child.killed or child.name in STORES):
            self.kills[f"{child.name}, from {'within' if inside else 'outside'}"] += 1
        elif child.name == "fix" and child.code == TRY_AGAIN and self._engine_was_away():
            # It had begun to restore its sessions when the engine was killed. It says so and
            # ends, and whoever supervises it starts it again.
            self.kills["fix, gave up without the engine"] += 1
        elif child.full and child.code == TRY_AGAIN:
            self.kills[f"{child.name}, gave up on a full disk"] += 1
        else:
            log = self._venue.log_of(child.name)
            self._told.found(f"{child.name} ended by itself with {child.code}: {log}")

    def _engine_was_away(self) -> bool:
        lines = self._venue.log_of("fix", 5_000).splitlines()
        reasons = [line for line in lines if '"gateway_not_started"' in line]
        return bool(reasons) and "engine" in reasons[-1]

    def _start(self, name: str, whole: bool = False) -> Child:
        extra = {}
        store = STORES.get(name)
        if store and self.inside and not whole and self._random.random() < 0.5:
            op = self._random.choice(("write", "write", "sync", "sync", "name", "truncate"))
            number = int(1 + 120 * self._random.random() ** 3)
            action = self._random.choice(INSIDE)
            extra = environment(store, fault=f"{op}:{number}:{action}", group=True)
        full = not extra and not whole and self.inside and self._random.random() < 0.6
        if full and name in DISKS:
            number = int(1 + 200 * self._random.random() ** 2)
            extra = environment(DISKS[name], fault=f"write:{number}:brief")
            self.full += 1
        child = self._venue.start(name, extra)
        self.story.note(f"start {name} {child.pid} {extra.get('SHIM_FAULT', '')}")
        child.doomed = bool(extra)
        child.full = full
        return child

    def restore(self) -> None:
        """Everything runs, and nothing kills it any more."""
        deadline = time.monotonic() + 120
        venue = self._venue
        for name, child in list(venue.children.items()):
            # One that was killed just now may not have been seen to end yet.
            lives = child.code is None and not child.killed and not child.doomed
            if lives and child.await_ready():
                continue
            child.kill()
            child.popen.wait()
            while time.monotonic() < deadline:
                if self._start(name, whole=True).await_ready():
                    break
        with venue.changed:
            ended, venue.ended = venue.ended, []
        for child in ended:
            if child.code != -9:
                self._note(child)
