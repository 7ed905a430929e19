"""Puts what is no module into the wheel; everything else about the package is in setup.cfg.

The specification, the clients' settings and, where it was built, the documentation stay where they
are in the tree. A wheel gets copies as data of ``config``, where ``config.shipped`` looks first.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = (
    "spec", "clients", "build/docs", "config/haproxy", "config/grafana", "config/prometheus",
)
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", ".*", "sdk", "*.egg-info")
CLIENT = "tandem_client"
"""The client library is a distribution of its own; a wheel of the venue carries it."""


class BuildWithFiles(build_py):
    """An editable install has no copies: it is the checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        files = Path(self.build_lib).resolve() / "config" / "files"
        shutil.rmtree(files, ignore_errors=True)
        library = Path(self.build_lib).resolve() / CLIENT
        shutil.rmtree(library, ignore_errors=True)
        shutil.copytree(ROOT / "clients" / "sdk" / CLIENT, library, ignore=LEFT_OUT)
        for name in SHIPPED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, files / name, ignore=LEFT_OUT)


setup(cmdclass={"build_py": BuildWithFiles})
