"""Commands per second of ``Exchange.apply``; ``python -m benchmarks.apply``.

Everything is on: validation, identity of FIX messages, risk, ledger, holds, fees, events.
The measure is the CPU time of one thread; wall time is shown as well.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.common import Section, done, progress, rate, ratios
from benchmarks.flow import (
    START_US,
    STEP_US,
    Flow,
    Recording,
    Shape,
    definitions,
    record,
    replayed,
)
from engine.core import exchange as exchange_module
from engine.core.commands import COMMAND_KINDS, DefineAccount
from engine.memory import HugePages
from engine.wire import decode_command, encode_command

COMMAND = "python -m benchmarks.apply"
SLICE: Final = 500  # Commands.
TURN: Final = 10  # Slices: long against the filling of a processor's own cache.


BOUND_PLAIN: Final = (
    "Goals: 200,000, and in the end 400,000. What bounds it is the interpreter: counted one by "
    "one, a create executes about 620 bytecodes, a cancel 350, a replace 740 and a trade 780, "
    "spread over ten functions of which none has much more than a third."
)
BOUND_COMPILED: Final = (
    "Goal: 800,000. By perf a quarter of the time is compiled code. A quarter is Python's look-up "
    "of strings: client order ids in dictionaries that no cache holds; sessions, accounts and "
    "instruments by names that come new off the wire. Nearly 40 % make and free the tuples and "
    "integers of events and terms, and 8 % are the kernel's, which gives new memory."
)
BOUND_LARGE: Final = (
    "Goal: at most 1.5. Counted with callgrind in the compiled core, a command takes as many "
    "instructions in every one of these venues (12,400 to 13,100); what grows is the memory that "
    "they touch. Its simulation of caches finds 48 lines a command of the first row that a cache "
    "of 1 MiB (a processor's own) does not hold, 8 of which one of 32 MiB (shared by all) does "
    "not hold either. Among a million orders these are 51 and 21: the id, its dictionary, the "
    "order, its terms, its neighbours; with 1,000 accounts 63 and 9, with 500 instruments 65 and "
    "10. Thirteen lines more from memory, at a tenth of a microsecond each, are what a million "
    "orders cost; they take as long as ever while everything else became quicker."
)


def is_compiled() -> bool:
    """Return True if the core that runs here is the compiled one."""
    return not str(exchange_module.__file__).endswith(".py")


class Round(NamedTuple):
    """Commands per second of CPU time and of wall time, and the CPU seconds of each slice."""

    cpu: float
    wall: float
    slices: list[float]


class Run:
    """A fresh exchange with the recorded state before it, and the commands to come."""

    def __init__(self, recording: Recording) -> None:
        self.encoded = recording.encoded
        self.exchange = replayed(recording.before)
        self.slices: list[float] = []
        self.walls: list[float] = []

    def advance(self, slices: int) -> None:
        """Apply that many slices of the commands to come."""
        apply, seq = self.exchange.apply, self.exchange.seq
        time_us = START_US + seq * STEP_US
        first = len(self.slices) * SLICE
        for start in range(first, first + slices * SLICE, SLICE):
            # As in the engine, a batch of commands comes off the wire just before it is applied;
            # reading it is not counted.
            batch = [decode_command(*raw) for raw in self.encoded[start : start + SLICE]]
            wall, cpu = time.perf_counter(), time.process_time()
            for command in batch:
                seq += 1
                time_us += STEP_US
                apply(seq, time_us, command)
            self.slices.append(time.process_time() - cpu)
            self.walls.append(time.perf_counter() - wall)

    def result(self) -> Round:
        """Return what was measured."""
        count = len(self.slices) * SLICE
        return Round(count / sum(self.slices), count / sum(self.walls), self.slices)


def measure(*recordings: Recording) -> list[Round]:
    """Run each once on fresh exchanges, all in memory at once, in slices of ``TURN`` by turns.

    What other processes take from this core thus falls on all alike.
    """
    runs = [Run(recording) for recording in recordings]
    total = len(recordings[0].encoded) // SLICE
    gc.collect()
    pages = HugePages()  # As after a start of the engine (engine/memory.py).
    pages.begin()
    while pages.pending:
        pages.step()
    gc.disable()  # As in the engine while there is something to do (engine/memory.py).
    for start in range(0, total, TURN):
        for run in runs:
            run.advance(min(TURN, total - start))
    gc.enable()
    return [run.result() for run in runs]


def undisturbed(rounds: list[Round]) -> float:
    """Return commands per second if each slice took what it took in its fastest round.

    Every round does exactly the same work, so what a slice takes longer in another round is
    the machine's doing.
    """
    fastest = [min(took) for took in zip(*(one.slices for one in rounds), strict=True)]
    commands_per_s: float = len(fastest) * SLICE / sum(fastest)
    return commands_per_s


def throughput(count: int, rounds: int) -> Section:
    """Return the mix at 2,000 resting orders."""
    recording = record(Shape(), count)
    found = []
    for number in range(rounds):
        progress(f"apply: round {number + 1} of {rounds}")
        found += measure(recording)
    done()
    return Section(
        "The core: `Exchange.apply`",
        COMMAND,
        f"{count:,} commands (48 % new, 37 % cancel, 10 % replace, 5 % IOC) from 10 accounts on "
        f"one instrument with about {recording.resting:,} resting orders, "
        f"{recording.events_per_command:.2f} events a command; median and spread of {rounds} "
        "rounds.",
        ("measure", "commands/s"),
        [
            ("CPU time of the thread", rate([one.cpu for one in found])),
            ("wall time", rate([one.wall for one in found])),
            ("undisturbed", f"{undisturbed(found):,.0f}"),
        ],
        (
            "Validation, FIX identity, holds, fees, ledger postings and events are all on. The "
            "commands of each slice are decoded just before it; decoding is not measured.",
            "Undisturbed: every round does the same work, so each slice of 500 commands counts "
            "with its fastest round, which excludes interference by other processes.",
            BOUND_COMPILED if is_compiled() else BOUND_PLAIN,
        ),
    )


def flatness(count: int, rounds: int, large: int) -> Section:
    """Return cost per command for small and large books, many accounts, many instruments."""
    shapes = {
        f"{large:,} resting orders": Shape(resting=large, levels=5_000),
        "1 account": Shape(resting=1_000, accounts=1),
        "1,000 accounts": Shape(resting=1_000, accounts=1_000),
        "500 instruments": Shape(resting=1_000, instruments=500),
    }
    return Section(
        "Cost per command as the venue grows",
        COMMAND,
        f"CPU time per command in µs over {count:,} commands of the same mix, median and spread "
        f"of {rounds} rounds. The venue of the first row has 1,000 resting orders, 10 accounts "
        "and one instrument; each other row changes one of the three and was measured alternately "
        f"with the first, {TURN * SLICE:,} commands at a time.",
        ("venue", "µs per command", "ratio", "ratio undisturbed"),
        compared(shapes, count, rounds),
        (
            "Memory is as after a start of the engine: a large state is in huge pages if the "
            "kernel provides them (`engine/memory.py`).",
            BOUND_LARGE,
        ),
    )


def compared(shapes: dict[str, Shape], count: int, rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of a small venue and of these shapes: µs per command, and the ratios.

    Each shape is measured in turns of ``TURN`` slices with the smallest one, so that a ratio
    compares neighbours in time.
    """
    base = record(Shape(resting=1_000), count)
    small: list[float] = []
    rows = []
    for name, shape in shapes.items():
        recording = record(shape, count)
        beside, costs, floors = [], [], []
        for number in range(rounds):
            progress(f"apply with {name}: round {number + 1} of {rounds}")
            pair = measure(base, recording)
            beside.append(1e6 / pair[0].cpu)
            costs.append(1e6 / pair[1].cpu)
            floors.append(pair)
        small += beside
        quietest = undisturbed([a for a, _ in floors]) / undisturbed([b for _, b in floors])
        rows.append((name, rate(costs, 2), ratios(costs, beside), f"{quietest:.2f}"))
    done()
    return [("1,000 resting orders", rate(small, 2), "1.00", "1.00"), *rows]


def memory(orders: int, accounts: int) -> Section:
    """Measure the bytes per resting order and per account, each in its own process."""
    rows = []
    for what, count in (("resting order", orders), ("account", accounts)):
        progress(f"memory of {count:,}: {what}")
        printed = subprocess.run(
            [sys.executable, "-m", "benchmarks.apply", "--memory-child", what, str(count)],
            check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent,
        ).stdout  # fmt: skip
        rows.append((what, f"{count:,}", f"{int(printed):,}"))
    done()
    return Section(
        "Memory",
        COMMAND,
        "Growth of the resident memory of a new process: per resting limit order, each decoded "
        "from a frame (client order ids, terms, holds, book and timers included), and per account "
        "with a FIX session and balances in two assets.",
        ("object", "count", "bytes per object"),
        rows,
    )


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def memory_child(what: str, count: int) -> int:
    """Measure in this process: commands are decoded one by one and are not kept."""
    orders = what == "resting order"
    shape = Shape(resting=count, levels=5_000) if orders else Shape(accounts=count)
    flow = Flow(shape, seed=1)
    flow.watch = lambda event: None  # type: ignore[method-assign]
    made = definitions(shape)
    for command in made:
        if not orders and isinstance(command, DefineAccount):
            made = chain((command,), made)
            break
        flow.do(command)
    gc.collect()
    before = resident()
    for command in (flow.new() for _ in range(count)) if orders else made:
        encoded = encode_command(command)
        flow.do(decode_command(COMMAND_KINDS[type(command)], encoded))
        flow.commands.clear()
    gc.collect()
    return (resident() - before) // count


def sections(quick: bool = False) -> list[Section]:
    """Return all measurements of the core."""
    if quick:
        return [throughput(50_000, 3), flatness(10_000, 1, 100_000), memory(100_000, 2_000)]
    return [throughput(200_000, 9), flatness(50_000, 5, 1_000_000), memory(1_000_000, 20_000)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer commands and rounds")
    parser.add_argument(
        "--memory-child", nargs=2, metavar=("WHAT", "COUNT"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.memory_child:
        print(memory_child(options.memory_child[0], int(options.memory_child[1])))
        return
    for section in sections(options.quick):
        print(section.text())


if __name__ == "__main__":
    main()
