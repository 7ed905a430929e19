"""Records that other processes store: compared versions, bounds, and what is told since when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.core import stored_records
from engine.core.commands import DefineAccount, StoreRecords
from engine.core.events import RecordsStored, Refused
from engine.core.exchange import Exchange
from engine.core.types import Origin, RejectReason, SelfTrade
from tests.support.venue import violations

ME = Origin("api:test")
KEYS = "api_keys"


class Store:
    """An exchange with two firms."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        for firm in ("acme", "bolt"):
            self.do(DefineAccount(ME, firm, firm, 0, 0, SelfTrade.NONE, 10))

    def do(self, command: Any) -> Any:
        (event,) = self.exchange.apply(self.exchange.seq + 1, self.exchange.seq + 1, command)
        assert violations(self.exchange) == []
        return event

    def store(
        self, expected: int, *changes: tuple[str, str], owner: str = "acme", name: str = KEYS
    ) -> Any:
        return self.do(StoreRecords(ME, name, owner, expected, changes))

    def since(self, seq: int, name: str = KEYS) -> tuple[bool, list[tuple[str, str]]]:
        whole, rows = stored_records.changed_since(self.exchange.collections[name], seq)
        return whole, [(row.key, row.value) for row in rows]


@pytest.fixture
def venue() -> Store:
    return Store()


def test_of_two_changes_on_one_version_the_second_is_refused(venue: Store) -> None:
    first = venue.store(0, ("a", "1"))
    assert isinstance(first, RecordsStored)
    assert (first.version, first.keys) == (venue.exchange.seq, ("a",))
    refused = venue.store(0, ("b", "2"))
    assert isinstance(refused, Refused) and refused.reason is RejectReason.MISMATCH
    assert venue.since(0) == (True, [("a", "1")]), "a refused change changes nothing"
    assert isinstance(venue.store(first.version, ("b", "2")), RecordsStored)


def test_owners_do_not_wait_for_each_other(venue: Store) -> None:
    venue.store(0, ("a", "1"))
    assert isinstance(venue.store(0, ("a", "of bolt"), owner="bolt"), RecordsStored)
    assert isinstance(venue.store(0, ("a", "of the venue"), owner=""), RecordsStored)


def test_what_has_changed_since_comes_oldest_first(venue: Store) -> None:
    one = venue.store(0, ("a", "1"), ("b", "1")).version
    two = venue.store(one, ("a", "2")).version
    assert venue.since(one) == (False, [("a", "2")])
    assert venue.since(two) == (False, [])
    assert venue.since(0) == (True, [("b", "1"), ("a", "2")])


def test_after_a_deletion_who_had_the_record_is_told_all_there_is(venue: Store) -> None:
    one = venue.store(0, ("a", "1"), ("b", "1")).version
    two = venue.store(one, ("a", "")).version
    assert venue.since(one) == (True, [("b", "1")])
    assert venue.since(two) == (False, [])
    assert venue.since(two + 9) == (True, [("b", "1")]), "it comes from another venue"


def test_numbers_are_never_used_again(venue: Store) -> None:
    one = venue.store(0, ("a", "1"), ("b", "1")).version
    two = venue.store(one, ("b", "")).version
    venue.store(two, ("c", "1"), ("a", "2"))
    _, rows = stored_records.changed_since(venue.exchange.collections[KEYS], 0)
    assert {row.key: row.number for row in rows} == {"a": 1, "c": 3}


@pytest.mark.parametrize(
    ("name", "owner", "changes", "said"),
    [
        ("other", "acme", (("a", "1"),), "there is no collection 'other'"),
        (KEYS, "nobody", (("a", "1"),), "there is no firm 'nobody'"),
        (KEYS, "acme", (), "a change has 1 to 500 records"),
        (KEYS, "acme", tuple((str(n), "1") for n in range(501)), "1 to 500 records"),
        (KEYS, "acme", (("a", "1"), ("a", "2")), "each record once"),
        (KEYS, "acme", (("", "1"),), "1 to 128 characters"),
        (KEYS, "acme", (("a" * 129, "1"),), "1 to 128 characters"),
        (KEYS, "acme", (("a", "x" * 4_097),), "at most 4096 characters"),
        ("master_key", "", (("a", "1"), ("b", "1")), "its maximum of 1 records"),
    ],
)
def test_what_is_out_of_bounds_is_refused(
    venue: Store, name: str, owner: str, changes: tuple[tuple[str, str], ...], said: str
) -> None:
    event = venue.store(0, *changes, owner=owner, name=name)
    assert isinstance(event, Refused) and event.reason is RejectReason.INVALID_FIELD
    assert said in event.text
    collection = venue.exchange.collections.get(name)
    assert collection is None or not collection.records


def test_a_full_collection_can_be_changed_and_not_grow(venue: Store) -> None:
    one = venue.store(0, ("a", "1"), owner="", name="master_key").version
    two = venue.store(one, ("a", "2"), owner="", name="master_key").version
    assert isinstance(venue.store(two, ("b", "1"), owner="", name="master_key"), Refused)


def test_a_restored_venue_goes_on_alike(venue: Store) -> None:
    one = venue.store(0, ("a", "1"), ("b", "1")).version
    two = venue.store(one, ("a", ""), ("c", "é")).version
    exported = json.loads(json.dumps(venue.exchange.export_state()))
    again = Exchange.restore(exported)
    assert again.state_hash() == venue.exchange.state_hash()
    change = StoreRecords(ME, KEYS, "acme", two, (("b", "2"), ("d", "1")))
    seq = venue.exchange.seq + 1
    assert again.apply(seq, seq, change) == venue.exchange.apply(seq, seq, change)
    assert again.state_hash() == venue.exchange.state_hash()
    assert again.collections[KEYS].records == venue.exchange.collections[KEYS].records


def test_each_change_is_in_the_hash_of_the_state(venue: Store) -> None:
    before = venue.exchange.state_hash()
    version = venue.store(0, ("a", "1")).version
    between = venue.exchange.state_hash()
    venue.store(version, ("a", "1"))
    assert len({before, between, venue.exchange.state_hash()}) == 3
