"""Runs QuickFIX's own setup.py, in the folder of its sources, so that it compiles on every core.

``python quickfix_setup.py LOG COMMAND …``. What the compiler says goes to the file LOG; standard
output has one line for each file that is compiled: how many are done, of how many, and its name.

distutils compiles one file after the other, with the flags that Python itself was built with:
``-O3 -g``. Of the 54 files one, which SWIG wrote, takes a third of the time. Here as many files are
compiled at once as there are cores, that one first, and without debugging information, which is
nine tenths of the result. The library keeps ``-O3``: with ``-O2`` it takes a tenth longer to parse
a message.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TextIO

import setuptools
from setuptools.command.build_ext import build_ext

WRAPPER: Final = "QuickfixPython.cpp"
FLAGS: Final = ("-g0",)
WRAPPER_FLAGS: Final = ("-g0", "-O2")
"""The wrapper only converts arguments and calls the library, which has the loops. (With ``-O1``
each call takes some 40 ns more.)"""


class OnEveryCore(build_ext):
    """Compiles the files of an extension side by side."""

    said: TextIO = sys.stdout

    def build_extensions(self) -> None:
        """Compile and link."""
        self.compiler.compile = side_by_side(self.compiler.compile, self.said)
        super().build_extensions()


def side_by_side(compile_one: Callable[..., list[str]], said: TextIO) -> Callable[..., list[str]]:
    """Return distutils' ``compile`` for many files at once, out of the one for one file."""

    def compile_all(sources: list[str], *, extra_postargs: Any = None, **more: Any) -> list[str]:
        lock, done = threading.Lock(), 0

        def compile_file(source: str) -> list[str]:
            nonlocal done
            flags = WRAPPER_FLAGS if source.endswith(WRAPPER) else FLAGS
            made = compile_one([source], extra_postargs=[*(extra_postargs or ()), *flags], **more)
            with lock:
                done += 1
                print(done, len(sources), Path(source).name, file=said, flush=True)
            return made

        # The largest first, so that none is left for one core at the end.
        ordered = sorted(sources, key=lambda source: -os.path.getsize(source))
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as cores:
            return [name for made in cores.map(compile_file, ordered) for name in made]

    return compile_all


if __name__ == "__main__":
    OnEveryCore.said = os.fdopen(os.dup(1), "w")
    _log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(_log, 1)
    os.dup2(_log, 2)
    _setup = setuptools.setup
    setuptools.setup = lambda **about: _setup(cmdclass={"build_ext": OnEveryCore}, **about)
    sys.argv = ["setup.py", *sys.argv[2:]]
    sys.path.insert(0, os.getcwd())
    runpy.run_path("setup.py", run_name="__main__")
