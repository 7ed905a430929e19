"""Scenarios: the data of ``spec/certification``, read and checked.

A scenario is played in two directions. In *certify* the venue drives a client under test: the
client's messages are awaited and checked. In *conform* we are the client and the venue is
under test. ``steps`` serve both; a session case has ``certify`` and ``conform`` instead,
since there the fault is made by whichever side is ours.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec

from config.shipped import shipped

WAY_S: Final = 1.0
"""What a wait of some heartbeats has added, for the way and for a busy machine at its end."""
FOLDER: Final = shipped("spec/certification")
Direction = Literal["certify", "conform"]
Session = Literal["main", "second", "drop_copy"]
Interface = Literal["FIX", "REST", "WebSocket"]


class ScenarioFault(ValueError):
    """A scenario file is not usable; the message says where and why."""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step. Exactly one of ``client``, ``venue``, ``peer`` and ``do`` is set.

    ``client``   the client sends a message of this MsgType, or a request (``POST /v1/orders``)
    ``venue``    the venue sends a message of this MsgType, or a response (``201``)
    ``peer``     the counterparty acts: ``buy``, ``sell``, ``cancel``; ``desk-buy`` and
                 ``desk-sell`` is another trader of the client's own firm
    ``do``       something happens to the connection; the verbs are those of the runner

    ``fields`` are what the message must have (and, where we send it, has); ``send`` are values
    for sending only. ``first`` happens before the message goes on its way. ``within`` bounds
    the wait, in seconds or heartbeats (``1.5 heartbeats``). ``why`` tells the client what it
    means when this step fails, ``explain`` what it means when that field is wrong.

    A step of the account API names method and path, where ``{id}`` is any id; operations of
    the WebSocket are the same requests by another name, others are ``WS subscribe``, and a
    message of a channel is ``WS orders``. ``body`` are paths of the document, ``fields``
    parameters of the query, ``key`` the kind of key that signs. ``swallowed`` requests never
    arrive, of ``lost`` ones the answer never does, ``answer`` is one of the certifier's own
    (429, 503), ``again`` wants the document that was sent before, and a request that ``poll``s
    may come until its answer is what the next step wants.
    """

    client: str = ""
    venue: str = ""
    peer: str = ""
    do: str = ""
    name: str = ""
    session: Session = "main"
    fields: dict[str, str] = {}
    send: dict[str, str] = {}
    entries: tuple[dict[str, str], ...] = ()
    group: str = ""
    first: tuple[Step, ...] = ()
    within: str = ""
    why: str = ""
    explain: dict[str, str] = {}
    qty: str = ""
    price: str = ""
    rest: bool = False
    again: str = ""
    number: str = ""
    garbled: bool = False
    swallowed: bool = False
    times: int = 1
    silent: bool = False
    keep: bool = False
    key: str = ""
    body: dict[str, str] = {}
    lost: bool = False
    answer: str = ""
    poll: bool = False

    @property
    def kind(self) -> str:
        """Return ``client``, ``venue``, ``peer`` or ``do``."""
        return next(name for name in _KINDS if getattr(self, name))

    def seconds(self, heartbeat_s: float, default: float, way_s: float = WAY_S) -> float:
        """Return how long this step waits. Heartbeats have a time for the way added."""
        number, _, unit = self.within.partition(" ")
        if not number:
            return default
        return float(number) * heartbeat_s + way_s if unit.startswith("heart") else float(number)

    @property
    def http(self) -> bool:
        """Return whether this is a request, a response or a frame of the account API."""
        word = (self.client or self.venue).split(" ")[0].split("|")[0]
        return word in _METHODS or (self.venue != "" and word.isdigit() and len(word) == 3)


_KINDS: Final = ("client", "venue", "peer", "do")
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "WS"})


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A scenario. The texts are for the engineer of the client under test.

    ``quantity`` is the OrderQty that selects the scenario where the ClOrdID cannot.
    ``must`` is what every client needs; what is not ``must`` is certified if it is shown.
    ``extension`` needs messages that only this venue has. ``begins`` says with what a
    client begins it.
    """

    id: str
    title: str
    rules: tuple[str, ...]
    does: str
    venue: str
    passes: str
    fails: str
    told: str
    quantity: int = 0
    must: bool = True
    extension: bool = False
    begins: Literal["order", "logon", "list", "http"] = "order"
    steps: tuple[Step, ...] = ()
    certify: tuple[Step, ...] = ()
    conform: tuple[Step, ...] = ()
    part: str = ""

    @property
    def interface(self) -> Interface:
        """Return what it certifies a client for."""
        if self.begins != "http":
            return "FIX"
        return "WebSocket" if self.id.startswith("W") else "REST"

    @property
    def digest(self) -> str:
        """Return the SHA-256 of everything that the scenario says; comments do not count."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def script(self, direction: Direction) -> tuple[Step, ...]:
        """Return the steps in one direction; none if it is not played in that one."""
        return (self.certify if direction == "certify" else self.conform) or self.steps

    def needs(self, direction: Direction) -> set[str]:
        """Return what the steps need besides the main session: ``peer``, ``desk``, ``http``, …"""
        needs = set()
        for step in walk(self.script(direction)):
            if step.peer:
                needs.add("desk" if step.peer.startswith("desk") else "peer")
            if step.session == "drop_copy":
                needs.add("drop_copy")
            if step.http:
                needs.add("http")
        return needs


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    part: str
    scenario: tuple[Scenario, ...]


def walk(steps: Iterable[Step]) -> Iterable[Step]:
    """Yield every step, also those within others."""
    for step in steps:
        yield step
        yield from walk(step.first)


def load(folder: Path = FOLDER) -> tuple[Scenario, ...]:
    """Load every scenario, in order of the ids. Raises ScenarioFault."""
    found: dict[str, Scenario] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            content = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ScenarioFault(f"{path.name}: {error}") from None
        for scenario in content.scenario:
            if scenario.id in found:
                raise ScenarioFault(f"{path.name}: {scenario.id} is there twice")
            _check(path, scenario)
            found[scenario.id] = msgspec.structs.replace(scenario, part=content.part)
    if not found:
        raise ScenarioFault(f"there are no scenarios in {folder}")
    quantities = [s.quantity for s in found.values() if s.quantity]
    if len(set(quantities)) < len(quantities):
        raise ScenarioFault("two scenarios have the same quantity")
    return tuple(sorted(found.values(), key=lambda s: (_ORDER.find(s.id[0]), s.id)))


_ORDER: Final = "SABDRHW"


def _check(path: Path, scenario: Scenario) -> None:
    where = f"{path.name}: {scenario.id}"
    if not (len(scenario.id) == 3 and scenario.id[0] in _ORDER and scenario.id[1:].isdigit()):
        raise ScenarioFault(f"{where} is no id like A07")
    if not (scenario.steps or scenario.certify or scenario.conform):
        raise ScenarioFault(f"{where} has no steps")
    if scenario.steps and scenario.certify and scenario.conform:
        raise ScenarioFault(f"{where} has steps that are never played")
    for steps in (scenario.steps, scenario.certify, scenario.conform):
        for number, step in enumerate(walk(steps), 1):
            if sum(bool(getattr(step, kind)) for kind in _KINDS) != 1:
                raise ScenarioFault(f"{where}, step {number} is not exactly one of {_KINDS}")
            for inner in step.first:
                if inner.kind not in ("peer", "do"):
                    raise ScenarioFault(f"{where}, step {number}: only peers act first")
    if scenario.begins == "order" and scenario.script("certify"):
        opening = scenario.script("certify")[0]
        if opening.client != "D" or opening.fields.get("38") != str(scenario.quantity):
            raise ScenarioFault(f"{where} does not begin with an order of its quantity")


def chosen(scenarios: Iterable[Scenario], names: Iterable[str]) -> tuple[Scenario, ...]:
    """Return the scenarios whose id is named, or begins as named (``A``, ``S0``); all for none.

    Raises ScenarioFault for a name that fits nothing.
    """
    every = tuple(scenarios)
    wanted = [name.strip().upper() for name in names if name.strip()]
    for name in wanted:
        if not any(scenario.id.startswith(name) for scenario in every):
            raise ScenarioFault(f"no scenario is called {name}; there are "
                                f"{', '.join(s.id for s in every)}")  # fmt: skip
    if not wanted:
        return every
    return tuple(s for s in every if any(s.id.startswith(name) for name in wanted))
