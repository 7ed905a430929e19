"""What `tandem certify` and `tandem conform` share: the needs of a run, and its verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.markup import escape

from certification.report.results import CaseResult
from certification.report.signature import SignatureFault, load_or_make_key
from certification.scenarios.programme import Programme, programme
from certification.scenarios.scenario import ScenarioFault
from tandem.output import CommandError

_COLOURS: Final = {"passed": "green", "failed": "red", "not run": "dim"}


def prepare(
    cases: Iterable[str], interfaces: Iterable[str], key_file: Path
) -> tuple[Programme, Ed25519PrivateKey]:
    """Return the cases to play and the key that signs the report. Raises CommandError."""
    try:
        return programme(cases, interfaces), load_or_make_key(key_file)
    except (ScenarioFault, SignatureFault) as error:
        raise CommandError(str(error)) from None


def show(console: Console, result: CaseResult, like: str = "") -> None:
    """Print one verdict; ``like`` is the case whose reason was the same, "" if none was."""
    colour = _COLOURS[result.verdict]
    reason = f"as {like}." if like else result.reason
    why = f": {escape(reason)}" if reason else ""
    console.print(
        f"[{colour}]{result.verdict:>8}[/{colour}]  {result.id}  {escape(result.title)}{why}",
        soft_wrap=True,
    )  # fmt: skip
