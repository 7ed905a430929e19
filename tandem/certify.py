"""``tandem certify``: certify clients, each against its own venue."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.markup import escape

from certification.progress import ProgressPage
from certification.report import files as reports
from certification.report.results import VERSION, CaseResult, Report
from certification.report.signature import SignatureFault, load_public
from certification.scenarios.programme import Programme
from certification.server import TARGET, ClientRun, ClientVenue, FixGate
from certification.venue import NETWORK, CredentialsFault, write_private
from config.process import log_json_lines
from config.settings import SettingsError
from tandem.certification_run import prepare, show
from tandem.lane import ACCOUNT_PROCESSES, FIX_PROCESSES, MARKET_DATA_PROCESSES, Lane
from tandem.output import CommandError
from tandem.supervisor import StartError

LOG: Final = "certify.log"
SHEET: Final = "settings-for-the-client.txt"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command. ``until_passed`` ends the command when every case has passed.

    ``account_port`` is the first client's port for REST; its WebSocket has the next one, the
    second client the two after that. 0 takes any.
    """

    clients: Sequence[str]
    host: str
    port: int
    page_port: int
    account_port: int
    folder: Path
    key: Path
    cases: Sequence[str]
    interfaces: Sequence[str]
    patience_s: float
    news: bool
    anew: bool
    until_passed: bool


def certify(options: Options, console: Console) -> int:
    """Serve until told to stop. Raises CommandError.

    Return 0 when every client is certified for what it has tried; with chosen cases, which
    certify nothing, when all of them have passed.
    """
    course, key = prepare(options.cases, options.interfaces, options.key)
    options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (options.folder / LOG).open("a", encoding="utf-8") as log:
        log_json_lines(log)
        try:
            return asyncio.run(_serve(options, course, key, console))
        except (CredentialsFault, SettingsError, StartError, OSError) as error:
            raise CommandError(str(error)) from None


async def _serve(
    options: Options, course: Programme, key: Ed25519PrivateKey, console: Console
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    runs: list[ClientRun] = []

    def say(name: str, result: CaseResult) -> None:
        console.print(f"[bold]{name:>10}[/bold] ", end="")
        show(console, result)
        passed = all(case.verdict == "passed" for run in runs for case in run.cases())
        if options.until_passed and passed:
            stop.set()

    async with AsyncExitStack() as stack:
        certified = {one.interface for one in course.played}
        account = not certified.isdisjoint(("REST", "WebSocket"))
        names = ACCOUNT_PROCESSES if account else FIX_PROCESSES
        if "MarketData" in certified:
            names = tuple(dict.fromkeys((*names, *MARKET_DATA_PROCESSES)))
        lanes = await _lanes(options, names, console, stack)
        for lane in lanes:
            runs.append(_run(lane, options, course, key, say))
            stack.push_async_callback(runs[-1].close)
        gate, page = await _listen(options, runs, account, stack)
        for lane, run in zip(lanes, runs, strict=True):
            _hand_out(lane, options, gate.port, run if account else None)
        _welcome(lanes, options, gate, page, console)
        await stop.wait()
        console.print("Ending …")
    return _farewell(runs, console)


def _run(
    lane: Lane, options: Options, course: Programme, key: Ed25519PrivateKey,
    say: Callable[[str, CaseResult], None],
) -> ClientRun:  # fmt: skip
    """Return the run of one client, as an earlier command left it unless that is forgotten."""
    venue = ClientVenue(lane.credentials, lane.ports, lane.folder)
    run = ClientRun(venue, course, key, say, patience_s=options.patience_s, news=options.news)
    if options.anew:
        run.begin_anew()
    return run


async def _listen(
    options: Options, runs: Sequence[ClientRun], account: bool, stack: AsyncExitStack
) -> tuple[FixGate, ProgressPage]:
    """Open the ports of all clients. Raises OSError."""
    gate, page = FixGate(runs), ProgressPage(runs)
    await gate.start(options.host, options.port)
    stack.push_async_callback(gate.stop)
    await page.start(options.host, options.page_port)
    stack.push_async_callback(page.stop)
    first = options.account_port
    for number, run in enumerate(runs if account else ()):
        await run.open_account(options.host, first + 2 * number if first else 0)
    return gate, page


async def _lanes(
    options: Options, names: Iterable[str], console: Console, stack: AsyncExitStack
) -> list[Lane]:
    """Start the venues of all clients, side by side."""
    console.print(f"Starting {len(options.clients)} venue(s) …")

    def say(name: str, text: str) -> None:
        console.print(f"[bold]{escape(name)}[/bold] {escape(text)}")

    lanes = [Lane(options.folder / name, name, names, say) for name in options.clients]
    for lane in lanes:
        stack.push_async_callback(asyncio.to_thread, lane.stop)
    await asyncio.gather(*(asyncio.to_thread(lane.start) for lane in lanes))
    return lanes


def _hand_out(lane: Lane, options: Options, port: int, run: ClientRun | None) -> None:
    """Write the sheet that the client's engineer needs, without the certifier's own secrets.

    ``run`` has the ports of the account API, where that is certified too.
    """
    own = lane.credentials
    lines: tuple[str, ...] = (
        "BeginString=FIX.4.4", f"SenderCompID={own.comp_id}", f"TargetCompID={TARGET}",
        f"SocketConnectHost={options.host}", f"SocketConnectPort={port}",
        f"Username(553)={own.firm}", f"Password(554)={own.password}", "Symbol(55)=CERT-USD",
        "", "Drop copy, for case A25:",
        f"SenderCompID={own.drop_copy}", f"Username(553)={own.firm}",
        f"Password(554)={own.drop_copy_password}", "",
        "Market data, for the cases M:",
        f"SenderCompID={own.market_data}", f"Username(553)={own.firm}",
        f"Password(554)={own.market_data_password}", "",
    )  # fmt: skip
    if run is not None:
        lines += (
            "Account API, for the cases H and W:",
            f"REST=http://{options.host}:{run.http.port}",
            f"WebSocket=ws://{options.host}:{run.stream.port}/v1/stream",
            *(f"{kind} key={own.firm}-{kind}, secret={secret}"
              for kind, secret in own.key_secrets.items()),
            f"read token={own.read_token}", f"Network={NETWORK}", "",
        )  # fmt: skip
    write_private(lane.folder / SHEET, "\n".join(lines).encode("utf-8"))


def _welcome(
    lanes: Iterable[Lane], options: Options, gate: FixGate, page: ProgressPage, console: Console
) -> None:
    console.print(f"FIX 4.4      {options.host}:{gate.port}")
    console.print(f"Progress     http://{options.host}:{page.port}/", soft_wrap=True)
    for lane in lanes:
        console.print(
            f"[bold]{lane.credentials.comp_id:>10}[/bold] settings in "
            f"{escape(str(lane.folder / SHEET))}, report in {escape(str(lane.folder / 'report'))}",
            soft_wrap=True,
        )  # fmt: skip
    console.print("Ready. Ctrl-C ends it; passed cases are kept.")


def _farewell(runs: Iterable[ClientRun], console: Console) -> int:
    good = True
    for run in runs:
        summary = run.report()
        chosen = all(case.verdict == "passed" for case in run.cases())
        good = good and (chosen if summary.chosen and not summary.altered else summary.complete)
        console.print(
            f"[bold]{run.name:>10}[/bold] {summary.counts}; {escape(summary.verdict)}.",
            soft_wrap=True,
        )  # fmt: skip
    return 0 if good else 1


def check(path: Path, key: Path | None, own_key: Path, console: Console) -> int:
    """Check the signature of a report; return 0 if it is genuine, else 1.

    Without ``key`` it must be signed with the key of this venue, if that has one.
    """
    trusted = key or (own_key if own_key.exists() else None)
    try:
        public = load_public(trusted) if trusted is not None else None
        found, mark, files = reports.read(path, public)
    except SignatureFault as error:
        console.print(f"NOT GENUINE: {escape(str(error))}.", style="red", soft_wrap=True)
        return 1
    _show_genuine(found, mark, files, trusted, console)
    return 0


def _show_genuine(
    found: Report, mark: str, files: list[str], trusted: Path | None, console: Console
) -> None:
    by = "the key" if trusted is not None else "a key that you have to know: it has"
    console.print(f"Genuine: {found.direction} {escape(found.subject)}, written {found.written}.")
    console.print(f"Signed by {by} fingerprint {mark}.", soft_wrap=True)
    if files:
        console.print(f"The files beside it are those that were signed: {', '.join(files)}.")
    state = escape(found.verdict) if found.version >= VERSION else (
        "the release that wrote this did not say which cases are needed, and called a run of "
        "chosen cases complete: it is no certificate"
    )
    console.print(f"{found.counts}: {state}.", soft_wrap=True)
    sys.stdout.flush()
