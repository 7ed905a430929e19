"""Plays a flow on the venue's book; ``python -m benchmarks.book_run FILE COUNT``.

Prints what ``benchmarks.book_peers`` prints of the others. The book itself is a module of its
own because a compiled one cannot be started.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

from benchmarks.book_flow import read
from benchmarks.book_own import BareBook


def main() -> None:
    filling, operations = read(Path(sys.argv[1]))
    book, chosen = BareBook(), operations[: int(sys.argv[2])]
    book.run(filling)
    gc.collect()
    gc.freeze()  # The flow itself is nothing that the collector should go through.
    began = time.process_time()
    book.run(chosen)
    took = time.process_time() - began
    print(json.dumps({"per_s": len(chosen) / took, "outcome": book.outcome()}))


if __name__ == "__main__":
    main()
