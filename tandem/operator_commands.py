"""The command-line interface of an operator's commands; each calls its module.

Modules that are slow to import (SQLAlchemy, QuickFIX) are imported only when they are needed, so
that the other commands start at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from config.settings import Settings
from engine.core.types import InstrumentStatus
from tandem import engine_state, operate
from tandem.output import CommandError

Load = Callable[[Path | None, Path | None], Settings]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The TOML file (or TANDEM_CONFIG).")
]
Data = Annotated[Path | None, typer.Option("--data", help="The data folder (or TANDEM_DATA).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
CompId = Annotated[str, typer.Argument(help="The session's CompID, for example ALICE.")]
Symbol = Annotated[str, typer.Argument(help="The instrument, for example BTC-USD.")]
Announcement = Annotated[str, typer.Argument(help="The text, in one line.")]
Note = Annotated[str, typer.Option(help="The reason; clients see it.")]
Accounts = Annotated[list[str], typer.Argument(help="The accounts, for example alice.")]


def register(app: typer.Typer, load: Load) -> None:
    """Add the commands to ``tandem``; ``load`` reads the configuration."""
    _lists(app, load)
    app.add_typer(_keys(load), name="keys")
    app.add_typer(_sessions(load), name="sessions")
    app.add_typer(_instruments(load), name="instruments")
    app.add_typer(_journal(load), name="journal")
    _copies(app, load)
    _fix_log(app, load)


def _fix_log(app: typer.Typer, load: Load) -> None:
    @app.command("fix-log")
    def fix_log(
        comp_id: CompId,
        type: Annotated[str, typer.Option(help="A MsgType(35) or a name: NewOrderSingle.")] = "",
        order: Annotated[str, typer.Option(help="A ClOrdID, OrderID or id of a request.")] = "",
        direction: Annotated[str, typer.Option(help="in: of the client; out: of the venue.")] = "",
        text: Annotated[str, typer.Option(help="Text anywhere in the message.")] = "",
        start: Annotated[str, typer.Option(help="From this time on (ISO 8601, UTC).")] = "",
        end: Annotated[str, typer.Option(help="Before this time.")] = "",
        limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
        form: Annotated[str, typer.Option("--as", help="decoded, raw or json.")] = "decoded",
        follow: Annotated[bool, typer.Option(help="Go on with what comes, until Ctrl-C.")] = False,
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Show the messages of a FIX session, decoded and without secrets."""
        from account_api.schema.fix_messages import Wanted
        from tandem import fix_log as log

        if direction not in ("", "in", "out"):
            raise CommandError(f"--direction is in or out, not {direction}")
        if form not in log.FORMS:
            raise CommandError(f"--as is one of {', '.join(log.FORMS)}, not {form}")
        wanted = Wanted(type, direction, order, text, log.since(start), log.since(end))
        log.run(load(config, data), comp_id, wanted, limit, form, follow)


def _lists(app: typer.Typer, load: Load) -> None:
    @app.command("accounts")
    def accounts(
        account: Annotated[str, typer.Argument(help="Show the balances of this account.")] = "",
        as_json: Json = False, config: Config = None, data: Data = None,
    ) -> None:  # fmt: skip
        """List the accounts, or show the balances of one."""
        operate.accounts(load(config, data), account, as_json)

    @app.command("suspend")
    def suspend(
        accounts: Accounts, note: Note = "",
        keep_open: Annotated[
            bool, typer.Option("--keep-open", help="Keep open orders and withdrawals.")
        ] = False,
        config: Config = None, data: Data = None,
    ) -> None:  # fmt: skip
        """Suspend accounts: they can only cancel and read; what they have open is canceled."""
        operate.suspend(load(config, data), accounts, note, keep_open)

    @app.command("resume")
    def resume(
        accounts: Accounts, note: Note = "", config: Config = None, data: Data = None
    ) -> None:
        """Resume suspended accounts."""
        operate.resume(load(config, data), accounts, note)

    @app.command("withdrawals")
    def withdrawals(
        waiting: Annotated[
            bool, typer.Option("--waiting", help="Only those that wait for approval.")
        ] = False,
        as_json: Json = False, config: Config = None, data: Data = None,
    ) -> None:  # fmt: skip
        """List the withdrawals that are not final."""
        operate.withdrawals(load(config, data), waiting, as_json)


def _keys(load: Load) -> typer.Typer:
    app = typer.Typer(help="API keys: list, revoke.")

    @app.callback(invoke_without_command=True)
    def listed(
        context: typer.Context, as_json: Json = False, config: Config = None, data: Data = None
    ) -> None:
        """List the API keys, without their secrets; with a subcommand, act on one."""
        if context.invoked_subcommand is None:
            operate.keys(load(config, data), as_json)

    @app.command("revoke")
    def revoke(
        key: Annotated[str, typer.Argument(help="The key, for example demo-alice-trade.")],
        descendants: Annotated[
            bool, typer.Option("--descendants", help="Also all keys that descend from it.")
        ] = False,
        config: Config = None, data: Data = None,
    ) -> None:  # fmt: skip
        """Revoke a key permanently and at once, including one of the configuration."""
        operate.revoke_key(load(config, data), key, descendants)

    return app


def _sessions(load: Load) -> typer.Typer:
    app = typer.Typer(help="FIX sessions: list, kick, reset, announce.")

    @app.callback(invoke_without_command=True)
    def listed(
        context: typer.Context, as_json: Json = False, config: Config = None, data: Data = None
    ) -> None:
        """List the FIX sessions; with a subcommand, act on one."""
        if context.invoked_subcommand is None:
            operate.sessions(load(config, data), as_json)

    @app.command("kick")
    def kick(comp_id: CompId, config: Config = None, data: Data = None) -> None:
        """Log a session out. Its client may log on again; `enabled = false` prevents that."""
        operate.kick(load(config, data), comp_id)

    @app.command("reset")
    def reset(comp_id: CompId, config: Config = None, data: Data = None) -> None:
        """Reset the sequence numbers of a logged-out session to 1."""
        operate.reset_numbers(load(config, data), comp_id)

    @app.command("announce")
    def announce(text: Announcement, config: Config = None, data: Data = None) -> None:
        """Send an announcement to all sessions by News(B), for instance about maintenance."""
        operate.announce(load(config, data), text)

    return app


def _instruments(load: Load) -> typer.Typer:
    app = typer.Typer(help="Instruments: list, halt, resume.")

    @app.callback(invoke_without_command=True)
    def listed(
        context: typer.Context, as_json: Json = False, config: Config = None, data: Data = None
    ) -> None:
        """List the instruments; with a subcommand, act on one."""
        if context.invoked_subcommand is None:
            operate.instruments(load(config, data), as_json)

    @app.command("halt")
    def halt(symbol: Symbol, note: Note = "", config: Config = None, data: Data = None) -> None:
        """Halt an instrument: orders are rejected, cancels are executed."""
        operate.set_status(load(config, data), symbol, InstrumentStatus.HALTED, note)

    @app.command("reference")
    def reference(
        symbol: Symbol,
        price: Annotated[str, typer.Argument(help="The price, in decimal notation.")],
        note: Note = "",
        config: Config = None,
        data: Data = None,
    ) -> None:
        """Set the reference price of an instrument's band, until its next trade."""
        operate.set_reference(load(config, data), symbol, price, note)

    @app.command("resume")
    def resume(symbol: Symbol, note: Note = "", config: Config = None, data: Data = None) -> None:
        """Resume trading in an instrument."""
        operate.set_status(load(config, data), symbol, InstrumentStatus.OPEN, note)

    return app


def _journal(load: Load) -> typer.Typer:
    app = typer.Typer(help="The journal: verify, export, archive.", no_args_is_help=True)

    @app.command("verify")
    def verify(config: Config = None, data: Data = None) -> None:
        """Check every byte, and that a replay gives the same states."""
        engine_state.verify(load(config, data))

    @app.command("export")
    def export(
        from_seq: Annotated[int, typer.Option("--from", help="First sequence.")] = 1,
        to_seq: Annotated[int, typer.Option("--to", help="Last sequence; 0 is the end.")] = 0,
        config: Config = None, data: Data = None,
    ) -> None:  # fmt: skip
        """Print transactions as JSON, one a line, every command and event by its fields."""
        from tandem import journal_files

        journal_files.export(load(config, data), from_seq, to_seq, sys.stdout)

    @app.command("archive")
    def archive(
        folder: Annotated[Path, typer.Argument(help="Folder for the old segments.")],
        config: Config = None, data: Data = None,
    ) -> None:  # fmt: skip
        """Move segments that are no longer needed to another folder."""
        from tandem import journal_files

        copies = journal_files.archive(load(config, data), folder)
        for copy in copies:
            print(copy)
        print(f"{len(copies)} segments archived." if copies else "Every segment is needed still.")

    return app


def _copies(app: typer.Typer, load: Load) -> None:
    @app.command("backup")
    def backup_(
        folder: Annotated[Path, typer.Argument(help="A new folder for the backup.")],
        config: Config = None, data: Data = None,
    ) -> None:  # fmt: skip
        """Copy the venue, even while it runs, and audit the copy."""
        from tandem import backup

        backup.backup(load(config, data), folder, print)

    @app.command("restore")
    def restore_(
        folder: Annotated[Path, typer.Argument(help="The folder of the backup.")],
        config: Config = None, data: Data = None,
    ) -> None:  # fmt: skip
        """Restore a backup into the data folder, which must be empty."""
        from tandem import backup

        backup.restore(folder, load(config, data).data, print)
