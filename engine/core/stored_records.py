"""Records that other processes store in the engine, so that every machine has them.

The engine does not look into a record: its value is text of the process that stored it. Records
form collections, and within one those of one *owner* (a firm, or "" for the venue) have a common
version: the seq of their last change. A change names the version that it is based on and is refused
if there is a newer one. So whoever has read all records of an owner can check any rule across them
(a limit, a unique name) and store the result, although others do the same at the same time.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from engine.core.commands import StoreRecords
from engine.core.events import RecordsStored
from engine.core.types import RejectReason, StoredRecord
from engine.core.venue import Collection, Venue

CHANGES_MAX: Final = 500
KEY_LENGTH_MAX: Final = 128


class Bounds(NamedTuple):
    """How many records a collection may hold, and how long a value may be, in characters."""

    records_max: int
    value_length_max: int


COLLECTIONS: Final = {
    "api_keys": Bounds(65_536 + 4_096, 4_096),
    "master_key": Bounds(1, 128),
    "webhook_endpoints": Bounds(10_000, 8_192),
    "webhook_requests": Bounds(100_000, 512),
}
"""API keys are never deleted; above the most that can be made there is room for revocations of
configured ones."""


def store(venue: Venue, c: StoreRecords) -> None:
    """Change records of one owner: all of them, or none."""
    fault = _fault(venue, c)
    if fault:
        venue.refuse("", c.collection, RejectReason.INVALID_FIELD, fault)
        return
    collection = venue.collections.get(c.collection)
    known = collection.versions.get(c.owner, 0) if collection is not None else 0
    if known != c.expected:
        text = f"the records of {c.owner or 'the venue'} have version {known}, not {c.expected}"
        venue.refuse("", c.collection, RejectReason.MISMATCH, text)
        return
    if collection is None:
        collection = venue.collections[c.collection] = Collection()
    keys = {key for key, value in c.changes if value}
    added = len([key for key in keys if (c.owner, key) not in collection.records])
    most = COLLECTIONS[c.collection].records_max
    if len(collection.records) + added > most:
        text = f"the collection {c.collection} has its maximum of {most} records"
        venue.refuse("", c.collection, RejectReason.INVALID_FIELD, text)
        return
    for key, value in c.changes:
        _change(venue, collection, c.owner, key, value)
    collection.versions[c.owner] = venue.seq
    collection.version = venue.seq
    venue.emit_public(
        RecordsStored, c.collection, c.owner, venue.seq, tuple(key for key, _ in c.changes)
    )


def _fault(venue: Venue, c: StoreRecords) -> str:
    """Return what is wrong with a change by itself, or ""."""
    bounds = COLLECTIONS.get(c.collection)
    if bounds is None:
        return f"there is no collection {c.collection[:40]!r}"
    if c.owner and c.owner not in venue.firms:
        return f"there is no firm {c.owner[:40]!r}"
    if not 1 <= len(c.changes) <= CHANGES_MAX:
        return f"a change has 1 to {CHANGES_MAX} records"
    if len({key for key, _ in c.changes}) != len(c.changes):
        return "a change has each record once"
    if not all(0 < len(key) <= KEY_LENGTH_MAX for key, _ in c.changes):
        return f"the key of a record has 1 to {KEY_LENGTH_MAX} characters"
    if any(len(value) > bounds.value_length_max for _, value in c.changes):
        return (
            f"the value of a record of {c.collection} has at most {bounds.value_length_max} "
            "characters"
        )
    return ""


def _change(venue: Venue, collection: Collection, owner: str, key: str, value: str) -> None:
    """Store or, with an empty value, delete one record; the changed one becomes the newest."""
    place = (owner, key)
    known = collection.records.pop(place, None)
    if not value:
        if known is not None:
            collection.deleted_at = venue.seq
        return
    if known is None:
        number, collection.next_number = collection.next_number, collection.next_number + 1
    else:
        number = known.number
    collection.records[place] = StoredRecord(owner, key, value, number, venue.seq)


def changed_since(collection: Collection, seq: int) -> tuple[bool, list[StoredRecord]]:
    """Return whether the answer is the whole collection, and what was changed after a seq,
    oldest first. O(changed).

    It is the whole if a record was deleted since: what was deleted is not kept.
    """
    if seq < collection.deleted_at or seq > collection.version:
        return True, list(collection.records.values())
    found = []
    for record in reversed(collection.records.values()):
        if record.changed_at <= seq:
            break
        found.append(record)
    return not seq, found[::-1]


def changed_count(collection: Collection, seq: int) -> int:
    """Return at least how many records ``changed_since`` looks at. O(1)."""
    whole = not seq or seq < collection.deleted_at or seq > collection.version
    return len(collection.records) if whole else 0


def violations(venue: Venue) -> list[str]:
    """Return a sentence for every collection that does not add up."""
    faults = []
    for name, collection in venue.collections.items():
        rows = list(collection.records.values())
        seqs = [row.changed_at for row in rows]
        numbers = {row.number for row in rows}
        if seqs != sorted(seqs) or any(seq > collection.version for seq in seqs):
            faults.append(f"the records of {name} are not in the order of their changes")
        if len(numbers) != len(rows) or max(numbers, default=0) >= collection.next_number:
            faults.append(f"two records of {name} have the same number")
        if any(row.changed_at > collection.versions.get(row.owner, 0) for row in rows):
            faults.append(f"a record of {name} is newer than its owner's version")
    return faults


def export(venue: Venue) -> dict[str, list[Any]]:
    """Return the collections as plain rows, records in the order of their changes."""
    named = list(venue.collections.items())
    return {
        "collections": [
            [name, one.version, one.deleted_at, one.next_number] for name, one in named
        ],
        "record_versions": [
            [name, owner, version] for name, one in named for owner, version in one.versions.items()
        ],
        "records": [[name, *record] for name, one in named for record in one.records.values()],
    }


def restore(venue: Venue, exported: dict[str, Any]) -> None:
    """Fill the collections of an empty venue from an export."""
    for name, version, deleted_at, next_number in exported.get("collections", ()):
        collection = venue.collections[name] = Collection()
        collection.version, collection.deleted_at = version, deleted_at
        collection.next_number = next_number
    for name, owner, version in exported.get("record_versions", ()):
        venue.collections[name].versions[owner] = version
    for name, owner, key, value, number, changed_at in exported.get("records", ()):
        record = StoredRecord(owner, key, value, number, changed_at)
        venue.collections[name].records[owner, key] = record
