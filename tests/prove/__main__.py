"""``python -m tests.prove --seed N``: the long forms of the proofs, and a table of them.

Exit codes: 0 nothing was found, 1 something was, 2 something could not be tried.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time

from rich.console import Console

from tests.prove.proofs import PROOFS, prove
from tests.prove.report import Options, Progress, Result, show


def arguments() -> argparse.Namespace:
    """What to prove, and how much of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000_000 % 100_000,
                        help="what all chance comes from; the table shows it")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="the short forms, as in make test")
    parser.add_argument("--only", nargs="+", choices=list(PROOFS), help="some of the proofs")
    parser.add_argument("--soak-minutes", type=float, default=60.0,
                        help="how long the venue is kept under load (default 60)")  # fmt: skip
    return parser.parse_args()


def main() -> int:
    told = arguments()
    # So that whoever ends this ends the venues that it started as well.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    progress, results = Progress(), []
    options = Options(told.seed, told.quick, told.soak_minutes * 60, progress.say)
    for name in told.only or PROOFS:
        progress.begin(name)
        began = time.monotonic()
        try:
            result = prove(name, options)
        except Exception as error:
            result = Result(findings=[f"the proof itself failed: {type(error).__name__}: {error}"])
            if told.only:
                raise
        result.name, result.seconds = name, time.monotonic() - began
        results.append(result)
    progress.done()
    show(results, told.seed, Console(highlight=False))
    if any(result.findings for result in results):
        return 1
    return 2 if any(result.not_run for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
