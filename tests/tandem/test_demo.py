"""`tandem demo`: the whole day passes, and a wrong figure would not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tandem.demo.money import Money, Order, atoms
from tandem.demo.stage import Stage, SurpriseError
from tandem.demo.trader import Report, Trader
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.xdist_group("venues")
@pytest.mark.timeout(240)
def test_the_day_passes_without_a_surprise() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tandem", "demo"],
        capture_output=True, text=True, timeout=pace.seconds(220), cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "no surprise" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80, "a table needs a wide terminal"


class Heard:
    """A trader who has been told exactly this."""

    firm = "alice"

    def __init__(self, **fields: str) -> None:
        self._report = Report({int(tag.strip("_")): value for tag, value in fields.items()})

    def next(self) -> Report:
        return self._report


def report(**changes: str) -> Trader:
    fields = {
        "_35": "8", "_150": "0", "_39": "0", "_11": "a", "_55": "BTC-USD", "_54": "1",
        "_38": "1.0", "_14": "0", "_151": "1", "_6": "0", **changes,
    }  # fmt: skip
    return Heard(**fields)  # type: ignore[return-value]


def test_every_figure_of_a_report_is_checked() -> None:
    stage = Stage(Console(quiet=True), Money({}), {})
    order = Order("alice", "BTC-USD", True, atoms("60000"), atoms("1"))
    stage.report(report(), order, "0", "0", "a")
    for tag in ("35", "150", "39", "11", "55", "54", "38", "14", "151", "6"):
        with pytest.raises(SurpriseError, match=rf"\({tag}\) of"):
            stage.report(report(**{f"_{tag}": "7"}), order, "0", "0", "a")
    with pytest.raises(SurpriseError, match="expected Decimal"):
        stage.report(report(_14=""), order, "0", "0", "a")
    assert stage.checked > 10
