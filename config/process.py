"""What every process of the venue does with signals: turn them into ordinary calls."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable


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
