"""``tandem reset``: delete the state of a test-net, and nothing else."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from config.settings import Settings
from engine.history.projector import Projector
from engine.history.store import open_writer
from tandem.output import CommandError
from tandem.up import hold

_SQLITE: Final = ("", "-wal", "-shm", "-journal")


def reset(settings: Settings, agree: Callable[[str], bool], say: Callable[[str], None]) -> None:
    """Remove all state of a stopped venue after ``agree`` has confirmed the question.

    Raises CommandError in production, while the venue runs, and if a file cannot be removed.
    """
    if settings.environment == "production":
        raise CommandError("reset is for test-nets, and environment is production")
    if not settings.data.is_dir():
        raise CommandError(f"there is no data folder {settings.data}; nothing to reset")
    lock = hold(settings.data)
    try:
        _refuse_if_running(settings)
        paths = [path for path in _paths(settings) if path.exists() or path.is_symlink()]
        elsewhere = make_url(settings.history.url).get_backend_name() != "sqlite"
        listed = ", ".join(path.name for path in paths) or "no files"
        if not agree(
            f"This removes {listed} in {settings.data}"
            f"{' and empties the history in its database' if elsewhere else ''}: every order, "
            "balance and report of this venue. Go on?"
        ):
            raise CommandError("nothing was removed")
        if elsewhere:
            Projector(open_writer(settings.history.url), any_version=True).clear()
        for path in paths:
            _remove(path)
    finally:
        lock.close()
    say(f"{settings.data} is empty; `tandem up` begins anew.")


def _paths(settings: Settings) -> list[Path]:
    """Return the files that the processes of a venue write. The journal is last: all others can be
    rebuilt from it."""
    url = make_url(settings.history.url)
    names = ("network.db", "keys.db", "answers.db", "logins.db", "webhooks.db")
    databases = [settings.data / name for name in names]
    if url.get_backend_name() == "sqlite" and url.database:
        databases.append(Path(url.database))
    files = [path.with_name(path.name + end) for path in databases for end in _SQLITE]
    return [
        settings.data / "log", settings.data / "control", *files,
        settings.data / "keys.master", settings.data / "keys.db-changes",
        settings.data / "keys.db.shared",
        settings.data / "answers.db-holders", settings.fix.store,
        settings.engine.socket, settings.engine.journal,
    ]  # fmt: skip


def _refuse_if_running(settings: Settings) -> None:
    """Raise CommandError if processes run, for example as service units: they answer on sockets."""
    control = settings.data / "control"
    for path in [settings.engine.socket, *(control.iterdir() if control.is_dir() else ())]:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                continue
        raise CommandError(f"the venue runs ({path.name} answers); end it first")


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise CommandError(f"{path} cannot be removed: {error.strerror}") from None
