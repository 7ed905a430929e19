"""The command ``tandem``: one function per subcommand, each calling its module."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import sqlite3
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from argon2 import PasswordHasher

from config.checks import notes
from config.process import start_failure
from config.settings import Settings, SettingsError, load
from tandem import (
    certificates,
    certification_commands,
    cluster_commands,
    engine_state,
    health,
    http_client,
    up,
)
from tandem.operator_commands import register
from tandem.output import CommandError

app: Final = typer.Typer(
    help="A venue: FIX gateway and account API on one matching engine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app: Final = typer.Typer(help="About configuration files.", no_args_is_help=True)
app.add_typer(config_app, name="config")

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The TOML file (or TANDEM_CONFIG).")
]
Data = Annotated[Path | None, typer.Option("--data", help="The data folder (or TANDEM_DATA).")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tandem {importlib.metadata.version('tandem-venue')}")
        raise typer.Exit


@app.callback()
def main_options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """A venue: FIX gateway and account API on one matching engine."""


@app.command("up")
def up_command(
    config: Config = None,
    data: Data = None,
    market: Annotated[
        bool | None,
        typer.Option(help="Run the market bots, or not; by default [bots] in the file decides."),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Start HAProxy too: TLS before FIX, on fix.tls_port.")
    ] = False,
) -> None:
    """Start every process of the venue, keep them running, stop them on Ctrl-C."""
    raise typer.Exit(up.run(_settings(config, data), market, tls))


@app.command("reset")
def reset_command(
    config: Config = None,
    data: Data = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove all state of a test-net, so that it starts over; never in production."""
    from tandem import reset  # As SQLAlchemy does.

    reset.reset(
        _settings(config, data), lambda question: yes or typer.confirm(question), print
    )


@app.command("demo")
def demo_command(keep: Annotated[bool, typer.Option(help="Keep the data folder.")] = False) -> None:
    """Play a trading day on a temporary venue and check every number."""
    from tandem.demo import play  # QuickFIX takes a quarter of a second to load.

    raise typer.Exit(play.run(keep))


@app.command("demo-cluster")
def demo_cluster_command(
    keep: Annotated[bool, typer.Option(help="Leave it running until Ctrl-C.")] = False,
) -> None:
    """Trade on three machines on this one, kill the leader's, and show that nothing is lost."""
    from tandem.demo import cluster_play

    raise typer.Exit(cluster_play.run(keep))


@app.command("status")
def status_command(config: Config = None, data: Data = None) -> None:
    """Show the state of the running venue and its FIX sessions."""
    engine_state.status(_settings(config, data))


@app.command("health")
def health_command(
    process: Annotated[
        list[str] | None, typer.Argument(help="engine, history, fix, api, …; all if omitted.")
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Check whether the venue's processes answer; the exit code is 1 if one does not."""
    raise typer.Exit(health.health(_settings(config, data), process or (), print))


@app.command("check")
def check_command(config: Config = None, data: Data = None) -> None:
    """Check whether all invariants of the running engine hold."""
    engine_state.check(_settings(config, data))


@app.command("verify")
def verify_command(config: Config = None, data: Data = None) -> None:
    """Audit the journal: check every byte, and that a replay gives the same states."""
    engine_state.verify(_settings(config, data))


Method = Annotated[str, typer.Argument(help="GET, POST, PATCH, PUT or DELETE.")]
Target = Annotated[str, typer.Argument(help="The path with its query, for example /v1/balances.")]
KeyOption = Annotated[str, typer.Option("--key", "-k", help="Name of the API key.")]
Body = Annotated[str, typer.Option("--data-raw", "-d", help="The body; @FILE reads a file.")]
IdempotencyKey = Annotated[
    str, typer.Option("--idempotency-key", "-i", help="An Idempotency-Key; it is signed too.")
]
SecretFile = Annotated[
    Path | None,
    typer.Option(help="File with the HMAC secret, or with an Ed25519 private key (PEM). "
                      "Default: TANDEM_SECRET, then the configuration."),
]  # fmt: skip


@app.command("sign")
def sign_command(
    method: Method,
    target: Target,
    key: KeyOption,
    body: Body = "",
    idempotency_key: IdempotencyKey = "",
    secret_file: SecretFile = None,
    config: Config = None,
) -> None:
    """Print the headers of a signed request, one a line, as `curl -H @-` takes them."""
    signer = http_client.signer(key, secret_file, config)
    raw = http_client.body_bytes(body)
    headers = http_client.signed_headers(signer, method, target, raw, idempotency_key)
    for name, value in headers.items():
        print(f"{name}: {value}")


@app.command("curl")
def curl_command(
    method: Method,
    target: Target,
    key: KeyOption,
    body: Body = "",
    idempotency_key: IdempotencyKey = "",
    secret_file: SecretFile = None,
    url: Annotated[str, typer.Option(envvar="TANDEM_URL", help="The API's address.")] = "",
    config: Config = None,
) -> None:
    """Sign a request, send it, and print the response; exits with 1 on an HTTP error."""
    signer = http_client.signer(key, secret_file, config)
    base = url or http_client.base_url(_settings(config, None))
    status, text = http_client.send(
        base, signer, method, target, http_client.body_bytes(body), idempotency_key
    )
    print(f"HTTP {status}", file=sys.stderr)
    print(text)
    raise typer.Exit(0 if status < 400 else 1)


@app.command("password")
def password_command() -> None:
    """Prompt for a password and print its argon2 hash for `password_hash`."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise CommandError("the two passwords are not the same")
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise CommandError("a password needs at least one character")
    print(PasswordHasher().hash(password))


@app.command("certificates")
def certificates_command(
    folder: Annotated[Path, typer.Argument(help="A new folder for them.")],
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address of the venue in its certificate; may be repeated."),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=certificates.DAYS_MAX, help="How long they are good.")
    ] = 30,
    config: Config = None,
    data: Data = None,
) -> None:
    """Make a test authority, and TLS certificates for the venue and each FIX session."""
    hosts = host or ["localhost", "127.0.0.1"]
    certificates.run(_settings(config, data), folder.absolute(), hosts, days, print)


@config_app.command("check")
def config_check_command(
    file: Annotated[Path | None, typer.Argument(help="The TOML file.")] = None,
) -> None:
    """Check whether a configuration file can be used, and if not, say why."""
    settings = _settings(file, None)
    up.rehearse(settings)
    print(
        f"{settings.file}: good for {settings.environment}; {len(settings.accounts)} accounts, "
        f"{len(settings.instruments)} instruments, {len(settings.sessions)} FIX sessions, "
        f"{len(settings.keys)} API keys."
    )
    for note in notes(settings):
        print(f"  note: {note}")


def _settings(config: Path | None, data: Path | None) -> Settings:
    if config is None and data is None:
        return load()
    return load(config, up.environment(config, data))


register(app, _settings)
certification_commands.register(app)
cluster_commands.register(app, _settings)


def main() -> None:
    """Run the command; an expected failure is one message on stderr and exit code 1.

    Any command can fail because of file permissions, a full disk and the like.
    """
    try:
        app()
    except (SettingsError, CommandError) as error:
        print(f"tandem: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        # The reader of the output has closed the pipe: end quietly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (OSError, sqlite3.Error) as error:
        print(f"tandem: {start_failure(error)[1]}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
