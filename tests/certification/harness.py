"""`tandem certify` as a process, and a certifier in this process for a venue that runs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certification.scenarios.programme import programme
from certification.server import ClientRun, ClientVenue, FixGate
from tandem.lane import Lane
from tests.certification.raw_engine import RawEngine
from tests.certification.scripts import Scripted
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent
WHOLE = programme()
EVERY = WHOLE.every
FIX = [s.id for s in EVERY if s.script("certify") and s.interface == "FIX"]
TO_PLAY = [name for name in FIX if name != "S01"]
"""S01 is the Logon itself."""
KEY = Ed25519PrivateKey.generate()


class Certify:
    """`tandem certify` as a process; what it prints is kept and can be waited for."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.news = threading.Condition()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tandem", "certify", "--folder", str(folder), *arguments],
            env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=ROOT,
        )  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.wait_for("Ready.")
        self.port = int(self.line("FIX 4.4").rsplit(":", 1)[1])
        self.page = self.line("Progress").split()[1].rstrip("/")

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()

    def line(self, text: str) -> str:
        return next(line for line in self.lines if text in line)

    def wait_for(self, text: str, ample_s: float = 60) -> None:
        with self.news:
            there = self.news.wait_for(
                lambda: any(text in line for line in self.lines) or self.popen.poll() is not None,
                pace.seconds(ample_s),
            )
        assert there and any(text in line for line in self.lines), "\n".join(self.lines)

    def sheet(self, client: str) -> Path:
        return self.folder / client / "settings-for-the-client.txt"

    def wait(self, ample_s: float = 30) -> int:
        code = self.popen.wait(pace.seconds(ample_s))
        self.reader.join(pace.seconds(5))
        return code

    def kill(self) -> None:
        self.popen.kill()
        self.wait()

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            self.wait()


def environment(folder: Path) -> dict[str, str]:
    """Of a command whose key is beside the folder of its runs."""
    return os.environ | {"TANDEM_DATA": str(folder.parent / "data"), "COLUMNS": "250"}


def check(path: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`tandem certify --check`."""
    return subprocess.run(
        [sys.executable, "-m", "tandem", "certify", "--check", str(path), *arguments],
        env=environment(folder), capture_output=True, text=True, cwd=ROOT, timeout=pace.seconds(60),
    )  # fmt: skip


class Bench:
    """A certifier and a client of it in one process."""

    def __init__(self, lane: Lane, run: ClientRun, gate: FixGate, judged: asyncio.Event) -> None:
        self.lane = lane
        self.run = run
        self.gate = gate
        self.judged = judged

    async def client(
        self, broken: frozenset[str] = frozenset(), trader: Scripted | None = None, **more: Any
    ) -> Scripted:
        """A trader whose engine is logged on."""
        trader = trader or Scripted(broken)
        own = self.lane.credentials
        trader.engine = engine = RawEngine(
            self.gate.port, own.comp_id, own.firm, own.password, trader.told, broken=broken, **more
        )
        await engine.start()
        return trader

    async def verdict(self, name: str, attempts: int = 1) -> str:
        """Wait for the verdict of a case."""
        async with asyncio.timeout(pace.seconds(30)):
            while True:
                found = self.run.judge.results.get(name)
                if found and found.attempts >= attempts and found.verdict != "not run":
                    return found.reason or found.verdict
                self.judged.clear()
                await self.judged.wait()

    async def cancel_all(self) -> None:
        """Cancel the orders of the client's firm and wait until the venue has told of it."""
        await (await self.run.judge.trader("desk")).mass_cancel_firm()


@asynccontextmanager
async def bench(
    lane: Lane, folder: Path, *, patience_s: float = 0.0, venue_s: float = 0.0, **more: Any
) -> AsyncIterator[Bench]:
    """A certifier in front of a lane, with its state in ``folder``."""
    folder.mkdir(exist_ok=True)
    judged = asyncio.Event()
    run = ClientRun(
        ClientVenue(lane.credentials, lane.ports, folder), WHOLE, KEY,
        lambda name, result: judged.set(),
        patience_s=patience_s or pace.seconds(5), venue_s=venue_s or pace.seconds(3),
        way_s=pace.seconds(1), **more,
    )  # fmt: skip
    gate = FixGate([run])
    await gate.start("127.0.0.1", 0)
    try:
        yield Bench(lane, run, gate, judged)
    finally:
        await gate.stop()
        await run.close()
