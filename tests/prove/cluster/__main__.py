"""``python -m tests.prove.cluster``: three machines under fire; see ``make prove-cluster``.

It starts itself again in namespaces of its own where the system allows that, so that whatever it
makes is gone when it ends. Exit codes: 0 nothing was found, 1 something was, 2 there is no etcd.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec

from tests.prove.cluster import network
from tests.prove.cluster.faults import KINDS
from tests.prove.cluster.run import LONG, SHORT, Form, Proved, prove, rows
from tests.prove.venue import ROOT
from tests.support.etcd import MISSING, PROGRAM

INNER: Final = "--inner"


def launch(
    seed: int, form: Form, say: Callable[[str], None] = lambda text: None
) -> Proved:
    """Prove in a process of its own, which ends with this one; ``say`` shows progress."""
    alone = network.possible()
    command = [
        *(network.ENTER if alone else ()), "sh", "-c", '"$@"; exit $?', "sh", sys.executable,
        "-m", "tests.prove.cluster", INNER, msgspec.json.encode(form).decode(),
        "--seed", str(seed),
    ]  # fmt: skip
    environment = os.environ | ({network.PRIVATE: "1"} if alone else {})
    inner = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    errors: list[str] = []

    def read() -> None:
        assert inner.stderr is not None
        for line in inner.stderr:
            errors.append(line)
            say(line.strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert inner.stdout is not None
        answer = inner.stdout.read()
        inner.wait()
        reader.join()
        if not answer:
            raise RuntimeError("the proof itself failed:\n" + "".join(errors[-40:]))
        return msgspec.json.decode(answer, type=Proved)
    finally:
        if inner.poll() is None:
            os.killpg(inner.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Whoever started this is gone when its end of the pipe is: end too, and all with it."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _inner(seed: int, form: Form) -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    proved = prove(seed, form, say)
    sys.stdout.write(msgspec.json.encode(proved).decode())
    sys.stdout.flush()
    return 0


def main() -> int:
    """Prove, and print what was tried and found."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.cluster", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000_000 % 100_000)
    parser.add_argument("--losses", type=int, default=0, help="of the leader (default 100)")
    parser.add_argument("--quick", action="store_true", help="the short form")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="some of the faults")
    parser.add_argument("--processes", nargs="+", help="some of the processes of a venue")
    parser.add_argument(INNER, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if PROGRAM is None:
        print(MISSING, file=sys.stderr)
        return 2
    if told.inner:
        return _inner(told.seed, msgspec.json.decode(told.inner, type=Form))
    form = SHORT if told.quick else LONG
    form = replace(
        form, losses=told.losses or form.losses, kinds=tuple(told.kinds or form.kinds),
        processes=tuple(told.processes or form.processes),
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    proved = launch(told.seed, form, lambda text: print(text, file=sys.stderr, flush=True))
    print(f"make prove-cluster SEED={told.seed}")
    for row in rows(proved):
        print(f"  {row}")
    for finding in proved.findings:
        print(f"FOUND: {finding}")
    return 1 if proved.findings else 0


if __name__ == "__main__":
    sys.exit(main())
