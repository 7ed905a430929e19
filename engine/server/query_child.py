"""Large answers, made by a forked child: a list of ten thousand orders, a look at the whole state.

The fork is a copy of the committed state; the engine pays for the page tables and goes on. The
child makes every answer that waits for it, leaves them in memory that both share, and exits. There
is one child at a time; who asks meanwhile has the next one.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

import structlog

from engine.journal.snapshots import DESCRIPTORS_MAX

SIZE_BYTES: Final = 8
CHILD_NICENESS: Final = 5

log = structlog.get_logger("engine.server.query_child")


class QueryChild:
    """One child at a time. The process that uses it must be single-threaded."""

    def __init__(self) -> None:
        self._child = 0
        self._memory = -1

    @property
    def busy(self) -> bool:
        """Whether a child is at work."""
        return self._child != 0

    def start(self, makers: Sequence[Callable[[], bytes]]) -> None:
        """Let a child make answers of the state as it is now. Raises OSError if it cannot fork."""
        memory = os.memfd_create("answers", os.MFD_CLOEXEC)
        try:
            child = os.fork()
        except OSError:
            os.close(memory)
            raise
        if child == 0:
            _make_and_exit(makers, memory)
        self._child, self._memory = child, memory

    def poll(self, wait: bool = False) -> list[memoryview] | None:
        """Return None while it works, else the answers in their order; none if it failed."""
        if not self._child:
            return None
        child, status = os.waitpid(self._child, 0 if wait else os.WNOHANG)
        if child == 0:
            return None
        self._child = 0
        memory, self._memory = self._memory, -1
        try:
            return [] if status else _split(memory)
        finally:
            os.close(memory)

    def close(self) -> None:
        """End the child; nobody waits for its answers any more."""
        if self._child:
            os.kill(self._child, signal.SIGKILL)
            self.poll(wait=True)


def _split(memory: int) -> list[memoryview]:
    """Return what the child left. It is not copied: a large answer is paged in as it is sent."""
    whole = memoryview(mmap.mmap(memory, 0, prot=mmap.PROT_READ))
    found, at = [], 0
    while at < len(whole):
        size = int.from_bytes(whole[at : at + SIZE_BYTES], "big")
        at += SIZE_BYTES
        found.append(whole[at : at + size])
        at += size
    return found


def _make_and_exit(makers: Sequence[Callable[[], bytes]], memory: int) -> NoReturn:
    """In the child: let go of sockets, lock and databases (as a snapshot's does), answer, exit."""
    code = 1
    try:
        gc.disable()  # A collection would touch, and so copy, every page.
        os.closerange(3, memory)
        os.closerange(memory + 1, DESCRIPTORS_MAX)
        os.nice(CHILD_NICENESS)
        with open(memory, "wb", closefd=False) as file:
            for make in makers:
                frame = make()
                file.write(len(frame).to_bytes(SIZE_BYTES, "big"))
                file.write(frame)
        code = 0
    except Exception as error:
        log.error("queries_failed", reason=f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)
