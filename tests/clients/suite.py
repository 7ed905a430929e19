"""ccxt's own test-suite, from the installed package, against a running venue.

It refuses to run from site-packages, and looks for its settings three folders above itself. So it
runs in a tree of links to the package, with the settings in the place where it looks for them.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ccxt

from tests.clients.conftest import APART
from tests.support.processes import ROOT

PACKAGE = ROOT / "clients" / "ccxt"
SKIPPED = {
    # The suite expects more than five currencies.
    "fetchCurrencies": {"amountOfCurrencies": True},
    # Fees are entries of their own.
    "fetchLedger": {"fee": True},
    # What the demo accounts begin with came over no network.
    "fetchDeposits": {"txid": True, "network": True},
}
_RUN = """
import asyncio, sys
sys.path[:0] = sys.argv.pop(1).split(":")
import tandem_ccxt
import tests_helpers as helpers
name = "tests_sync" if helpers.argv.sync else "tests_async"
tests = __import__(name).testMainClass()
running = tests.init(helpers.argvExchange, helpers.argvSymbol, helpers.argvMethod)
helpers.argv.sync or asyncio.run(running)
"""


def run_suite(
    folder: Path, settings: Mapping[str, Any], *options: str, limit_s: float
) -> tuple[list[str], str]:
    """Run it with some options; the methods that it tested, and what it printed."""
    tree = folder / "python" / "ccxt"
    source = Path(ccxt.__file__).parent
    for inner in ("", "test", "pro", "pro/test"):
        (tree / inner).mkdir(parents=True, exist_ok=True)
    for inner in ("", "test", "pro", "pro/test"):
        for child in (source / inner).iterdir():
            link = tree / inner / child.name
            if child.name != "__pycache__" and not link.exists():
                link.symlink_to(child)
    (folder / "keys.local.json").write_text(json.dumps({"tandem": settings}), encoding="utf-8")
    skipped = {"tandem": {"skipMethods": SKIPPED}}
    (folder / "skip-tests.json").write_text(json.dumps(skipped), encoding="utf-8")
    path = ":".join(map(str, (tree / "test", tree.parent, PACKAGE)))
    done = subprocess.run(
        [APART / "bin" / "python", "-c", _RUN, path, "tandem", *options],
        capture_output=True, text=True, timeout=limit_s, check=False,
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert done.returncode == 0 and "[TEST_FAILURE]" not in told, told
    ends = re.findall(r"(?m)^\[INFO\] TESTING DONE +tandem (\w+)", done.stdout)
    return ends, told
