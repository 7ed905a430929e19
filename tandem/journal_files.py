"""``tandem journal``: export the journal as text, and archive old segments."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from engine.client import EngineClient, EngineError, EngineUnavailable, queries
from engine.history.queries import last_seq as history_seq
from engine.history.queries import open_reader
from engine.journal import segment as files
from engine.journal.base import JournalError
from engine.journal.snapshots import SnapshotInvalid, read_snapshot, snapshot_paths
from engine.wire import Transaction, decode_transaction
from fix_gateway.session.store import read_state
from tandem.output import CommandError
from tandem.sqlite_copy import copy_database, flush


def export(settings: Settings, from_seq: int, to_seq: int, out: TextIO) -> int:
    """Write transactions as JSON, one a line; return their number. ``to_seq`` 0: to the end."""
    count = 0
    try:
        for transaction in _transactions(settings.engine.journal, max(1, from_seq)):
            if to_seq and transaction.seq > to_seq:
                break
            out.write(json.dumps(plain_transaction(transaction), ensure_ascii=False) + "\n")
            count += 1
    except JournalError as error:
        raise CommandError(str(error)) from None
    return count


def plain_transaction(transaction: Transaction) -> dict[str, Any]:
    """Return a transaction as plain data, every field by its name."""
    return {
        "seq": transaction.seq,
        "time_us": transaction.time_us,
        "command": {"kind": type(transaction.command).__name__, **_plain(transaction.command)},
        "events": [{"kind": type(each).__name__, **_plain(each)} for each in transaction.events],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, tuple):
        if hasattr(value, "_asdict"):
            return {name: _plain(item) for name, item in value._asdict().items()}
        return [_plain(item) for item in value]
    return value


def _transactions(journal: Path, from_seq: int) -> Iterator[Transaction]:
    paths = _segments(journal)
    if not paths:
        raise JournalError(f"there is no journal in {journal}")
    if from_seq < (oldest := _first(paths[0])):
        raise JournalError(f"seq {from_seq} was archived, the oldest kept is {oldest}")
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        if following is not None and _first(following) <= from_seq:
            continue
        connection = files.open_reading(path)
        try:
            meta = files.read_meta(connection, path)
            if files.last_record(connection, meta, path)[0] < from_seq:
                return
            for record in files.scan(connection, meta, path, max(from_seq, meta.first_seq)):
                yield decode_transaction(record.body)
        finally:
            connection.close()


def archive(settings: Settings, target: Path) -> list[Path]:
    """Move segments that are no longer needed to another folder; return the copies.

    A segment stays while the oldest snapshot, the history or a FIX session still needs a
    record of it, and the newest always stays. Each copy is checked record by record before
    the engine closes the original. Raises CommandError.
    """
    journal = settings.engine.journal
    needed = needed_from(settings)
    paths = _segments(journal)
    old = [
        path for path, following in zip(paths, paths[1:], strict=False)
        if _first(following) <= needed
    ]  # fmt: skip
    if not old:
        return []
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    copies = []
    try:
        for path in old:
            copy = target / path.name
            copy_database(path, copy)
            _check_copy(path, copy)
            copies.append(copy)
        index = target / f"index-{_first(paths[len(old)]):020d}.db"
        copy_database(journal / "index.db", index)
        flush(target)
        with _let_go(settings, _first(paths[len(old)])):
            for path in old:
                for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                    path.with_name(name).unlink(missing_ok=True)
            flush(journal)
    except (OSError, sqlite3.Error, JournalError, EngineError) as error:
        raise CommandError(f"the journal was not changed: {error}") from None
    return copies


def needed_from(settings: Settings) -> int:
    """Return the oldest sequence that is still needed. Raises CommandError."""
    snapshots = settings.engine.journal / "snapshots"
    needs = []
    for path in reversed(snapshot_paths(snapshots)):
        try:
            needs.append(read_snapshot(path)[0].seq + 1)
            break
        except SnapshotInvalid:
            continue  # It cannot be used, so it needs nothing.
    if not needs:
        raise CommandError("there is no snapshot yet, so every segment is needed")
    try:
        database = open_reader(settings.history.url)
        with database.connect() as connection:
            needs.append(history_seq(connection) + 1)
        database.dispose()
    except SQLAlchemyError as error:
        raise CommandError(f"the position of the history cannot be read: {error}") from None
    # A session that starts at 1 with every Logon needs no old records.
    kept = [each.comp_id for each in settings.sessions if not each.reset_on_logon]
    for store in settings.fix.stores:
        state = read_state(store)
        if state is not None:
            needs += [state.delivered[name] for name in kept if name in state.delivered]
    return min(needs)


def _segments(journal: Path) -> list[Path]:
    return files.segment_paths(journal)


def _first(path: Path) -> int:
    return int(path.name.removesuffix(files.SUFFIX))


def _check_copy(original: Path, copy: Path) -> None:
    """Check that the copy holds every record of the original, with a valid chain of checksums."""
    ends = []
    for path in (original, copy):
        connection = files.open_reading(path)
        try:
            meta = files.read_meta(connection, path)
            last = files.last_record(connection, meta, path)
            if path is copy:
                read = sum(1 for _ in files.scan(connection, meta, path, meta.first_seq))
                if read != last[0] + 1 - meta.first_seq:
                    raise JournalError(f"the copy {path} lacks records")
            ends.append((meta, last))
        finally:
            connection.close()
    if ends[0] != ends[1]:
        raise JournalError(f"the copy {copy} does not end as the original does")


@contextmanager
def _let_go(settings: Settings, seq: int) -> Iterator[None]:
    """Make the running engine stop serving segments before ``seq``, or keep one from starting."""
    client = EngineClient(str(settings.engine.socket), "tandem", timeout_s=30.0)
    try:
        client.fetch(queries.Forget(seq))
        yield
    except EngineUnavailable:
        with _locked(settings.engine.journal):
            yield
    finally:
        client.close()


@contextmanager
def _locked(journal: Path) -> Iterator[None]:
    descriptor = os.open(journal / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise JournalError("an engine holds the journal but does not answer") from None
    finally:
        os.close(descriptor)
