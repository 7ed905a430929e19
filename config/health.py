"""Whether each part of a venue does its work, asked of it and watched from outside.

Every process answers the word ``health`` on its control socket: how far it has followed the
engine, and what troubles it, or a note if nothing does. That a process answers does not mean that
it moves: so a ``Watch`` remembers how far the engine was at some moment and how long each part has
not been there.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from config.control import SUFFIX, ControlError, Verb, ask, control_folder, socket_path
from engine.core.types import ClusterStatus

ONE_GATEWAY: Final = ("fix",)
WORKERS: Final = ("settlement", "webhooks")
BEHIND_S: Final = 10.0
"""A part that lacks what the engine had so long ago does not keep up."""
ASK_S: Final = 1.0
AGE_S_MAX: Final = 1.0
"""What was found is told again for so long: anybody may ask, and each look asks everybody."""
DISK_LOW_BYTES: Final = 1 << 30
DISK_FULL_BYTES: Final = 16 << 20

State = Literal["ok", "behind", "troubled", "away", "low", "full"]
Health = Callable[[], tuple[int | None, str]]
"""(engine sequence that was reached, None if it follows none; what troubles it, "" for nothing)."""


class Part(NamedTuple):
    """How one part is. ``lag_records`` and ``lag_s`` say by how much it is behind the engine."""

    part: str
    state: State
    detail: str
    seq: int | None = None
    lag_records: int = 0
    lag_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing need be done."""
        return self.state == "ok"


def cluster_part(status: ClusterStatus) -> Part:
    """Return how the cluster is, as one of its members knows it."""
    away = [row.node for row in status.members if row.role == "away"]
    if not status.leader:
        why = f": {status.trouble}" if status.trouble else ""
        return Part("cluster", "away", f"no_leader: the venue has no leader at this moment{why}")
    if status.trouble:
        return Part("cluster", "troubled", status.trouble)
    if away:
        return Part("cluster", "troubled", f"{', '.join(away)} away; {status.leader} leads")
    mine = next((row for row in status.members if row.node == status.node), None)
    if mine is not None and mine.behind_ms > BEHIND_S * 1_000:
        text = f"this member is {mine.behind} transactions behind {status.leader}, which leads"
        return Part("cluster", "behind", text, mine.seq, mine.behind, mine.behind_ms / 1_000)
    what = "leads" if status.role == "leader" else f"follows {status.leader}"
    return Part("cluster", "ok", f"{status.node} {what}; {len(status.members)} members")


def health_verb(health: Health) -> Mapping[str, Verb]:
    """Answer the word ``health`` on a control socket."""

    def verb(_: list[str]) -> str:
        seq, trouble = health()
        return json.dumps({"seq": seq, "trouble": trouble})

    return {"health": verb}


class Lag:
    """How long one follower has not been where the engine was. Not thread-safe."""

    def __init__(self) -> None:
        self._seq = 0
        self._at = 0.0

    def seconds(self, engine_seq: int, seq: int, now: float) -> float:
        """Note where both are; for how long the follower has lacked something, at least."""
        if seq >= self._seq or engine_seq < self._seq:
            self._seq, self._at = engine_seq, now
        return 0.0 if seq >= self._seq else now - self._at


class Watch:
    """Asks the parts of a venue, at most once a second. Thread-safe.

    ``folders`` are those whose disks must have room, ``gateways`` the names of the FIX gateways.
    """

    def __init__(
        self, data: Path, folders: Iterable[Path] = (), gateways: Iterable[str] = ONE_GATEWAY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._data = data
        self._folders = tuple(dict.fromkeys((data, *folders)))
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.followers = ("history", *gateways, "marketdata", "stream")
        """Processes that follow the engine transaction by transaction."""
        self._lags = {name: Lag() for name in self.followers}
        self._parts: tuple[Part, ...] = ()
        self._looked = -AGE_S_MAX

    def look(self, engine_seq: int | None) -> tuple[Part, ...]:
        """Return all parts but the engine; ``engine_seq`` None means that it does not answer."""
        with self._lock:
            if self._monotonic() - self._looked >= AGE_S_MAX:
                self._parts = (
                    *(self._ask(name, engine_seq) for name in (*self.followers, *WORKERS)),
                    self._api(), disk_part(self._folders),
                )  # fmt: skip
                self._looked = self._monotonic()
            return self._parts

    def _ask(self, name: str, engine_seq: int | None) -> Part:
        try:
            told = json.loads(ask(socket_path(self._data, name), "health", timeout_s=ASK_S))
            seq, trouble = told["seq"], str(told["trouble"])
            note = str(told.get("note") or "works")
        except ControlError as error:
            return Part(name, "away", str(error))
        except (ValueError, KeyError, TypeError):
            return Part(name, "troubled", f"{name} gave no answer that can be read")
        lag = self._lags.get(name)
        if lag is None or seq is None or engine_seq is None:
            return Part(name, "troubled" if trouble else "ok", trouble or note, seq)
        return follower_part(name, lag, engine_seq, seq, trouble, self._monotonic())


    def _api(self) -> Part:
        """Return the workers of the account API, each of which has a socket of its own."""
        answers = 0
        for path in control_folder(self._data).glob(f"api-*{SUFFIX}"):
            try:
                ask(path, "health", timeout_s=ASK_S)
            except ControlError:
                continue  # One that was killed leaves its socket.
            answers += 1
        if not answers:
            return Part("api", "away", "no worker of the account API answers")
        return Part("api", "ok", f"{answers} workers answer")


def follower_part(
    name: str, lag: Lag, engine_seq: int, seq: int, trouble: str, now: float
) -> Part:
    """Return what is to be said of a part that has followed the engine to ``seq``."""
    behind_s = lag.seconds(engine_seq, seq, now)
    records = max(0, engine_seq - seq)
    state: State = "ok"
    if behind_s >= BEHIND_S:
        state = "behind"
    elif trouble:
        state = "troubled"
    where = f"at seq {seq}"
    if records:
        where += f", {records} transactions behind the engine"
    if behind_s >= 1:
        where += f" for {behind_s:.0f} s"
    return Part(name, state, f"{where}: {trouble}" if trouble else where, seq, records, behind_s)


def disk_part(folders: Iterable[Path]) -> Part:
    """Return the disk with the least room of those that hold the folders."""
    least: tuple[int, Path] | None = None
    for folder in folders:
        room = free_bytes(folder)
        if room is not None and (least is None or room < least[0]):
            least = (room, folder)
    if least is None:
        return Part("disk", "troubled", "the data folder is not there")
    free, folder = least
    state: State = (
        "full" if free < DISK_FULL_BYTES else "low" if free < DISK_LOW_BYTES else "ok"
    )
    words = {"full": "the disk is full: ", "low": "little room: "}.get(state, "")
    return Part("disk", state, f"{words}{free >> 20} MiB free in {folder}")


def free_bytes(folder: Path) -> int | None:
    """Return the free bytes on a folder's disk; 0 where no file can be made, None: no folder."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return 0 if disk.f_files and not disk.f_favail else disk.f_bavail * disk.f_frsize
