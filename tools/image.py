"""Builds the image with podman and tries it: ``python -m tools.image [PYTEST_ARGUMENT …]``.

The image is ``tandem``; ``tests/tandem/test_image.py`` then runs the services of ``compose.yaml``
from it. Where the base image cannot be pulled, root makes one of Debian's packages (mmdebstrap).
QuickFIX's wheel is taken from the cache, if this machine has compiled it before.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.locks import ROOT

BASE: Final = "docker.io/library/debian:12-slim"
IMAGE: Final = "localhost/tandem"
RUNTIMES: Final = ("", "runc")
"""The default one, and one that also runs where cgroups of both versions are mounted."""
CERTIFICATES: Final = "/run/certificates.crt"


class FailedError(Exception):
    """The image cannot be built here; the message says why."""


def main(arguments: Sequence[str]) -> int:
    """Build the image, try it, and return the exit code of the tests."""
    try:
        if shutil.which("podman") is None:
            raise FailedError("podman is needed (Debian 12: apt-get install podman).")
        have_base()
        podman = working()
        run([*podman, "build", "--pull=never", *building(), *limits(), "--tag", IMAGE, str(ROOT)])
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    environment = os.environ | {
        "TANDEM_IMAGE": IMAGE,
        "TANDEM_PODMAN": shlex.join(podman),
        "TANDEM_PODMAN_RUN": shlex.join(limits()),
    }
    command = [sys.executable, "-m", "pytest", "-v", "tests/tandem/test_image.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def have_base() -> None:
    """Have the base image: pulled, or else made from Debian's packages."""
    if works(["podman", "image", "exists", BASE]) or works(["podman", "pull", "--quiet", BASE]):
        return
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        raise FailedError(
            f"{BASE} cannot be pulled. Root can make it from Debian's packages (Debian 12: "
            "apt-get install mmdebstrap)."
        )
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "base.tar")
        run(["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(packed)])
        run(["podman", "import", "--quiet", str(packed), BASE])


def working() -> list[str]:
    """Return podman with a runtime that runs a container here."""
    for name in RUNTIMES:
        podman = ["podman", *(("--runtime", name) if name else ())]
        if works([*podman, "run", "--rm", *limits(), BASE, "true"]):
            return podman
    raise FailedError(
        "podman runs no container here: try `podman run --rm "
        f"{shlex.join(limits())} {BASE} true`, and with `--runtime runc` (Debian 12: apt-get "
        "install runc)."
    )


def limits() -> list[str]:
    """Return the options that raise no limit: podman's own are higher than some users may go."""
    of = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    options = []
    for name, number in of.items():
        hard = resource.getrlimit(number)[1]
        most = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
        options += ["--ulimit", f"{name}={most}:{most}"]
    return options


def building() -> list[str]:
    """Return the options of a build: what pip is told here, and where QuickFIX's wheel may be."""
    options = ["--network=host"]
    certificates = os.environ.get("PIP_CERT")
    if certificates:
        options += ["--env", f"PIP_CERT={CERTIFICATES}"]
        options += ["--volume", f"{certificates}:{CERTIFICATES}:ro"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem"
    cache.mkdir(parents=True, exist_ok=True)
    return [*options, "--volume", f"{cache}:/root/.cache/tandem"]


def works(command: Sequence[str]) -> bool:
    """Return whether a command exits with 0."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(command: Sequence[str]) -> None:
    """Run a command. Raises FailedError."""
    if subprocess.run(command, check=False).returncode != 0:
        raise FailedError(f"This failed: {shlex.join(command)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
