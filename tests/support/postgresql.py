"""A real PostgreSQL server for tests, from Debian's package, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support import pace


class NoServer(RuntimeError):
    """PostgreSQL cannot be started here; the message says why."""


class Server:
    """A server that listens on a Unix socket in ``folder`` only.

    The database ``postgres`` belongs to the user ``tandem``. Raises NoServer.
    """

    def __init__(self, folder: Path, control: list[str | Path]) -> None:
        self.folder = folder
        self._control = control

    def start(self) -> None:
        """Start it, or start it again; it takes connections when this returns."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        _run([*self._control, "-o", options, "-l", self.folder / "log", "start"], self.folder)

    def stop(self, mode: str = "immediate") -> None:
        """End it: "immediate" is a crash, "fast" ends connections and then itself."""
        _run([*self._control, "-m", mode, "stop"], self.folder)


@contextmanager
def server() -> Iterator[Server]:
    """Start a server in a folder of its own. Raises NoServer."""
    programs = _programs()
    as_user, owner = _unprivileged()
    # Not under tmp_path: the server's user could not enter it, and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="tandem-pg-"))
    try:
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data = folder / "data"
        _run(
            [*as_user, programs / "initdb", "-D", data, "-U", "tandem", "-A", "trust",
             "-E", "UTF8", "--locale=C", "--no-sync"],
            folder,
        )  # fmt: skip
        running = Server(folder, [*as_user, programs / "pg_ctl", "-D", data, "-w"])
        running.start()
        try:
            yield running
        finally:
            if (data / "postmaster.pid").exists():
                running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def server_or_skip() -> Iterator[str]:
    """For a fixture: a server, or a skip that says why there is none."""
    try:
        with server() as running:
            yield str(running.folder)
    except NoServer as error:
        pytest.skip(f"PostgreSQL is not tested: {error}")


def new_database(folder: str) -> str:
    """The URL of a new and empty database of the server whose socket is in ``folder``."""
    name = f"t{uuid.uuid4().hex}"
    admin = create_engine(
        f"postgresql+psycopg://tandem@/postgres?host={folder}", isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return f"postgresql://tandem@/{name}?host={folder}"


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    if elsewhere is None:
        raise NoServer("there is no initdb; install Debian's package postgresql")
    return Path(elsewhere).parent


def _unprivileged() -> tuple[list[str], pwd.struct_passwd | None]:
    """PostgreSQL refuses to run as root: the prefix that becomes somebody else, if needed."""
    if os.geteuid() != 0:
        return [], None
    if shutil.which("setpriv") is None:
        raise NoServer("running as root, and there is no setpriv to become another user")
    for name in ("postgres", "nobody"):
        try:
            owner = pwd.getpwnam(name)
        except KeyError:
            continue
        prefix = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}"]
        return [*prefix, "--clear-groups"], owner
    raise NoServer("running as root, and there is neither a user postgres nor nobody")


def _run(command: list[str | Path], folder: Path) -> None:
    # Output goes to a file: a pipe would be kept open by the server that pg_ctl leaves behind.
    with (folder / "output").open("wb") as output:
        done = subprocess.run(
            command, stdout=output, stderr=output, cwd="/", timeout=pace.seconds(60),
            env={"PATH": os.defpath},
        )
    if done.returncode:
        raise NoServer(f"{Path(command[-1]).name} failed: {(folder / 'output').read_text()[-500:]}")
