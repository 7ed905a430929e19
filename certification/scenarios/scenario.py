"""Scenarios: the data of ``spec/certification``, loaded and validated.

A scenario is played in one of two directions. In *certify* a client is under test: its messages
are awaited and checked. In *conform* a venue is under test and this program is the client.
``steps`` serve both; a session case has ``certify`` and ``conform`` instead, since the side that
is not under test makes the fault.
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
"""Added to a wait given in heartbeats, for the network and a busy machine, in seconds."""
FOLDER: Final = shipped("spec/certification")
Direction = Literal["certify", "conform"]
Session = Literal["main", "second", "drop_copy", "market_data"]
Interface = Literal["FIX", "MarketData", "REST", "WebSocket"]


class ScenarioFault(ValueError):
    """A scenario file is not usable; the message says where and why."""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step. Exactly one of ``client``, ``venue``, ``peer`` and ``do`` is set.

    ``client``   the client sends a message of this MsgType, or a request (``POST /v1/orders``)
    ``venue``    the venue sends a message of this MsgType, or a response (``201``)
    ``peer``     the counterparty acts: ``buy``, ``sell``, ``cancel``; in ``desk-buy`` and
                 ``desk-sell`` it is another trader of the client's firm
    ``do``       an action on the connection; each runner has its own verbs

    ``fields`` are the values that the message must have, and has if the runner sends it; ``send``
    are values for sending only. ``first`` are steps before the message is forwarded. ``within``
    bounds the wait, in seconds or heartbeats (``1.5 heartbeats``). ``why`` explains to the client
    why the step failed, ``explain`` why that field is wrong.

    A step of the account API has a method and a path, in which ``{id}`` is any id; an operation
    of the WebSocket is written as its REST request, any other is ``WS subscribe``, and a
    message of a channel is ``WS orders``. ``body`` are paths of the document, ``fields``
    parameters of the query, ``key`` the kind of key that signs. A ``swallowed`` request is
    dropped, of a ``lost`` one the response is; ``answer`` is a response that the certifier sends
    itself (429, 503), ``again`` requires the document that was sent before, and a request that
    ``poll``s may be repeated until its response matches the next step.
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
        """Return how long this step waits, in seconds; ``way_s`` is added to heartbeats."""
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

    ``quantity`` is the OrderQty that selects the scenario if the ClOrdID does not. ``must`` is set
    if every client has to pass it; any other is optional. ``extension`` is set if it needs
    messages that only this venue has. ``begins`` is the message with which a client begins it.
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
    begins: Literal["order", "logon", "list", "market_data", "http"] = "order"
    steps: tuple[Step, ...] = ()
    certify: tuple[Step, ...] = ()
    conform: tuple[Step, ...] = ()
    part: str = ""

    @property
    def interface(self) -> Interface:
        """Return the interface that it certifies."""
        if self.begins == "market_data":
            return "MarketData"
        if self.begins != "http":
            return "FIX"
        return "WebSocket" if self.id.startswith("W") else "REST"

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the scenario's content, without comments."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def script(self, direction: Direction) -> tuple[Step, ...]:
        """Return the steps in a direction, none if the scenario is not played in it."""
        return (self.certify if direction == "certify" else self.conform) or self.steps

    def needs(self, direction: Direction) -> set[str]:
        """Return the sessions needed besides the main one (``peer``, ``desk``, …), and ``http``."""
        needs = set()
        for step in walk(self.script(direction)):
            if step.peer:
                needs.add("desk" if step.peer.startswith("desk") else "peer")
            if step.session in ("drop_copy", "market_data"):
                needs.add(step.session)
            if step.http:
                needs.add("http")
        return needs


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    part: str
    scenario: tuple[Scenario, ...]


def walk(steps: Iterable[Step]) -> Iterable[Step]:
    """Yield every step, including those in ``first``."""
    for step in steps:
        yield step
        yield from walk(step.first)


def load(folder: Path = FOLDER) -> tuple[Scenario, ...]:
    """Load every scenario, ordered by id. Raises ScenarioFault."""
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


_ORDER: Final = "SABDRMHW"


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
    if scenario.begins == "market_data":
        opening = scenario.script("certify")[0]
        if opening.client not in ("V", "e") or opening.session != "market_data":
            raise ScenarioFault(f"{where} does not begin with a request for market data")


def chosen(scenarios: Iterable[Scenario], names: Iterable[str]) -> tuple[Scenario, ...]:
    """Return the scenarios with these ids or prefixes of ids (``A``, ``S0``); all if none is given.

    Raises ScenarioFault for a name that matches nothing.
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
