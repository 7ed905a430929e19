"""``tandem status``, ``check`` and ``verify``: what the engine says and what the journal proves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from config.settings import Settings
from engine.client import EngineClient, EngineError
from engine.journal.base import JournalError
from engine.journal.verify import verify as audit
from tandem.output import CommandError


@contextmanager
def connected(settings: Settings) -> Iterator[EngineClient]:
    """A client of the running engine; an engine that is not there is a CommandError."""
    client = EngineClient(str(settings.engine.socket), "tandem", timeout_s=30.0)
    try:
        yield client
    except EngineError as error:
        raise CommandError(f"the engine does not answer: {error}") from None
    finally:
        client.close()


def status(settings: Settings) -> None:
    """Print the engine's own figures and its FIX sessions."""
    console = Console(highlight=False)
    with connected(settings) as client:
        engine = client.status()
        sessions = client.sessions()
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
    console.print(table)
    rows = Table(title="Sessions")
    for column in ("session", "account", "connected", "epoch", "mark", "cancel on disconnect"):
        rows.add_column(column)
    for row in sessions:
        rows.add_row(
            row.session, row.account, "yes" if row.connected else "no", str(row.epoch),
            str(row.mark), row.cancel_scope.name.lower(),
        )  # fmt: skip
    console.print(rows)


def check(settings: Settings) -> None:
    """Print that the invariants hold, or fail with those that do not."""
    with connected(settings) as client:
        engine = client.status()
        broken = client.check()
    if broken:
        raise CommandError("these invariants do not hold:\n  " + "\n  ".join(broken))
    print(f"All invariants hold at sequence {engine.seq} or later.")


def verify(settings: Settings) -> None:
    """Audit the journal and print what was found; fails unless nothing was."""
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
