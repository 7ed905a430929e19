"""What every process of the venue does alike: its log, and what it does with signals."""

from __future__ import annotations

import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Final, TextIO

import structlog

COLLECT_AFTER: Final = 10_000
"""More objects made than freed, before the collector of cycles looks at those."""


def collect_seldom() -> None:
    """Leave what has been made so far to reference counting, and look for cycles less often.

    To be called once the process is ready. By default the collector looks whenever 700 more
    tuples and the like are there than the last time, which is at every burst of requests, and
    takes a twelfth of the time of an order; what it finds comes from tracebacks and connections
    that have ended, which are few.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])


def log_json_lines(to: TextIO | None = None) -> None:
    """Log one JSON line for each event, to standard error unless told otherwise.

    A trace shows no values of variables, so that no secret gets into it.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(to or sys.stderr),
    )


def on_signals(numbers: Iterable[signal.Signals], act: Callable[[int], None]) -> None:
    """Call ``act(number)`` on a thread of its own whenever one of the signals arrives.

    To be called by the main thread before others are started, so that they inherit the mask.
    A handler would run between two bytecodes of the main thread, perhaps while that thread
    holds the very lock that the handler needs; a thread that waits for signals may take any.
    """
    wanted = set(numbers)
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)

    def wait() -> None:
        while True:
            act(signal.sigwait(wanted))

    threading.Thread(target=wait, name="signals", daemon=True).start()
