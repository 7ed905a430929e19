"""The throttle over the real gateway: what is refused, what never is, and who is logged out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import argon2
import pytest

from engine.client import queries
from tests.fix.conftest import Connect
from tests.fix.processes import Venue, logged_on
from tests.fix.rawfix import RawFix, encode, now_text

BURST = 5
_numbers = count(1)


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """With sessions T1 to T4 of alice, which may send one order in a second, five at once."""
    with Venue(tmp_path_factory.mktemp("throttle"), extra=limited_sessions()) as running:
        yield running.start()


def limited_sessions() -> str:
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    return "".join(
        f'\n[[sessions]]\ncomp_id = "T{number}"\naccount = "alice"\nusername = "t{number}"\n'
        f'password_hash = "{hasher.hash(f"t{number}-demo")}"\n'
        f"throttle_rate = 1\nthrottle_burst = {BURST}\n"
        for number in range(1, 5)
    )


_sessions = count(1)


@pytest.fixture
def alice(connect: Connect) -> RawFix:
    """A limited session of alice with a full bucket, another one for each test."""
    client = connect(f"T{next(_sessions)}")
    client.logon(reset=True)
    return client


def names(amount: int) -> list[str]:
    return [f"t{next(_numbers)}" for _ in range(amount)]


def burst(client: RawFix, ids: list[str], replace: str = "") -> None:
    """Orders, and a replace, in one piece, so that next to no time passes between them."""
    messages = [client.header("D") + client.order_fields(own_id, price="10") for own_id in ids]
    if replace:
        messages.append(client.header("G") + replace)
    client.send_raw(b"".join(map(encode, messages)))


def test_orders_and_replaces_are_refused_and_cancels_never(alice: RawFix) -> None:
    ids = names(BURST + 1)
    change = names(1)[0]
    about = f"55=BTC-USD|54=1|60={now_text()}|"
    burst(alice, ids, f"11={change}|41={ids[0]}|{about}40=2|38=0.02|")
    reports = alice.collect(BURST + 1)
    assert [report["150"] for report in reports] == ["0"] * BURST + ["8"]
    refused = reports[-1]
    assert (refused["11"], refused["39"], refused["103"], refused["20016"]) == (
        ids[-1], "8", "99", "throttled",
    )  # fmt: skip
    assert "1 orders and replaces a second" in refused["58"] and "5 at once" in refused["58"]
    rejected = alice.expect("9")
    assert [rejected[tag] for tag in ("11", "434", "102", "20016")] == [
        change, "2", "99", "throttled",
    ]  # fmt: skip
    assert rejected["39"] == "0", "the order is as it was"
    for own_id in ids[:-1]:
        alice.send("F", f"11={names(1)[0]}|41={own_id}|{about}")
    assert [report["150"] for report in alice.collect(BURST)] == ["4"] * BURST
    alice.send("q", f"11={names(1)[0]}|530=7|60={now_text()}|")
    assert alice.expect("r")["531"] == "7"
    alice.logout()


def test_a_batch_weighs_what_it_enters(alice: RawFix) -> None:
    ids = names(BURST)
    entries = "".join(
        f"20011=D|11={own_id}|55=BTC-USD|54=1|38=0.01|40=2|44=10|59=1|" for own_id in ids
    )
    alice.send("UB", f"66={names(1)[0]}|60={now_text()}|20010={BURST}|{entries}")
    alice.collect(BURST)
    assert alice.expect("UC")["20015"] == str(BURST)
    cancels = "".join(f"20011=F|11={own_id}c|41={own_id}|55=BTC-USD|54=1|" for own_id in ids)
    alice.send("UB", f"66={names(1)[0]}|60={now_text()}|20010={BURST}|{cancels}")
    assert [report["150"] for report in alice.collect(BURST)] == ["4"] * BURST
    assert alice.expect("UC")["20015"] == str(BURST)
    more = entries.replace("11=t", "11=u")
    alice.send("UB", f"66={names(1)[0]}|60={now_text()}|20010={BURST}|{more}")
    refused = alice.expect("UC")
    assert (refused["20014"], refused["20016"]) == ("1", "throttled")
    alice.logout()


def test_what_was_refused_stays_refused_when_it_comes_again(
    alice: RawFix, connect: Connect, venue: Venue
) -> None:
    ids = names(BURST + 1)
    burst(alice, ids)
    assert alice.collect(BURST + 1)[-1]["20016"] == "throttled"
    num = alice.num - 1
    alice.close()
    assert venue.gateway is not None
    venue.gateway.kill()
    venue.start_gateway()
    back = logged_on(venue, alice.comp_id, num=alice.num)
    fields = back.order_fields(ids[-1], price="10")
    back.send("D", fields, num=num, extra=f"43=Y|122={now_text()}|")
    back.send("1", "112=done|")
    assert back.expect("0")["112"] == "done"
    rows = venue.client().fetch(queries.OpenOrders("alice")).value
    assert ids[-1] not in {row.order.client_order_id for row in rows}
    back.close()


def test_who_floods_is_logged_out_with_a_reason_and_others_are_not(
    alice: RawFix, connect: Connect, venue: Venue
) -> None:
    bob = connect("BOB")
    bob.logon(reset=True)
    burst(alice, names(100))
    while (message := alice.receive())["35"] != "5":
        assert message["35"] == "8", message
    assert "above the limit" in message["58"]
    alice.send("5")
    assert venue.gateway is not None
    venue.gateway.wait_for("cut", session=alice.comp_id, reason="floods")
    for own_id in names(3 * BURST):
        bob.order(own_id, price="10")
    assert {report["150"] for report in bob.collect(3 * BURST)} == {"0"}
    bob.logout()
    alice.expect_closing()
    back = connect(alice.comp_id, num=alice.num)
    assert back.logon()["35"] == "A"
    back.close()
