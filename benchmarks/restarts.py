"""How long a process is away that was killed; ``python -m benchmarks.restarts``.

A whole venue under its supervisor. One process after the other is killed with SIGKILL, and asked
until it answers as a client would ask. Our sources are compiled before, as an installation has
them. Beside the time stands the processor time that the new
process had used by then: on a machine that is slower or busy, that is what counts.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import http.client
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.common import Section, done, progress, rate
from engine.client import EngineClient, EngineError, queries
from tandem.demo.venue import TemporaryVenue

ROOT: Final = Path(__file__).parent.parent
COMMAND: Final = "python -m benchmarks.restarts"
AWAY_S_MAX: Final = 30.0
BETWEEN_S: Final = 1.5
"""More than the supervisor asks for to forget a failure, so that each kill is a first one; where
each process is killed once, it is."""
POLL_S: Final = 0.005


def answers(address: tuple[str, int], path: str) -> bool:
    """Return True if a request by HTTP is answered with 200."""
    connection = http.client.HTTPConnection(*address, timeout=2.0)
    try:
        connection.request("GET", path, headers={"Authorization": "Bearer demo-alice-read"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listens(address: tuple[str, int]) -> bool:
    """Return True if a connection is taken."""
    try:
        socket.create_connection(address, 1.0).close()
    except OSError:
        return False
    return True


def engine_answers(path: Path) -> bool:
    """Return True if the engine answers a query."""
    client = EngineClient(str(path), "restarts", timeout_s=2.0)
    try:
        client.fetch(queries.Status())
    except EngineError:
        return False
    finally:
        client.close()
    return True


def cpu_s(pid: int) -> float:
    """Return the processor time of a process and of those that it has forked, up to now."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                words = Path(f"/proc/{one}/task/{task}/schedstat").read_text().split()
                total += int(words[0]) / 1e9
                forked = Path(f"/proc/{one}/task/{task}/children").read_text().split()
                waiting += map(int, forked)
    return total


def forked(pid: int) -> list[int]:
    """Return the processes that one has forked."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def restarts(rounds: int) -> Section:
    """Kill each process ``rounds`` times."""
    for package in ("engine", "fix_gateway", "account_api", "config", "tandem"):
        compileall.compile_dir(ROOT / package, quiet=2)
    rows = []
    with (
        tempfile.TemporaryDirectory() as name,
        TemporaryVenue(Path(name), lambda process, text: None) as venue,
    ):
        settings = venue.settings
        api = (settings.http.host, settings.http.port)
        parts: dict[str, Callable[[], bool]] = {
            "engine": lambda: engine_answers(settings.engine.socket),
            "fix": lambda: listens((settings.fix.host, settings.fix.port)),
            "api": lambda: answers(api, "/v1/time"),
            "a worker of api": lambda: answers(api, "/v1/balances"),
            "stream": lambda: listens((settings.stream.host, settings.stream.port)),
        }
        for part, serves in parts.items():
            away, used = [], []
            for number in range(rounds):
                progress(f"{part}: {number + 1} of {rounds}")
                if rounds > 1:
                    time.sleep(BETWEEN_S)
                seconds, cpu = _kill(venue, part, serves)
                away.append(seconds)
                used.append(cpu)
            rows.append((part, rate(away, 2), rate(used, 2) if part in venue.pids else "–"))
    done()
    return Section(
        "Killed processes",
        COMMAND,
        f"Seconds from SIGKILL until the process serves again, {rounds} kills each, on the demo "
        "configuration: median (lowest to highest).",
        ("killed", "away, s", "processor time of the start, s"),
        rows,
        ("None of them loses anything; clients reconnect and continue where they were.",),
    )


def _kill(venue: TemporaryVenue, part: str, serves: Callable[[], bool]) -> tuple[float, float]:
    """Kill a process; return the seconds until it serves, and the processor time of its start."""
    worker = part not in venue.pids
    old = venue.pids["api" if worker else part]
    for pid in forked(old) if worker else [old]:
        os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    while not ((worker or venue.pids.get(part, old) != old) and serves()):
        if time.monotonic() - began > AWAY_S_MAX:
            raise RuntimeError(f"{part} did not come back")
        time.sleep(POLL_S)
    return time.monotonic() - began, 0.0 if worker else cpu_s(venue.pids[part])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one kill each")
    options = parser.parse_args()
    print(restarts(1 if options.quick else 10).text())


if __name__ == "__main__":
    main()
