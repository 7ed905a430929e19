"""A client program: ``program ENGINE PORT SHEET FOLDER CASE…`` plays cases, prints verdicts.

ENGINE is quickfix or fixcore; SHEET is the file that `tandem certify` writes for the client.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.certification.scripts import Scripted
from tests.support import pace

HEARTBEAT_S = max(2, round(pace.seconds(2)))


def read_sheet(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Settings of the order session and of the drop copy."""
    parts = path.read_text(encoding="utf-8").split("\n\n")[:2]
    found: list[dict[str, str]] = []
    for part in parts:
        rows = (line.split("=", 1) for line in part.splitlines() if "=" in line)
        found.append({key.split("(")[0]: value for key, value in rows})
    return found[0], found[1]


def make(engine: str, port: int, sheet: dict[str, str], told: Any, folder: Path) -> Any:
    if engine == "quickfix":
        from tests.certification.quickfix_engine import QuickFixEngine as Kind
    else:
        from tests.certification.fixcore_engine import (  # type: ignore[assignment]
            FixcoreEngine as Kind,
        )
    return Kind(
        port, sheet["SenderCompID"], sheet["Username"], sheet["Password"], told,
        heartbeat_s=HEARTBEAT_S, folder=folder,
    )  # fmt: skip


async def play(engine: str, port: int, sheet: Path, folder: Path, cases: list[str]) -> None:
    main, copy = read_sheet(sheet)
    trader = Scripted()
    trader.engine = make(engine, port, main, trader.told, folder)
    drop = make(engine, port, copy, trader.told_by_drop_copy, folder)
    await trader.engine.start()
    await drop.start()
    verdicts: dict[str, str] = {}
    for case in cases:
        verdicts[case] = await trader.play(case)
        if verdicts[case] != "passed":
            # A slow machine can make a good client late; what is wrong fails again.
            verdicts[case] = await trader.play(case)
        if verdicts[case] != "passed":
            break
    await drop.stop()
    await trader.engine.stop()
    print(json.dumps(verdicts), flush=True)


if __name__ == "__main__":
    asyncio.run(
        play(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
    )
    # QuickFIX's destructors race with its own threads; everything is done by now.
    os._exit(0)
