"""The command-line interface of ``tandem conform`` and ``tandem certify``.

What they call is imported when they are called: every other command would wait for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from config.settings import DATA_VARIABLE

FOLDER: Final = Path("data/certification")
KEY_NAME: Final = "signing-key.pem"
Cases = Annotated[
    list[str] | None,
    typer.Option("--case", help="Play only these cases: an id (A07) or its first characters "
                 "(S, H0). Repeatable. A run of chosen cases certifies nothing."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``tandem``."""
    _conform(app)
    _certify(app)


def data_folder() -> Path:
    """Return where keys and runs are kept: in the data folder of the venue."""
    data = os.environ.get(DATA_VARIABLE)
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
            bool, typer.Option(help="Also the cases that need Tandem's extensions of FIX 4.4.")
        ] = False,
        seconds: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 5.0,
        out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("conform-report"),
        key: Annotated[Path | None, typer.Option(help="Ed25519 key that signs the report.")] = None,
    ) -> None:
        """Play the certification scenarios as a client, against any FIX 4.4 acceptor."""
        from tandem import conform as conforming

        read = conforming.settings(settings, comp_id, target, username, symbol)
        where = conforming.target(host, port, read, seconds=seconds, extensions=extensions)
        console = Console(highlight=False)
        code = conforming.conform(
            where, case or (), out, key or data_folder() / KEY_NAME, console
        )
        raise typer.Exit(code)


def _certify(app: typer.Typer) -> None:
    @app.command("certify")
    def certify(
        client: Annotated[
            list[str] | None,
            typer.Option(help="CompID of a client (ACME). Repeatable: they run in parallel."),
        ] = None,
        host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="Port for FIX; 0 takes any.")] = 9880,
        page_port: Annotated[int, typer.Option(help="Port of the progress page.")] = 9881,
        account_port: Annotated[
            int, typer.Option(help="Port of the first client's REST; its WebSocket has the next.")
        ] = 9890,
        folder: Annotated[Path | None, typer.Option(help="Folder for runs.")] = None,
        key: Annotated[
            Path | None, typer.Option(help="Ed25519 key that signs; with --check, that signed.")
        ] = None,
        case: Cases = None,
        interface: Annotated[
            list[str] | None,
            typer.Option(help="Certify only for this interface: FIX, MarketData, REST or "
                         "WebSocket. Repeatable. Default: all four."),
        ] = None,
        patience: Annotated[
            float, typer.Option(help="Seconds to wait for each message of the client.")
        ] = 60.0,
        news: Annotated[bool, typer.Option(help="Send verdicts by News(B), too.")] = True,
        anew: Annotated[bool, typer.Option(help="Discard the verdicts of earlier runs.")] = False,
        until_passed: Annotated[
            bool, typer.Option(help="Exit when every case has passed.")
        ] = False,
        check: Annotated[
            Path | None, typer.Option(help="Check the signature of this report and exit.")
        ] = None,
    ) -> None:
        """Certify clients of FIX, REST and WebSocket: each case is judged at once, and reported."""
        from tandem import certify as certifying

        console = Console(highlight=False)
        own_key = data_folder() / KEY_NAME
        if check is not None:
            raise typer.Exit(certifying.check(check, key, own_key, console))
        names = list(dict.fromkeys(name.upper() for name in client or ["ACME"]))
        options = certifying.Options(
            names, host, port, page_port, account_port, folder or data_folder(), key or own_key,
            case or (), interface or (), patience, news, anew, until_passed,
        )  # fmt: skip
        raise typer.Exit(certifying.certify(options, console))
