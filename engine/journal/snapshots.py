"""Snapshots of the whole state: written atomically, and checked before they are used.

A file is a magic word, the SHA-256 of the rest, and the rest in msgpack: a header and the
exported state. The header names the seq, the crc of the journal's record at that seq (so a
snapshot cannot be used with a journal that it does not belong to) and the state hash.

The engine writes them from a forked child: the fork at a batch boundary is a consistent copy
that costs the parent only the copying of page tables, and trading continues meanwhile.
"""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from enum import Enum
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Protocol

import msgspec
import structlog

from engine.core.exchange import Exchange
from engine.core.snapshot import hash_of
from engine.core.types import ENGINE_VERSION
from engine.journal.segment import make_folder, sync_folder
from engine.journal.statecodec import decode_state, encode_state

log = structlog.get_logger("engine.snapshots")

MAGIC: Final = b"TANDEMS1"
DIGEST_BYTES: Final = 32
KEPT: Final = 3
SUFFIX: Final = ".snapshot"
WRITING: Final = ".writing"
DESCRIPTORS_MAX: Final = 65_536
CHILD_NICENESS: Final = 10
CHILD_PAUSE_S: Final = 0.005
PIECE_BYTES: Final = 1 << 20
"""A child writes and flushes this much at a time, then pauses: on most disks a commit of the
journal waits for all writes in progress, to any file."""


class SnapshotInvalid(Exception):
    """A snapshot file cannot be used; the message says why."""


class SnapshotAhead(SnapshotInvalid):
    """A valid snapshot is newer than the journal, so the journal lacks its end."""


class Outcome(Enum):
    """The outcome of a snapshot that a child wrote."""

    WRITTEN = "written"
    FAILED = "failed"


class Finished(NamedTuple):
    """A child is done: the snapshot that it was to write, and the outcome."""

    seq: int
    outcome: Outcome
    exit_code: int


class SnapshotHeader(NamedTuple):
    """The header of a snapshot. ``time_us`` is the time of transaction ``seq``."""

    engine_version: str
    seq: int
    time_us: int
    journal_crc: int
    state_hash: str


class Chain(Protocol):
    """The part of a journal that a snapshot must match."""

    @property
    def first_seq(self) -> int: ...
    @property
    def last_seq(self) -> int: ...
    def crc_at(self, seq: int) -> int: ...


class _Content(NamedTuple):
    header: SnapshotHeader
    state: msgspec.Raw


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Content).decode


def snapshot_path(folder: Path, seq: int) -> Path:
    """Return the path of the snapshot of ``seq``."""
    return folder / f"{seq:020d}{SUFFIX}"


def snapshot_paths(folder: Path) -> list[Path]:
    """Return every snapshot in the folder, newest first."""
    return sorted(folder.glob(f"*{SUFFIX}"), reverse=True)


def write_snapshot(
    folder: Path, exchange: Exchange, time_us: int, journal_crc: int, kept: int = KEPT,
    pause_s: float = 0.0,
) -> Path:  # fmt: skip
    """Write the state durably, then remove all but the newest ``kept``. Raises OSError.

    With ``pause_s`` it is written in pieces that are flushed one by one, with a pause between.
    """
    exported = exchange.export_state()
    header = SnapshotHeader(
        ENGINE_VERSION, exchange.seq, time_us, journal_crc, hash_of(exported)
    )
    body = _encode(_Content(header, msgspec.Raw(encode_state(exported))))
    make_folder(folder)
    path = snapshot_path(folder, exchange.seq)
    temporary = path.with_suffix(f".{os.getpid()}{WRITING}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        head = MAGIC + hashlib.sha256(body).digest()
        _write_all(file, memoryview(head + body[:PIECE_BYTES]))
        for start in range(PIECE_BYTES, len(body), PIECE_BYTES):
            if pause_s:
                os.fdatasync(file.fileno())
                time.sleep(pause_s)
            _write_all(file, memoryview(body)[start : start + PIECE_BYTES])
        os.fsync(file.fileno())
    os.rename(temporary, path)
    sync_folder(folder)
    for old in snapshot_paths(folder)[kept:]:
        old.unlink(missing_ok=True)
    return path


def _write_all(file: FileIO, data: memoryview) -> None:
    """Write everything; one call of the kernel may write less."""
    while data:
        data = data[file.write(data) :]


def read_snapshot(path: Path) -> tuple[SnapshotHeader, Exchange]:
    """Read, check and restore a snapshot. Raises SnapshotInvalid."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotInvalid(f"snapshot {path.name} cannot be read: {error}") from error
    start = len(MAGIC) + DIGEST_BYTES
    if data[: len(MAGIC)] != MAGIC or len(data) < start:
        raise SnapshotInvalid(f"snapshot {path.name} is cut short or not a snapshot")
    body = memoryview(data)[start:]
    if hashlib.sha256(body).digest() != data[len(MAGIC) : start]:
        raise SnapshotInvalid(f"snapshot {path.name} does not agree with its checksum")
    try:
        header, state = _decode(body)
    except msgspec.MsgspecError as error:
        raise SnapshotInvalid(f"snapshot {path.name} is malformed: {error}") from error
    if snapshot_path(path.parent, header.seq) != path:
        raise SnapshotInvalid(f"snapshot {path.name} is of seq {header.seq}")
    try:
        exported = decode_state(state)
        exchange = Exchange.restore(exported)
    except (KeyError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise SnapshotInvalid(
            f"the state in snapshot {path.name} cannot be restored: "
            f"{type(error).__name__}: {error}"
        ) from error
    if header.engine_version != ENGINE_VERSION:
        # Another version exports another form, so compare the hash of the state.
        whole = exchange.seq == header.seq and hash_of(exported) == header.state_hash
    else:
        whole = exchange.seq == header.seq and encode_state(exchange.export_state()) == bytes(state)
    if not whole:
        raise SnapshotInvalid(
            f"the state restored from snapshot {path.name} is not the one that was written"
        )
    return header, exchange


def check_belongs(header: SnapshotHeader, path: Path, journal: Chain) -> None:
    """Raise SnapshotInvalid unless the snapshot is of a state of this journal."""
    if header.seq > journal.last_seq:
        raise SnapshotAhead(
            f"snapshot {path.name} is ahead of the journal, which ends with seq "
            f"{journal.last_seq}: acknowledged transactions are missing"
        )
    if header.seq < journal.first_seq - 1:
        raise SnapshotInvalid(
            f"snapshot {path.name} is older than the journal, which begins with seq "
            f"{journal.first_seq}"
        )
    if journal.crc_at(header.seq) != header.journal_crc:
        raise SnapshotInvalid(f"snapshot {path.name} does not belong to this journal")


def usable_snapshots(
    folder: Path, journal: Chain, on_bad: Callable[[str], None]
) -> Iterator[tuple[SnapshotHeader, Exchange]]:
    """Yield snapshots that are valid and belong to the journal, newest first.

    Raises SnapshotAhead for one that is newer than the journal.
    """
    for path in snapshot_paths(folder):
        try:
            header, exchange = read_snapshot(path)
            check_belongs(header, path, journal)
        except SnapshotAhead:
            raise
        except SnapshotInvalid as error:
            on_bad(str(error))
        else:
            yield header, exchange


class SnapshotWriter:
    """Writes snapshots from a forked child, one at a time.

    The process that uses it must be single-threaded: the child is a copy of its one thread.
    """

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        self._folder = Path(folder)
        self._kept = kept
        self._clear()
        self._child = 0
        self._child_seq = 0
        self.last_seq = 0
        """The seq of the newest snapshot that is known to be durable."""

    def _clear(self) -> None:
        """Remove incomplete files."""
        for left in self._folder.glob(f"*{WRITING}"):
            left.unlink(missing_ok=True)

    @property
    def busy(self) -> bool:
        """Return whether a child is writing."""
        return self._child != 0

    def start(self, exchange: Exchange, time_us: int, journal_crc: int) -> None:
        """Begin a snapshot of the current state. Raises OSError if it cannot fork."""
        child = os.fork()
        if child == 0:
            self._write_and_exit(exchange, time_us, journal_crc)
        self._child, self._child_seq = child, exchange.seq

    def poll(self, wait: bool = False) -> Finished | None:
        """Return the outcome of a child that has ended; None if it is running or there is none."""
        if self._child == 0:
            return None
        child, status = os.waitpid(self._child, 0 if wait else os.WNOHANG)
        if child == 0:
            return None
        self._child = 0
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            self.last_seq = self._child_seq
        return Finished(self._child_seq, Outcome.FAILED if code else Outcome.WRITTEN, code)

    def write_now(self, exchange: Exchange, time_us: int, journal_crc: int) -> None:
        """Write one in this process, for a clean stop. Raises OSError."""
        if self._child:
            # It is slow, and its snapshot would be older than this one.
            os.kill(self._child, signal.SIGKILL)
            self.poll(wait=True)
            self._clear()
        write_snapshot(self._folder, exchange, time_us, journal_crc, self._kept)
        self.last_seq = exchange.seq

    def _write_and_exit(self, exchange: Exchange, time_us: int, journal_crc: int) -> NoReturn:
        """In the child: close every socket, lock and database at once, write, exit.

        Otherwise clients would not notice the parent's death, and its journal would stay locked,
        until the child is done.
        """
        code = 1
        try:
            gc.disable()  # A collection would touch, and so copy, every page.
            os.closerange(3, DESCRIPTORS_MAX)
            os.nice(CHILD_NICENESS)
            write_snapshot(
                self._folder, exchange, time_us, journal_crc, self._kept, CHILD_PAUSE_S
            )
            code = 0
        except Exception as error:
            log.error(
                "snapshot_failed", seq=exchange.seq, reason=f"{type(error).__name__}: {error}"
            )
        finally:
            os._exit(code)
