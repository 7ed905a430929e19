"""Whatever the certifier adds and loses, the client's numbers are gapless once it has asked."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from certification.fix.numbering import Numbering, resend_range


def test_numbers_are_the_venues_until_something_is_added() -> None:
    numbering = Numbering()
    assert [numbering.visible(n) for n in (1, 2, 3)] == [1, 2, 3]
    numbering.seen(1)
    numbering.seen(2)
    assert numbering.next_visible == 3
    assert [numbering.inject(), numbering.inject()] == [3, 4]
    assert [numbering.visible(n) for n in (1, 2, 3, 4)] == [1, 2, 5, 6]
    assert [numbering.at_or_after(n) for n in (2, 3, 4, 5)] == [2, 3, 3, 3]
    assert [numbering.at_or_before(n) for n in (2, 3, 4, 5)] == [2, 2, 2, 3]
    saved = msgspec.json.encode(numbering)
    assert saved == b'{"shifts":[[3,2]],"next_venue":3}'
    assert msgspec.json.decode(saved, type=Numbering) == numbering
    numbering.reset()
    assert numbering.next_visible == 1


class World:
    """A venue, the certifier between, and a client that asks for what is missing."""

    def __init__(self) -> None:
        self.numbering = Numbering()
        self.venue: list[str] = []
        self.sent: dict[int, str] = {}
        self.got: dict[int, str] = {}
        self.expected = 1

    def deliver(self, visible: int, what: str) -> None:
        """The client takes a number in its turn and passes over the others."""
        if visible == self.expected:
            self.got[visible] = what
            self.expected += 1

    def step(self, what: str, lost: bool) -> None:
        if what == "inject":
            number = self.numbering.inject()
            text = f"ours {number}"
        else:
            self.venue.append(what)
            self.numbering.seen(len(self.venue))
            number = self.numbering.visible(len(self.venue))
            text = f"{what} {len(self.venue)}"
        assert number not in self.sent, "no number is used twice"
        self.sent[number] = text
        if not lost:
            self.deliver(number, text)

    def fill(self, begin: int, after: int) -> None:
        if begin == self.expected:
            self.expected = after

    def ask(self, end: int) -> None:
        """The client asks; the venue sends application messages, and gap-fills the others."""
        begin = self.expected
        walk = resend_range(self.numbering, begin, end)
        number = walk.venue_begin
        while number <= walk.venue_end:
            after = number + 1
            if self.venue[number - 1] == "admin":
                while after <= walk.venue_end and self.venue[after - 1] == "admin":
                    after += 1
            visible = self.numbering.visible(number)
            behind = self.numbering.visible(after) if after > number + 1 else visible + 1
            if self.venue[number - 1] == "admin":
                behind = self.numbering.visible(after)
            for fill in walk.pass_on(visible, behind):
                self.fill(fill.begin, fill.after)
            if self.venue[number - 1] == "admin":
                self.fill(visible, behind)
            else:
                self.deliver(visible, f"{self.venue[number - 1]} {number}")
            number = after
        for fill in walk.finish():
            self.fill(fill.begin, fill.after)


EVENTS = st.lists(
    st.tuples(st.sampled_from(["inject", "app", "admin"]), st.booleans()), max_size=40
)


@given(EVENTS, EVENTS, st.integers(0, 3))
def test_after_asking_the_client_has_every_application_message_once(
    before: list[tuple[str, bool]], later: list[tuple[str, bool]], short: int
) -> None:
    world = World()
    for what, lost in before:
        world.step(what, lost)
    if world.expected < world.numbering.next_visible:
        # Some engines ask up to a number, others for everything.
        end = world.expected + short - 1 if short else 0
        world.ask(end)
        if short:
            assert world.expected >= min(end + 1, world.numbering.next_visible)
    for what, lost in later:
        world.step(what, lost)
    world.ask(0)
    assert world.expected == world.numbering.next_visible
    told = [text for _, text in sorted(world.got.items()) if text.startswith("app")]
    assert told == [f"app {n}" for n, what in enumerate(world.venue, 1) if what == "app"]
    assert all(world.sent[number] == text for number, text in world.got.items())


@given(EVENTS)
def test_the_mapping_has_an_inverse(events: list[tuple[str, bool]]) -> None:
    world = World()
    for what, lost in events:
        world.step(what, lost)
    for number in range(1, len(world.venue) + 2):
        visible = world.numbering.visible(number)
        assert world.numbering.at_or_after(visible) == number
        assert world.numbering.at_or_before(visible) == number
    for visible in range(1, world.numbering.next_visible + 1):
        after = world.numbering.at_or_after(visible)
        assert world.numbering.visible(after) >= visible
        assert after == 1 or world.numbering.visible(after - 1) < visible
