"""The certifier: clients connect here, and behind it each has its own venue."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certification.api import http
from certification.api.http import HttpGate
from certification.api.referee import AccountReferee
from certification.api.websocket import StreamGate
from certification.attempt import CounterpartyFault
from certification.fix.client import READ_BYTES, FixClient, Identity
from certification.fix.counterparty import Counterparty
from certification.fix.numbering import Numbering
from certification.fix.proxy import REFUSAL_S, SessionProxy
from certification.fix.referee import Referee
from certification.fix.wire import Framer, Message
from certification.gate import Gate
from certification.judge import VENUE_S, Judge
from certification.report import files as reports
from certification.report.results import CaseResult, Report, Transcript, blank, report, stamp
from certification.report.signature import fingerprint, public_text
from certification.scenarios.programme import Programme
from certification.scenarios.scenario import WAY_S
from certification.venue import BAD_PRICE, PEER, PRICE, SYMBOL, Credentials, Ports

log = structlog.get_logger()

FIRST_MESSAGE_S: Final = 10.0
CONNECTIONS_MAX: Final = 256
TRADER_S: Final = 10.0
VENUE_HOST: Final = "127.0.0.1"
TARGET: Final = "TANDEM"
STATE: Final = "state.json"
NUMBERS: Final = "numbers.json"
REPORT: Final = "report"


class State(msgspec.Struct):
    """The state that survives a restart of the certifier: verdicts with their messages."""

    began: str
    run: str
    results: dict[str, CaseResult] = {}


@dataclass(frozen=True, slots=True)
class ClientVenue:
    """A client's venue: its credentials, its ports, and the folder of its files."""

    credentials: Credentials
    ports: Ports
    folder: Path


class ClientRun:
    """The run of one client: its sessions, its referees, its report."""

    def __init__(
        self, venue: ClientVenue, programme: Programme, key: Ed25519PrivateKey,
        say: Callable[[str, CaseResult], None], *, patience_s: float, venue_s: float = VENUE_S,
        way_s: float = WAY_S, news: bool = True,
    ) -> None:  # fmt: skip
        self.venue = venue
        self.programme = programme
        self.scenarios = tuple(s for s in programme.played if s.script("certify"))
        self._key = key
        self._say = say
        self._state = self._load()
        own = venue.credentials
        parameters = {
            "run": self._state.run, "symbol": SYMBOL, "price": PRICE, "bad_price": BAD_PRICE,
        }  # fmt: skip
        self.judge = Judge(
            self.scenarios, parameters, self._trader, self._begun, self._changed,
            patience_s=patience_s, venue_s=venue_s, way_s=way_s,
        )  # fmt: skip
        self.referee = Referee(self.judge, news=news)
        self.account = AccountReferee(
            self.judge, lambda request: http.forward(request, VENUE_HOST, venue.ports.http)
        )
        self.http = HttpGate(self.account.serve)
        self.stream = StreamGate(VENUE_HOST, venue.ports.stream, self.account)
        self.judge.results.update(self._state.results)
        numbers = self._load_numbers()
        for kind, comp_id in (
            ("main", own.comp_id), ("drop_copy", own.drop_copy), ("market_data", own.market_data),
        ):  # fmt: skip
            self.referee.sessions[kind] = SessionProxy(
                comp_id, (VENUE_HOST, venue.ports.fix), self.referee,
                numbers.get(kind, Numbering()), self._save_numbers, kind,
            )  # fmt: skip

    @property
    def name(self) -> str:
        """Return the client's CompID."""
        return self.venue.credentials.comp_id

    @property
    def sessions(self) -> list[SessionProxy]:
        """Return the sessions of the client."""
        return list(self.referee.sessions.values())

    @property
    def online(self) -> bool:
        """Return whether the client is logged on."""
        return any(self.referee.sessions[kind].live for kind in ("main", "market_data"))

    @property
    def playing(self) -> str:
        """Return the id of the case under way, "" if there is none."""
        return self.judge.playing

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the key that signs the report."""
        return fingerprint(public_text(self._key.public_key()))

    def files(self) -> Mapping[str, bytes]:
        """Return the report's files by name, as they were last written."""
        folder = self.venue.folder / REPORT
        return {path.name: path.read_bytes() for path in folder.glob("report.*")
                if path.suffix != ".part"}  # fmt: skip

    # Persistent state.

    def _load(self) -> State:
        path = self.venue.folder / STATE
        if path.exists():
            return msgspec.json.decode(path.read_bytes(), type=State)
        return State(began=stamp(), run=secrets.token_hex(3))

    def _load_numbers(self) -> dict[str, Numbering]:
        path = self.venue.folder / NUMBERS
        if path.exists():
            return msgspec.json.decode(path.read_bytes(), type=dict[str, Numbering])
        return {}

    def _save_numbers(self) -> None:
        """Save the sequence numbers before an injected one is used; a restart must not reuse it."""
        _replace(self.venue.folder / NUMBERS, msgspec.json.encode({
            kind: session.numbering
            for kind, session in self.referee.sessions.items()
        }))  # fmt: skip

    def _changed(self, result: CaseResult) -> None:
        self._begun(result)
        self._say(self.name, result)

    def _begun(self, result: CaseResult) -> None:
        """Save an attempt that has begun: if the certifier ends now, it has not passed."""
        self._state.results[result.id] = result
        _replace(self.venue.folder / STATE, msgspec.json.encode(self._state))
        self.write()

    def begin_anew(self) -> None:
        """Discard every verdict; sequence numbers stay."""
        self._state = State(began=stamp(), run=secrets.token_hex(3))
        self.judge.results.clear()
        _replace(self.venue.folder / STATE, msgspec.json.encode(self._state))

    # The account API.

    async def open_account(self, host: str, port: int) -> None:
        """Accept REST on a port and WebSockets on the next; 0 is any free port. Raises OSError."""
        await self.http.start(host, port)
        await self.stream.start(host, port + 1 if port else 0)

    # The report.

    def cases(self) -> list[CaseResult]:
        """Return the last result of every case of this run."""
        found = self.judge.results
        return [found.get(s.id) or blank(s, "Not begun.") for s in self.scenarios]

    def report(self) -> Report:
        """Return the report on the run so far."""
        return report(
            "certify", self.name, f"{TARGET}, certification venue of {self.name}",
            self._state.began, self.programme, self.judge.results.values(),
            {"symbol": SYMBOL, "run": self._state.run,
             "patience": f"{self.judge.patience_s:g} s"},
        )  # fmt: skip

    def write(self) -> Path:
        """Write the report's files, signed."""
        return reports.write(self.report(), self.venue.folder / REPORT, self._key)

    # The certifier's own sessions on the client's venue.

    async def _trader(self, name: str, transcript: Transcript) -> Counterparty:
        own = self.venue.credentials
        sender, user, password = PEER, "counterparty", own.peer_password
        if name == "desk":
            sender, user, password = own.desk, own.firm, own.desk_password
        identity = Identity(sender, TARGET, user, password)
        client = FixClient(VENUE_HOST, self.venue.ports.fix, identity, transcript, f"{name}:")
        try:
            answer = await client.logon(reset=True, seconds=TRADER_S)
        except (OSError, TimeoutError) as error:
            raise CounterpartyFault(f"its venue is not there: {error}") from None
        if answer is None:
            raise CounterpartyFault(f"{sender} was not let in")
        trader = Counterparty(client, SYMBOL, f"{name}-{secrets.token_hex(4)}", TRADER_S)
        if name == "peer":
            # What it left in the book when it was cut, or by an earlier run, is no part of a case.
            await trader.mass_cancel_firm()
        return trader

    async def close(self) -> None:
        """Log the certifier's own sessions out and write the report."""
        await self.http.stop()
        await self.stream.stop()
        await self.judge.close()
        self.write()


class FixGate(Gate):
    """Accepts FIX connections and hands each to the session named by SenderCompID(49)."""

    def __init__(self, runs: Iterable[ClientRun]) -> None:
        super().__init__(CONNECTIONS_MAX)
        self._sessions = {one.comp_id: one for run in runs for one in run.sessions}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the Logon and hand the connection to its session; close any other silently."""
        framer = Framer()
        first: Message | None = None
        pending: list[bytes] = []
        async with asyncio.timeout(FIRST_MESSAGE_S):
            while first is None and (data := await reader.read(READ_BYTES)):
                for frame in framer.feed(data):
                    if first is None:
                        first = Message(frame.raw) if frame.good else Message(b"")
                    else:
                        pending.append(frame.raw)
        session = self._sessions.get(first.get(49)) if first is not None else None
        if first is None or session is None or first.type != "A":
            await asyncio.sleep(REFUSAL_S)
            return
        behind = Framer()
        behind.put_back(b"".join(pending) + framer.rest())
        await session.serve(reader, writer, behind, first)


def _replace(path: Path, content: bytes) -> None:
    """Replace a file atomically."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.chmod(0o600)
    part.replace(path)
