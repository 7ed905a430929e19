"""``tandem conform``: this venue's scenarios as a client, against any FIX 4.4 acceptor."""

from __future__ import annotations

import asyncio
import os
import secrets
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from rich.console import Console
from rich.markup import escape

from certification.fix.client import Identity
from certification.fix.conform import run
from certification.fix.conform_case import Target
from certification.fix.messages import parse_fields
from certification.report import files as reports
from certification.report.results import (
    NOT_CHOSEN,
    CaseResult,
    Report,
    reasons,
    report,
    stamp,
)
from certification.scenarios.programme import Programme
from tandem.certification_run import prepare, show
from tandem.output import CommandError

PASSWORD: Final = "TANDEM_FIX_PASSWORD"


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
    """Read the settings file. Raises CommandError."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), TargetToml)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CommandError(f"{path} cannot be used: {error}") from None


def target(
    host: str, port: int, read: TargetToml, *, seconds: float, extensions: bool
) -> Target:
    """Return the venue under test. Raises CommandError."""

    def identity(session: SessionToml) -> Identity:
        return Identity(
            session.comp_id, read.target, session.username, session.password,
            read.heartbeat_s, tuple(parse_fields(session.logon).items()),
        )  # fmt: skip

    def further(session: SessionToml | None) -> Identity | None:
        return None if session is None else identity(session)

    try:
        return Target(
            host=host, port=port, main=identity(read.main), peer=further(read.peer),
            desk=further(read.desk), drop_copy=further(read.drop_copy),
            symbol=read.symbol, price=read.price, bad_price=read.bad_price,
            qty=read.qty, seconds=seconds, extensions=extensions,
            extra={name: parse_fields(text) for name, text in read.extra.items()},
        )  # fmt: skip
    except ValueError as error:
        raise CommandError(f"the settings cannot be used: {error}") from None


def settings(
    path: Path | None, comp_id: str, target_id: str, username: str, symbol: str
) -> TargetToml:
    """Return the settings in a file, or those of one session whose password is in the environment.

    Raises CommandError.
    """
    if path is not None:
        return read_settings(path)
    if not comp_id:
        raise CommandError(
            f"name the session: --settings FILE, or --comp-id with the password in {PASSWORD}"
        )
    main = SessionToml(comp_id, username, os.environ.get(PASSWORD, ""))
    return TargetToml(main=main, target=target_id, symbol=symbol)


def conform(
    where: Target, names: Iterable[str], out: Path, key_file: Path, console: Console
) -> int:
    """Play the scenarios, print the verdicts, write the report; return the exit code.

    Raises CommandError.
    """
    course, key = prepare(names, (), key_file)
    summary = play(where, course, console)
    path = reports.write(summary, out, key)
    sum_up(summary.cases, console)
    console.print(f"{summary.counts}; {escape(summary.verdict)}.", soft_wrap=True)
    console.print(
        f"Report: {escape(str(path))}, with .html and .xml beside it.", soft_wrap=True
    )
    return 1 if summary.failed or not summary.passed else 0


def sum_up(cases: Iterable[CaseResult], console: Console) -> None:
    """Print each reason once, with the cases that have it, where several cases share one."""
    played = [case for case in cases if case.reason and case.reason != NOT_CHOSEN]
    why = reasons(played)
    if len(why) == len(played):
        return
    console.print("Reasons, the commonest first:")
    for reason, ids in why:
        number = f"{len(ids)} case{'s' if len(ids) > 1 else ''}"
        console.print(f"  {number:>8}  {escape(reason)}: {', '.join(ids)}.", soft_wrap=True)


def play(where: Target, course: Programme, console: Console) -> Report:
    """Play a programme, print each verdict at once, and sum up."""
    began = stamp()
    first: dict[str, str] = {}

    def say(result: CaseResult) -> None:
        why = result.cause or result.reason
        like = first.setdefault(why, result.id)
        show(console, result, like if why and like != result.id else "")

    results = asyncio.run(run(where, course.played, secrets.token_hex(4), say))
    parameters = {
        "symbol": where.symbol, "price": where.price, "quantity": where.qty,
        "heartbeat": f"{where.main.heartbeat_s} s", "extensions": str(where.extensions).lower(),
    }  # fmt: skip
    subject = f"{where.main.target} at {where.host}:{where.port}"
    return report("conform", subject, where.main.target, began, course, results, parameters)
