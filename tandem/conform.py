"""``tandem conform``: this venue's scenarios as a client, against any FIX 4.4 acceptor."""

from __future__ import annotations

import asyncio
import os
import secrets
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from rich.console import Console
from rich.markup import escape

from certification.fix.client import Identity
from certification.fix.conform import run
from certification.fix.conform_case import Target
from certification.fix.messages import parse_fields
from certification.report import files as reports
from certification.report.results import CaseResult, report, stamp
from certification.report.signature import SignatureFault, load_or_make_key
from certification.scenarios.programme import programme
from certification.scenarios.scenario import ScenarioFault
from tandem.output import CommandError

PASSWORD: Final = "TANDEM_FIX_PASSWORD"
_COLOURS: Final = {"passed": "green", "failed": "red", "not run": "dim"}


class SessionToml(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session of the venue under test; ``logon`` are further fields, like ``20003=0``."""

    comp_id: str
    username: str = ""
    password: str = ""
    logon: str = ""


class TargetToml(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of ``--settings``. ``extra`` are fields that the venue wants, by MsgType."""

    main: SessionToml
    target: str = "TANDEM"
    peer: SessionToml | None = None
    desk: SessionToml | None = None
    drop_copy: SessionToml | None = None
    heartbeat_s: Annotated[int, msgspec.Meta(ge=1, le=300)] = 2
    symbol: str = "CERT-USD"
    price: str = "100"
    bad_price: str = "100.005"
    qty: str = "1"
    extra: dict[str, str] = {}


def read_settings(path: Path) -> TargetToml:
    """The settings file. Raises CommandError."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), TargetToml)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CommandError(f"{path} cannot be used: {error}") from None


def target(
    host: str, port: int, settings: TargetToml, *, seconds: float, extensions: bool
) -> Target:
    """The venue under test. Raises CommandError."""

    def identity(session: SessionToml | None) -> Identity | None:
        if session is None:
            return None
        return Identity(
            session.comp_id, settings.target, session.username, session.password,
            settings.heartbeat_s, tuple(parse_fields(session.logon).items()),
        )  # fmt: skip

    try:
        main = identity(settings.main)
        assert main is not None
        return Target(
            host=host, port=port, main=main, peer=identity(settings.peer),
            desk=identity(settings.desk), drop_copy=identity(settings.drop_copy),
            symbol=settings.symbol, price=settings.price, bad_price=settings.bad_price,
            qty=settings.qty, seconds=seconds, extensions=extensions,
            extra={name: parse_fields(text) for name, text in settings.extra.items()},
        )  # fmt: skip
    except ValueError as error:
        raise CommandError(f"the settings cannot be used: {error}") from None


def simple_settings(comp_id: str, target_id: str, username: str, symbol: str) -> TargetToml:
    """Settings for one session, whose password is in the environment."""
    password = os.environ.get(PASSWORD, "")
    return TargetToml(
        main=SessionToml(comp_id, username, password), target=target_id, symbol=symbol
    )


def conform(
    where: Target, names: Iterable[str], out: Path, key_file: Path, console: Console
) -> int:
    """Play the scenarios, print verdicts, write the report; returns the exit code."""
    try:
        course = programme(names)
        key = load_or_make_key(key_file)
    except (ScenarioFault, SignatureFault) as error:
        raise CommandError(str(error)) from None
    began = stamp()
    results = asyncio.run(
        run(where, course.played, secrets.token_hex(4), lambda result: show(console, result))
    )
    parameters: dict[str, Any] = {
        "symbol": where.symbol, "price": where.price, "quantity": where.qty,
        "heartbeat": f"{where.main.heartbeat_s} s", "extensions": str(where.extensions).lower(),
    }  # fmt: skip
    subject = f"{where.main.target} at {where.host}:{where.port}"
    summary = report("conform", subject, where.main.target, began, course, results, parameters)
    path = reports.write(summary, out, key)
    console.print(
        f"{summary.passed} passed, {summary.failed} failed, {summary.not_run} not run; "
        f"{escape(summary.verdict)}.", soft_wrap=True,
    )  # fmt: skip
    console.print(
        f"Report: {escape(str(path))}, with .html and .xml beside it.", soft_wrap=True,
    )  # fmt: skip
    return 1 if summary.failed or not summary.passed else 0


def show(console: Console, result: CaseResult) -> None:
    """Print one verdict."""
    colour = _COLOURS[result.verdict]
    why = f": {escape(result.reason)}" if result.reason else ""
    console.print(
        f"[{colour}]{result.verdict:>8}[/{colour}]  {result.id}  {escape(result.title)}{why}",
        soft_wrap=True,
    )  # fmt: skip
