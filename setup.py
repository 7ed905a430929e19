"""What setup.cfg cannot say: a wheel has the whole venue inside the package ``tandem``.

In the tree the packages are folders of their own, beside ``spec/`` and ``clients/``. Installed as
they lie, they would put names like ``config`` and ``engine`` on everybody's path. So a wheel has
the tree as it is in the folder ``tandem/venue``, which ``tandem`` puts on the path of its own
processes (decision 34). An editable install is the checkout.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.dist_info import dist_info
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
INSIDE = "tandem.venue"
SITE = "build/docs"
SHIPPED = ("spec", "clients", "config", "account_api", SITE)
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", ".*", "sdk", "*.egg-info")
CLIENT = "tandem_client"
"""The client library is a distribution of its own; a wheel of the venue carries it."""


class Wheel(bdist_wheel):
    """Packs every package but ``tandem`` inside it."""

    def finalize_options(self) -> None:
        super().finalize_options()
        move_inside(self.distribution)


class Metadata(dist_info):
    """Names ``tandem`` alone as what a wheel puts on the path."""

    def finalize_options(self) -> None:
        move_inside(self.distribution)
        super().finalize_options()


class BuildWithFiles(build_py):
    """Copies what is no module, for a wheel alone."""

    def run(self) -> None:
        super().run()
        if INSIDE not in self.distribution.package_dir:
            return
        venue = Path(self.build_lib, *INSIDE.split("."))
        library = ROOT / "clients" / "sdk" / CLIENT
        shutil.copytree(library, venue / CLIENT, ignore=LEFT_OUT, dirs_exist_ok=True)
        for name in SHIPPED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, venue / name, ignore=LEFT_OUT, dirs_exist_ok=True)


class SourceWithSite(sdist):
    """Adds the built documentation, which lies where setuptools takes nothing from."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        if (ROOT / SITE).is_dir():
            shutil.copytree(ROOT / SITE, Path(base_dir, SITE), ignore=LEFT_OUT)


def move_inside(distribution: Distribution) -> None:
    """Give every package but ``tandem`` its place in the wheel."""
    if distribution.package_dir or "editable_wheel" in distribution.commands:
        return

    def place(name: str) -> str:
        return name if name.split(".")[0] in ("tandem", "*", "") else f"{INSIDE}.{name}"

    distribution.package_dir = {INSIDE: ""} | {
        place(name): name.replace(".", "/") for name in distribution.packages
    }
    distribution.packages = [place(name) for name in distribution.packages]
    distribution.package_data = {
        place(name): patterns for name, patterns in distribution.package_data.items()
    }


setup(
    cmdclass={
        "bdist_wheel": Wheel, "dist_info": Metadata, "build_py": BuildWithFiles,
        "sdist": SourceWithSite,
    }
)  # fmt: skip
