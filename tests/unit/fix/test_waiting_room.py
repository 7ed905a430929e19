"""Places before a Logon: few for each address, and who comes last gets in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fix_gateway.door.waiting_room import WaitingRoom


def test_the_oldest_of_an_address_makes_room_for_its_newest() -> None:
    room: WaitingRoom[int] = WaitingRoom(10, 3)
    assert [room.enter(number, "a") for number in range(3)] == [None] * 3
    assert room.enter(3, "a") == 0
    assert room.enter(4, "b") is None
    assert room.enter(5, "a") == 1
    assert len(room) == 4


def test_when_all_places_are_taken_the_address_with_the_most_makes_room() -> None:
    room: WaitingRoom[int] = WaitingRoom(6, 5)
    for number in range(5):
        room.enter(number, "flood")
    room.enter(5, "other")
    assert room.enter(6, "good") == 0
    assert room.enter(7, "good") == 1
    room.leave(7)
    assert room.enter(8, "late") is None


def test_who_has_said_something_goes_last() -> None:
    room: WaitingRoom[int] = WaitingRoom(10, 2)
    room.enter(1, "a")
    room.enter(2, "a")
    assert room.move(1, "a") is None
    assert room.enter(3, "a") == 2


def test_behind_a_proxy_an_address_counts_from_when_it_is_known() -> None:
    room: WaitingRoom[int] = WaitingRoom(10, 1)
    for number in range(5):
        assert room.enter(number, "") is None
    assert room.move(0, "client") is None
    assert room.move(1, "client") == 0
    room.leave(0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_the_newest_always_has_a_place_and_the_bounds_hold(steps: list[tuple[str, bool]]) -> None:
    room: WaitingRoom[int] = WaitingRoom(7, 4)
    here: dict[int, str] = {}
    for number, (address, leaves) in enumerate(steps):
        goes = room.enter(number, address)
        here[number] = address
        if goes is not None:
            assert goes != number
            del here[goes]
        if leaves:
            oldest = min(here)
            room.leave(oldest)
            del here[oldest]
        assert len(room) == len(here) <= 7
        assert all(list(here.values()).count(each) <= 4 for each in "abc")
