"""A store that cannot be written for a moment: no session goes on in silence, nothing is lost."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client import queries
from tests.fix.processes import Venue, logged_on
from tests.fix.rawfix import Closed, Message, RawFix
from tests.support.disks import SmallDisk, small_disk

pytestmark = [pytest.mark.serial, pytest.mark.timeout(120)]
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def body(venue: Venue, comp_id: str) -> Path:
    (found,) = venue.data.rglob(f"FIX.4.4-TANDEM-{comp_id}.body")
    return found


def until_cut(client: RawFix) -> list[Message]:
    """Send orders until the connection ends; the reports that came before."""
    number = 0
    try:
        while number < 500:
            number += 1
            client.order(f"{client.comp_id}-{number}", price="10")
            client.expect("8")
    except (Closed, OSError):
        return [message for message in client.received if message["35"] == "8"]
    raise AssertionError("it goes on")


def entered(venue: Venue, account: str) -> set[str]:
    rows = venue.client().fetch(queries.OpenOrders(account, False)).value
    return {row.order.client_order_id for row in rows}


def back_again(venue: Venue, comp_id: str, num: int) -> RawFix:
    """Log on as soon as the session is let in."""
    while True:
        client = RawFix(venue.address, comp_id, num=num)
        client.send("A", client.logon_fields())
        try:
            client.expect("A")
            return client
        except (Closed, OSError):
            client.close()


def reported(client: RawFix) -> set[str]:
    """The ids of all orders that the session was told of, by asking for everything again."""
    client.send("2", "7=1|16=0|")
    client.send("1", "112=all|")
    while client.receive().get("112") != "all":
        pass
    return {message["11"] for message in client.received if message["35"] == "8"}


def proves_itself(venue: Venue, alice: RawFix, seen: list[Message]) -> None:
    """What was entered while the store was full is told afterwards; then all goes on as usual."""
    orders = entered(venue, "alice")
    assert len(orders) > len(seen), "an order was taken whose report could not be stored"
    back = back_again(venue, "ALICE", alice.num)
    assert reported(back) >= orders
    back.order("after", price="10")
    while (report := back.receive())["35"] != "8" or report["11"] != "after":
        pass
    assert "43" not in report
    assert venue.gateway is not None and venue.gateway.popen.poll() is None
    back.logout()


@pytest.fixture
def venue(own_venue: Venue) -> Venue:
    return own_venue.start()


def test_a_store_that_cannot_grow_for_a_moment_is_opened_again(venue: Venue) -> None:
    """The file of one session alone: others are told as before."""
    assert venue.gateway is not None
    alice = logged_on(venue, "ALICE", reset=True)
    alice.order("first", price="10")
    alice.expect("8")
    bob = logged_on(venue, "BOB", reset=True)
    pid = venue.gateway.popen.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (body(venue, "ALICE").stat().st_size + 3000, -1))
    seen = until_cut(alice)
    assert venue.gateway.wait_for("cut", reason="its store cannot be written")
    refused = RawFix(venue.address, "ALICE", num=alice.num)
    refused.send("A", refused.logon_fields())
    assert b"\x0135=A\x01" not in refused.closed(), "nobody is let in who could not be told"
    bob.order("of-bob", price="10")
    assert bob.expect("8")["11"] == "of-bob"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, UNLIMITED)
    venue.gateway.wait_for("store_reopened", session="ALICE")
    proves_itself(venue, alice, seen)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", "2m") as mounted:
        yield mounted


def test_a_full_disk_under_the_stores_is_survived(tmp_path: Path, disk: SmallDisk) -> None:
    with Venue(tmp_path, {r"\[fix\]\n": f'[fix]\nstore = "{disk.folder}"\n'}) as venue:
        venue.start()
        assert venue.gateway is not None
        alice = logged_on(venue, "ALICE", reset=True)
        disk.fill()
        seen = until_cut(alice)
        assert venue.gateway.wait_for("store_not_reopened")
        disk.free()
        venue.gateway.wait_for("store_reopened")
        proves_itself(venue, alice, seen)
