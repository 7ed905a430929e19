"""When Python's collector of cycles may look: never while trading.

The state is millions of objects that live long and form no cycles, so reference counting
frees them; looking at each of them once or twice, as the collector does by itself, takes a
fifth of the time of a command and stalls trading. What may form cycles is the shell around
the core: a traceback, a connection that has ended. It is looked at when nothing waits to be
done, together with what little was made since the last look. What was made while there was no
such moment is set aside unseen (``gc.freeze``, O(1)): it is still freed by reference counting.
"""

from __future__ import annotations

import gc
from typing import Final

LOOK_COMMANDS_MAX: Final = 2_000
"""A look after so many commands takes about a millisecond."""
ASIDE_COMMANDS: Final = 100_000


class Collector:
    """Takes the collector of this process over; made when the state has been restored."""

    def __init__(self, seq: int) -> None:
        gc.disable()
        gc.freeze()
        self._seq = seq

    def turn(self, seq: int, idle: bool) -> None:
        """Called after every turn with the last sequence, and whether nothing was to be done."""
        made = seq - self._seq
        if idle:
            if made <= LOOK_COMMANDS_MAX:
                gc.collect(0)
            else:
                gc.freeze()
        elif made >= ASIDE_COMMANDS:
            gc.freeze()
        else:
            return
        self._seq = seq
