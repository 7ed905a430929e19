"""QuickFIX's example order matcher in C++; ``python -m benchmarks.ordermatch SOURCE FOLDER``.

Builds it from a folder of QuickFIX's sources (the repository quickfix/quickfix on GitHub, of the
version that is installed) into a folder outside of both trees, in half a minute: the example is
compiled and linked with the library that the gateway itself uses, which also needs Python's.
"""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
import sysconfig
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import _quickfix

from benchmarks.venue import START_TIMEOUT_S, STOP_TIMEOUT_S, wait_a_little

NAME: Final = "ordermatch"
COMPILE: Final = ("g++", "-std=c++17", "-O2", "-w")


class BuildError(RuntimeError):
    """The program cannot be made from these sources; the text says why."""


def build(source: Path, folder: Path) -> Path:
    """Return the program, made anew unless it is there already. Raises BuildError."""
    program = folder / NAME
    if program.exists():
        return program
    stated = re.search(r"VERSION (\d+\.\d+\.\d+)", (source / "CMakeLists.txt").read_text("utf-8"))
    if stated is None or stated[1] != version("quickfix"):
        found = stated[1] if stated else "no version"
        raise BuildError(f"sources of {found}, where QuickFIX here is {version('quickfix')}")
    (folder / "include").mkdir(parents=True, exist_ok=True)
    link = folder / "include" / "quickfix"
    if not link.is_symlink():
        link.symlink_to(source / "src" / "C++")
    objects = []
    for file in sorted((source / "examples" / NAME).glob("*.cpp")):
        objects.append(str(folder / f"{file.stem}.o"))
        run(
            *COMPILE, f"-I{folder / 'include'}", f"-I{link}", "-c", str(file), "-o", objects[-1]
        )  # fmt: skip
    library, python = Path(_quickfix.__file__), sysconfig.get_config_var("LIBDIR")
    unfinished = folder / f"{NAME}.new"
    run(
        "g++", *objects, str(library), f"-Wl,-rpath,{library.parent}", "-Wl,--no-as-needed",
        f"-L{python}", f"-lpython{sysconfig.get_config_var('LDVERSION')}", f"-Wl,-rpath,{python}",
        "-lpthread", "-o", str(unfinished),
    )  # fmt: skip
    return unfinished.rename(program)


def run(*command: str) -> None:
    """Run the compiler. Raises BuildError."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise BuildError(f"{' '.join(command)}: {ended.stderr[:1_000]}")


def settings(port: int, store: Path, dictionary: Path, names: list[str]) -> str:
    """Return what it reads: its file store, sessions of FIX 4.2, no log of messages."""
    sessions = "".join(f"[SESSION]\nTargetCompID={name.upper()}\n" for name in names)
    return (
        "[DEFAULT]\nConnectionType=acceptor\nBeginString=FIX.4.2\nSenderCompID=TANDEM\n"
        f"SocketAcceptPort={port}\nSocketNodelay=Y\nSocketReuseAddress=Y\n"
        f"FileStorePath={store}\nDataDictionary={dictionary}\nStartTime=00:00:00\n"
        "EndTime=00:00:00\nScreenLogShowIncoming=N\nScreenLogShowOutgoing=N\n"
        f"ScreenLogShowEvents=N\n{sessions}"
    )


class OrderMatch:
    """The program as a process; it ends when it is told so on its standard input."""

    def __init__(
        self, program: Path, source: Path, folder: Path, port: int, names: list[str]
    ) -> None:
        config = folder / "ordermatch.cfg"
        dictionary = source / "spec" / "FIX42.xml"
        config.write_text(settings(port, folder / "ordermatch", dictionary, names))
        with (folder / "ordermatch.log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, config], stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not listening(port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(
                    f"{NAME} did not start:\n{(folder / 'ordermatch.log').read_text()}"
                )
            wait_a_little()

    def stop(self) -> None:
        """End it, in order if it lets us."""
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.write(b"#quit\n")
            self.process.stdin.close()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def listening(port: int) -> bool:
    """Return whether something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except ConnectionRefusedError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(build(options.source.resolve(), options.folder.resolve()))


if __name__ == "__main__":
    main()
