"""``tandem status``, ``check`` and ``journal verify``: the state of the engine and the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.health import Part, Watch, cluster_part
from config.settings import Settings
from engine.client import EngineClient, EngineError, queries
from engine.journal.base import JournalError
from engine.journal.verify import verify as audit
from tandem.output import CommandError
from tandem.tables import print_table


@contextmanager
def connected(settings: Settings) -> Iterator[EngineClient]:
    """Yield a client of the running engine. Raises CommandError if it is unavailable."""
    client = EngineClient(str(settings.engine.socket), "tandem", timeout_s=30.0)
    try:
        yield client
    except EngineError as error:
        raise CommandError(f"the engine does not answer: {error}") from None
    finally:
        client.close()


ADVICE: Final = {
    ("engine", "away"): "last lines of its log, log/engine.log; runbook “A process has died”",
    ("cluster", "away"): "`tandem cluster status`; docs/cluster.md, “The majority is lost”",
    ("cluster", "behind"): "the network to the leader, and this machine's processor time",
    ("cluster", "troubled"): "`tandem cluster status`; docs/cluster.md, the runbooks",
    ("history", "behind"): "its log, and the disk or database; runbook “The history is behind”",
    ("history", "troubled"): "its log says why; runbook “The history is behind”",
    ("fix", "behind"): "restart it: clients log on again and lose nothing; keep its log",
    ("fix", "troubled"): "the engine: is it up, are its commits slow",
    ("marketdata", "behind"): "its processor time; a restart makes clients subscribe anew",
    ("marketdata", "troubled"): "the engine: is it up",
    ("stream", "behind"): "its processor time; a restart makes clients resume",
    ("stream", "troubled"): "the engine: is it up",
    ("settlement", "troubled"): "its log; no coin is sent twice, so it may be restarted",
    ("webhooks", "troubled"): "its log, and the disk or database; it goes on by itself",
    ("disk", "low"): "free some space soon; runbook “The disk is full”",
    ("disk", "full"): "free some space now; runbook “The disk is full”",
}
_AWAY: Final = "last lines of its log; it is restarted automatically"
LOOK_AGAIN_S: Final = 1.1


def status(settings: Settings) -> None:
    """Print the state of each part of the venue, the engine's metrics, and its FIX sessions.

    Raises CommandError, after printing the parts, if the engine does not answer.
    """
    console = Console(highlight=False)
    client = EngineClient(str(settings.engine.socket), "tandem", timeout_s=30.0)
    try:
        engine = client.fetch(queries.Status()).value
        sessions = client.fetch(queries.Sessions()).value
        cluster = client.fetch(queries.Cluster()).value
        parts = _parts(settings, lambda: client.fetch(queries.Status()).value.seq)
        if cluster is not None:
            parts = (cluster_part(cluster), *parts)
        _show_parts(console, [Part("engine", "ok", f"at seq {engine.seq}"), *parts])
    except EngineError as error:
        away = Part("engine", "away", str(error))
        _show_parts(console, [away, *_parts(settings, lambda: None)])
        raise CommandError(f"the engine does not answer: {error}") from None
    finally:
        client.close()
    table = Table(title=f"Engine {engine.engine_version} at {settings.engine.socket}")
    table.add_column("")
    table.add_column("", justify="right")
    moment = datetime.fromtimestamp(engine.time_us / 1_000_000, UTC)
    for name, value in (
        ("sequence", str(engine.seq)),
        ("of", moment.isoformat(timespec="milliseconds")),
        ("oldest in the journal", str(engine.first_seq)),
        ("newest snapshot", str(engine.snapshot_seq)),
        ("open orders", str(engine.open_orders)),
        ("accounts", str(engine.accounts)),
        ("clients", str(engine.clients)),
    ):
        table.add_row(name, value)
    print_table(console, table)
    rows = Table(title="Sessions")
    for column in ("session", "account", "connected", "epoch", "mark", "cancel on disconnect"):
        rows.add_column(column)
    for row in sessions:
        rows.add_row(
            row.session, row.account, "yes" if row.connected else "no", str(row.epoch),
            str(row.last_num_applied), row.cancel_scope.name.lower(),
        )  # fmt: skip
    print_table(console, rows)


def _parts(settings: Settings, engine_seq: Callable[[], int | None]) -> tuple[Part, ...]:
    """Return the state of the parts; one that is behind is read twice, to see whether it moves."""
    watch = Watch(settings.data, (settings.engine.journal,), settings.fix.names)
    before = watch.look(engine_seq())
    if not any(part.lag_records for part in before):
        return before
    time.sleep(LOOK_AGAIN_S)
    seqs = {part.part: part.seq for part in before}
    return tuple(
        part._replace(state="behind", detail=f"{part.detail}, and does not move")
        if part.lag_records and part.seq == seqs.get(part.part) and part.state == "ok"
        else part
        for part in watch.look(engine_seq())
    )


def _show_parts(console: Console, parts: Iterable[Part]) -> None:
    for part in parts:
        console.print(f"[bold]{part.part:>10}[/bold]  {part.state:<8}  {escape(part.detail)}",
                      soft_wrap=True)  # fmt: skip
        if not part.ok:
            kind = "fix" if part.part.startswith("fix") else part.part
            advice = ADVICE.get((kind, part.state), _AWAY)
            console.print(f"{'':>10}  look at: {escape(advice)}", soft_wrap=True)
    console.print()


def check(settings: Settings) -> None:
    """Print that the invariants hold. Raises CommandError with those that do not."""
    with connected(settings) as client:
        engine = client.fetch(queries.Status()).value
        broken = client.fetch(queries.Check()).value
    if broken:
        raise CommandError("these invariants do not hold:\n  " + "\n  ".join(broken))
    print(f"All invariants hold at sequence {engine.seq} or later.")


def verify(settings: Settings) -> None:
    """Audit the journal and print the result. Raises CommandError if there are findings."""
    journal = settings.engine.journal
    console = Console(stderr=True, highlight=False)

    def progress(stage: str, done: int, of: int) -> None:
        console.print(f"{stage}: {done} of {of}")

    try:
        report = audit(journal, journal / "snapshots", progress)
    except JournalError as error:
        raise CommandError(str(error)) from None
    print(
        f"{report.records} records in {report.segments} segments, up to sequence "
        f"{report.last_seq}; {report.replayed} applied again after sequence "
        f"{report.replayed_from}; {len(report.snapshots)} snapshots compared."
    )
    for note in report.notes:
        print(f"Note: {note}.")
    if not report.ok:
        found = "\n".join(f"  {f.place}, sequence {f.seq}: {f.text}" for f in report.findings)
        raise CommandError(f"the journal is not what was written:\n{found}")
    print(f"Every byte is as it was written. State hash: {report.state_hash}")
