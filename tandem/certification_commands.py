"""``tandem conform`` and ``tandem certify``, as they are typed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from tandem import conform as conforming
from tandem.output import CommandError

FOLDER: Final = Path("data/certification")
KEY_NAME: Final = "signing-key.pem"
Cases = Annotated[
    list[str] | None,
    typer.Option("--case", help="Only these: an id (A07) or its beginning (S). Repeatable."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``tandem``."""
    _conform(app)


def data_folder() -> Path:
    """Where keys and runs are kept: in the data folder of the venue."""
    data = os.environ.get("TANDEM_DATA")
    return Path(data) / "certification" if data else FOLDER


def _conform(app: typer.Typer) -> None:
    @app.command("conform")
    def conform(
        host: Annotated[str, typer.Option(help="Host of the acceptor.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="Port of the acceptor.")] = 9878,
        settings: Annotated[
            Path | None, typer.Option(help="TOML file with sessions and symbol; see the guide.")
        ] = None,
        comp_id: Annotated[str, typer.Option(help="SenderCompID, without --settings.")] = "",
        target: Annotated[str, typer.Option(help="TargetCompID.")] = "TANDEM",
        username: Annotated[str, typer.Option(help="Username(553).")] = "",
        symbol: Annotated[str, typer.Option(help="What is traded.")] = "CERT-USD",
        case: Cases = None,
        extensions: Annotated[
            bool, typer.Option(help="Also what FIX 4.4 does not have but Tandem has.")
        ] = False,
        seconds: Annotated[float, typer.Option(help="How long an answer may take.")] = 5.0,
        out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("conform-report"),
        key: Annotated[Path | None, typer.Option(help="Ed25519 key that signs the report.")] = None,
    ) -> None:
        """Play the certification scenarios as a client, against any FIX 4.4 acceptor."""
        if settings is not None:
            read = conforming.read_settings(settings)
        elif comp_id:
            read = conforming.simple_settings(comp_id, target, username, symbol)
        else:
            raise CommandError("say who logs on: --settings FILE, or --comp-id with the password "
                               f"in {conforming.PASSWORD}")  # fmt: skip
        where = conforming.target(host, port, read, seconds=seconds, extensions=extensions)
        console = Console(highlight=False)
        code = conforming.conform(
            where, case or (), out, key or data_folder() / KEY_NAME, console
        )
        raise typer.Exit(code)
