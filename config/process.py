"""What every process of the venue does alike: its start, its log, its signals, how it fails."""

from __future__ import annotations

import errno
import gc
import getpass
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, TextIO

import structlog

from config.settings import Settings, SettingsError, ensure_data, keep_private, load

EXIT_CONFIGURATION: Final = 2
"""What it was told, or what it may do, is wrong: only a person can help."""
EXIT_DAMAGED: Final = 3
"""The journal cannot be trusted: only a person can help."""
EXIT_UNAVAILABLE: Final = 4
"""Something that it needs fails (a full disk, a port, a database): trying again may help."""
EXIT_FAULT: Final = 5

PAGE_ROOM_BYTES: Final = 1 << 16
"""With less than this no database can write a page."""

FORBIDDEN: Final = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
NO_SPACE: Final = frozenset((errno.ENOSPC, errno.EDQUOT))
COLLECT_AFTER: Final = 10_000
"""More objects made than freed, before the collector of cycles looks at those."""

get_logger: Final = structlog.get_logger
"""For main modules, which would import structlog before ``config`` has prepared that."""


class Failure(NamedTuple):
    """Why a process ended: the exit code, and what its log says under ``event``.

    "" is the event of a process that has not started; ``more`` stands beside the reason.
    """

    code: int
    reason: str
    event: str = ""
    more: Mapping[str, Any] = MappingProxyType({})


def run(
    serve: Callable[[Settings], int],
    log: Any,
    explain: Callable[[Exception], Failure | None] = lambda error: None,
    not_started: str = "not_started",
) -> int:
    """Run a process of the venue from its configuration to its exit code.

    It logs JSON lines, keeps what it writes to its user, reads the configuration, makes the data
    folder, and then is ``serve``, which gives the exit code. ``explain`` says what an error means
    in this process; else a wrong configuration, an OSError and an error of SQLite mean here what
    they mean everywhere. ``not_started`` is the event of these. Any other error is raised.
    """
    log_json_lines()
    keep_private()
    data = None
    try:
        settings = load()
        data = settings.data
        ensure_data(settings)
        return serve(settings)
    except Exception as error:
        failure = explain(error) or _explain(error, data)
        if failure is None:
            raise
        log.critical(failure.event or not_started, reason=failure.reason, **failure.more)
        return failure.code


def _explain(error: Exception, data: Path | None) -> Failure | None:
    if isinstance(error, SettingsError):
        return Failure(EXIT_CONFIGURATION, str(error))
    if isinstance(error, OSError | sqlite3.Error):
        return Failure(*start_failure(error, data))
    return None


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


class Ending:
    """When a process ends: at SIGTERM or SIGINT, or where only a new process can go on.

    To be made by the main thread before others are started (see ``on_signals``). ``stopping`` is
    set by either signal.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._reloading, self._failed = threading.Event(), threading.Event()
        self._waking = threading.Event()
        on_signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), self._on_signal)

    def _on_signal(self, number: int) -> None:
        (self._reloading if number == signal.SIGHUP else self.stopping).set()
        self._waking.set()

    def fail(self) -> None:
        """End the process, so that a new one goes on."""
        self._failed.set()
        self._waking.set()

    def wait(self, reload: Callable[[], None], log: Any) -> None:
        """Wait until the process is to end; ``reload`` at each SIGHUP, and log what keeps it."""
        while not self.stopping.is_set() and not self._failed.is_set():
            self._waking.wait()
            self._waking.clear()
            if self._reloading.is_set():
                self._reloading.clear()
                try:
                    reload()
                except SettingsError as error:
                    log.error("not_reloaded", reason=str(error))

    @property
    def code(self) -> int:
        """The exit code of the process as things stand."""
        return EXIT_UNAVAILABLE if self._failed.is_set() else 0


def leave(code: int) -> NoReturn:
    """End the process without destructors: QuickFIX's race with its own thread.

    Everything else must be flushed by now.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def wall_clock_us() -> int:
    """Return microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


def no_space(error: BaseException) -> bool:
    """Return True if an error, or one that it came from, says that the disk is full."""
    return any(
        (isinstance(one, OSError) and one.errno in NO_SPACE)
        or (isinstance(one, sqlite3.Error) and _code(one) == sqlite3.SQLITE_FULL)
        for one in _origins(error)
    )


def start_failure(error: BaseException, data: Path | None = None) -> tuple[int, str]:
    """Return the exit code and the sentence for what kept a process from starting.

    Of OSError, errors of SQLite, and what wraps them. SQLite does not always say why it fails, so
    the disk of ``data`` is looked at as well.
    """
    if no_space(error) or (data is not None and _is_full(data)):
        return EXIT_UNAVAILABLE, f"the disk is full; make room, and it goes on by itself: {error}"
    for one in _origins(error):
        if isinstance(one, OSError) and one.errno in FORBIDDEN:
            return EXIT_CONFIGURATION, forbidden(one)
    return EXIT_UNAVAILABLE, str(error) or type(error).__name__


def _is_full(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < PAGE_ROOM_BYTES or bool(
        disk.f_files and not disk.f_favail
    )


def forbidden(error: OSError) -> str:
    """Return the sentence for a file or folder that this user may not use."""
    return (
        f"{error.filename or 'a file'} cannot be used by the user {_user()}: {error.strerror}; "
        "start it as the user who owns the data folder, or choose another folder"
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "without a name"


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _origins(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it wraps (SQLAlchemy keeps that in ``orig``), and what caused it."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [getattr(one, "orig", None), one.__cause__, one.__context__]
