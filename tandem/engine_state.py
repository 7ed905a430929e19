"""``tandem status``, ``check`` and ``verify``: what the engine says and what the journal proves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from config.settings import Settings
from engine.client import EngineClient, EngineError
from tandem.output import CommandError


@contextmanager
def _client(settings: Settings) -> Iterator[EngineClient]:
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
    with _client(settings) as client:
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
    with _client(settings) as client:
        engine = client.status()
        broken = client.check()
    if broken:
        raise CommandError("these invariants do not hold:\n  " + "\n  ".join(broken))
    print(f"All invariants hold at sequence {engine.seq} or later.")
