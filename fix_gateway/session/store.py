"""QuickFIX's file store, read from outside, and our own marks beside it.

The store of a session is four files. ``.body`` holds the messages one after the other,
``.header`` a ``seq,offset,length`` triple for each, ``.seqnums`` the next outgoing and the
next expected number. QuickFIX flushes body, header and numbers to the kernel in this order
and sends after that: a message may be in the body under a number that does not count yet and
that the next message uses again. The bridge (``native/store.h``) writes the same files in the
same order. What counts is below the next outgoing number, and of two
triples with one number the later one.

Our own marks: ``<session>.epoch`` says which epoch the store's numbers belong to,
``<session>.repeats`` which reports are being sent a second time, and ``gateway.state`` how the
gateway ended and how far each session was delivered.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from fix_gateway.settings import BEGIN_STRING

Cursor: TypeAlias = tuple[int, int, int]
LAST_INDEX: Final = 2**31 - 1
"""In a cursor: every event of that transaction is delivered."""

FILES: Final = (".body", ".header", ".seqnums", ".session")
BLOCK_BYTES: Final = 1 << 16
MESSAGE_BYTES_MAX: Final = 1 << 20
_TRIPLE: Final = re.compile(rb"([0-9]+),([0-9]+),([0-9]+) ")
_WHOLE: Final = re.compile(rb"[0-9]{1,10},[0-9]{1,18},[0-9]{1,10}\Z")
_SEQ: Final = re.compile(rb"\x0120001=([0-9]{1,18})\x01")
_INDEX: Final = re.compile(rb"\x0120002=([0-9]{1,9})\x01")
_PART: Final = re.compile(rb"\x0120007=([0-9]{1,9})\x01")


class Numbers(NamedTuple):
    """Next outgoing and next expected sequence number."""

    sender: int
    target: int


class Repeats(NamedTuple):
    """Reports that may be sent a second time: those after ``cursor``, up to seq ``until``.

    They go out under ``number`` and later ones, in ``epoch``. Kept until all of them are out, as
    whoever goes on with them after a crash must know it.
    """

    epoch: int
    number: int
    until: int
    cursor: Cursor


NO_REPEATS: Final = Repeats(0, 0, 0, (0, 0, 0))


class Survey(NamedTuple):
    """What is sound in an index: its triples, whether that is all, and the lowest number that has
    lost its message, 0 if none has."""

    rows: list[bytes]
    whole: bool
    lost: int


class SessionStore:
    """The files of one session in ``folder``; reads them while QuickFIX does not write."""

    def __init__(self, folder: Path, server: str, comp_id: str) -> None:
        self.prefix = folder / f"{BEGIN_STRING}-{server}-{comp_id}"

    def path(self, suffix: str) -> Path:
        """Return the path of one of the files."""
        return self.prefix.with_name(self.prefix.name + suffix)

    def numbers(self) -> Numbers:
        """Read the numbers as stored; (1, 1) when there is no store or its file is torn."""
        try:
            text = self.path(".seqnums").read_text(encoding="ascii")
            sender, _, target = text.partition(":")
            return Numbers(max(1, int(sender)), max(1, int(target)))
        except (FileNotFoundError, ValueError):
            return Numbers(1, 1)

    def holds_number(self, sender: int) -> bool:
        """Return True if a message of ours with this number was stored."""
        return self.numbers().sender > sender

    def newest_cursor(self, below: int = 0, first: int = 0) -> Cursor | None:
        """Find the cursor of the newest message that counts and that the engine caused.

        Reads back from the end of the store as far as that message, or where ``below`` is given
        as far as one under a lower number than that; no further than number ``first``.
        """
        sender = below or self.numbers().sender
        try:
            with self.path(".body").open("rb") as body:
                for number, offset, length in self._counted(sender):
                    if number < first:
                        return None
                    cursor = _cursor(body, offset, length)
                    if cursor is not None:
                        return cursor
        except FileNotFoundError:
            return None
        return None

    def newest(self, after: int, limit: int, bytes_max: int) -> list[tuple[int, bytes]]:
        """Return the newest messages that count, above a number, with theirs, lowest first.

        May be called while QuickFIX writes. Raises OSError.
        """
        found: list[tuple[int, bytes]] = []
        try:
            with self.path(".body").open("rb") as body:
                for number, offset, length in self._counted(self.numbers().sender):
                    bytes_max -= length
                    if number <= after or len(found) >= limit or bytes_max < 0:
                        break
                    body.seek(offset)
                    found.append((number, body.read(min(length, MESSAGE_BYTES_MAX))))
        except FileNotFoundError:
            return []
        found.reverse()
        return found

    def _counted(self, sender: int) -> Iterator[tuple[int, int, int]]:
        """Yield (number, offset, length) of the messages below ``sender``, newest number first.

        Numbers rise along the file but for the ones used again, so a number that is not
        below all seen so far was superseded by what stands behind it.
        """
        lowest = sender
        for number, offset, length in _triples_backwards(self.path(".header")):
            if number < lowest:
                lowest = number
                yield number, offset, length

    def reset(self) -> None:
        """Begin again at 1, while QuickFIX has not opened the store."""
        for suffix in FILES:
            self.path(suffix).unlink(missing_ok=True)
        sync_folder(self.prefix.parent)

    def probe(self, size: int) -> None:
        """Append so many bytes to the messages and take them back. Raises OSError."""
        handle = os.open(self.path(".body"), os.O_WRONLY)
        try:
            end = os.lseek(handle, 0, os.SEEK_END)
            try:
                left = size
                while left:
                    left -= os.write(handle, bytes(left))
                os.fsync(handle)  # Some disks find out that they are full only then.
            finally:
                os.ftruncate(handle, end)
        finally:
            os.close(handle)

    def survey(self) -> Survey:
        """Look for what is torn in the index or does not count, while nobody writes.

        A triple of which a part was written would run into the next one, and QuickFIX reads no
        further than the first that it does not understand. A triple whose message was not
        written points into the next message: QuickFIX would answer no ResendRequest that comes
        to it. Raises OSError.
        """
        sender = self.numbers().sender
        try:
            rows = self.path(".header").read_bytes().split(b" ")[:-1]
            end = self.path(".body").stat().st_size
        except FileNotFoundError:
            return Survey([], True, 0)
        kept: list[bytes] = []
        known: set[int] = set()
        lost = 0
        for row in reversed(rows):
            if not _WHOLE.match(row):
                continue
            number, offset, length = map(int, row.split(b","))
            if number >= sender or number in known:
                continue  # It does not count, or a later triple of its number does.
            known.add(number)
            # Messages stand one after the other, so each ends where the next begins, or before.
            if offset + length > end:
                lost = number
                continue
            end = offset
            kept.append(row)
        kept.reverse()
        return Survey(kept, len(kept) == len(rows), lost)

    def mend_index(self, found: Survey) -> None:
        """Leave in the index what a survey has found sound, while nobody writes. Raises OSError."""
        if found.whole:
            return
        path = self.path(".header")
        temporary = path.with_name(path.name + ".new")
        temporary.write_bytes(b"".join([row + b" " for row in found.rows]))
        temporary.replace(path)

    def repeats(self) -> Repeats:
        """Read which reports are being sent a second time."""
        try:
            values = self.path(".repeats").read_text(encoding="ascii").split()
            epoch, number, until, seq, index, part = map(int, values)
        except (FileNotFoundError, ValueError):
            return NO_REPEATS
        return Repeats(epoch, number, until, (seq, index, part))

    def set_repeats(self, repeats: Repeats) -> None:
        """Write down which reports are about to be sent a second time, durably. Raises OSError."""
        if repeats == NO_REPEATS:
            self.path(".repeats").unlink(missing_ok=True)
            return
        epoch, number, until, (seq, index, part) = repeats
        text = f"{epoch} {number} {until} {seq} {index} {part}\n"
        write_durably(self.path(".repeats"), text)

    def epoch(self) -> int:
        """Read the epoch that the numbers belong to, 0 when nothing says so."""
        try:
            return int(self.path(".epoch").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def set_epoch(self, epoch: int) -> None:
        """Write down the epoch that the numbers belong to, durably. Raises OSError."""
        write_durably(self.path(".epoch"), f"{epoch}\n")

    def term(self) -> int:
        """Read in which of its terms this store was the session's, 0 when nothing says so."""
        try:
            return int(self.path(".term").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def set_term(self, term: int) -> None:
        """Write down the term in which this store is the session's, durably. Raises OSError."""
        write_durably(self.path(".term"), f"{term}\n")

    def flush_to_disk(self) -> None:
        """Bring what the kernel has of these files onto the disk."""
        for suffix in FILES:
            try:
                handle = os.open(self.path(suffix), os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _triples_backwards(path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield the header's triples from the end; what is torn at the end is left out."""
    try:
        handle = path.open("rb")
    except FileNotFoundError:
        return
    with handle:
        position = handle.seek(0, os.SEEK_END)
        rest = b""
        while position > 0:
            size = min(BLOCK_BYTES, position)
            position -= size
            handle.seek(position)
            block = handle.read(size) + rest
            start = 0
            if position > 0:
                # The first triple of a block may begin in the block before it.
                start = block.find(b" ") + 1
                rest = block[:start]
            for match in reversed(list(_TRIPLE.finditer(block, start))):
                yield int(match[1]), int(match[2]), int(match[3])


def _cursor(body: Any, offset: int, length: int) -> Cursor | None:
    """Read the cursor in one message of the body; None for admin, torn or foreign ones."""
    body.seek(offset)
    message: bytes = body.read(min(length, MESSAGE_BYTES_MAX))
    seq, index, part = _SEQ.search(message), _INDEX.search(message), _PART.search(message)
    if len(message) != length or seq is None or index is None or part is None:
        return None
    return int(seq[1]), int(index[1]), int(part[1])


class GatewayState(NamedTuple):
    """How the gateway ended. ``delivered`` maps a CompID to a seq that it has everything of.

    ``synced`` says that the stores were on disk when this was written; ``clean`` that the
    gateway stopped in order with nothing unanswered.
    """

    boot_id: str
    clean: bool
    synced: bool
    delivered: dict[str, int]


def read_state(folder: Path) -> GatewayState | None:
    """Read the state that the last run left, None if there is none that can be read."""
    try:
        values = json.loads((folder / "gateway.state").read_text(encoding="utf-8"))
        return GatewayState(
            str(values["boot_id"]),
            bool(values["clean"]),
            bool(values["synced"]),
            {str(name): int(seq) for name, seq in values["delivered"].items()},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_state(folder: Path, state: GatewayState, *, durable: bool) -> None:
    """Replace the state; ``durable`` brings it onto the disk, else into the kernel.

    Raises OSError.
    """
    path = folder / "gateway.state"
    text = json.dumps(state._asdict())
    if durable:
        write_durably(path, text)
    else:
        temporary = path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def write_durably(path: Path, text: str) -> None:
    """Replace a file so that after a power cut it is the old or the new one. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were added or removed in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def boot_id() -> str:
    """Return what changes with every start of the operating system."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
