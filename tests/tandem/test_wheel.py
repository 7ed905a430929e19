"""The wheel runs by itself: built, installed elsewhere without the checkout, and used."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tandem.demo.venue import write_configuration
from tandem.processes import venue_processes
from tests.support import pace
from tools.unpack import unpack

pytestmark = [pytest.mark.xdist_group("venues"), pytest.mark.timeout(280)]
ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("engine", "fix_gateway", "account_api", "config", "certification", "bots")
BESIDES = ("tandem", "spec", "clients", "setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in",
           "README.md", "LICENSE")  # fmt: skip
STEPS = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""


def built(what: str, tree: Path, out: Path) -> Path:
    """Call a hook of the build backend in the tree, as `python -m build` does."""
    done = subprocess.run(
        [sys.executable, "-c", STEPS, f"build_{what}", str(out)], cwd=tree,
        capture_output=True, text=True, timeout=pace.seconds(120),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, and the wheel out of that, from a copy of the tree: a build leaves
    its traces in it."""
    tree = tmp_path_factory.mktemp("tree")
    for name in (*PACKAGES, *BESIDES):
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(ROOT / name, tree / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, tree / name)
    (tree / "build" / "docs").mkdir(parents=True)
    (tree / "build" / "docs" / "index.html").write_text("<h1>The documentation</h1>")
    out = tmp_path_factory.mktemp("built")
    with tarfile.open(built("sdist", tree, out)) as archive:
        unpack(archive, out)
    (unpacked,) = (path for path in out.iterdir() if path.is_dir())
    return built("wheel", unpacked, out)


@dataclass
class Installed:
    """A virtual environment with the wheel, and a folder to work in."""

    bin: Path
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("TANDEM", "PYTHON"))}
        return env | {"COLUMNS": "200", "TANDEM_DATA": str(self.folder / "data")}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "tandem"), *arguments], cwd=self.folder, env=self.env | more,
            capture_output=True, text=True, timeout=pace.seconds(200),
        )  # fmt: skip


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The dependencies are those of this environment; our own packages come from the wheel."""
    base = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(base / "venv")], check=True)
    python = base / "venv" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps",
         "--no-index", str(wheel)], check=True, timeout=pace.seconds(120),
    )  # fmt: skip
    (site,) = (base / "venv" / "lib").glob("python*/site-packages")
    # A plain line is a folder and no more: the .pth of the editable install is not read there.
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    # Where it is started is the folder of another project, which has names of ours.
    one = Installed(python.parent, base / "project")
    for name in PACKAGES:
        (one.folder / name).mkdir(parents=True)
        (one.folder / name / "__init__.py").write_text("raise ImportError('not the venue')\n")
    return one


class Running:
    """A command of the wheel that runs until it is told to end."""

    def __init__(self, installed: Installed, *arguments: str) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self.popen = subprocess.Popen(
            [str(installed.bin / "tandem"), *arguments], cwd=installed.folder, env=installed.env,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()

    def wait_for(self, text: str) -> None:
        with self._news:
            self._news.wait_for(
                lambda: any(text in line for line in self.lines) or self.popen.poll() is not None,
                pace.seconds(90),
            )
        assert any(text in line for line in self.lines), "\n".join(self.lines)

    def end(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        code = self.popen.wait(pace.seconds(60))
        self._reader.join(pace.seconds(10))
        return code


@pytest.fixture(scope="module")
def url(installed: Installed) -> Iterator[str]:
    """`tandem up`, and where its HTTP is."""
    file = write_configuration(installed.folder)
    running = Running(installed, "up", "--config", str(file))
    try:
        running.wait_for("Ctrl-C ends it.")
        (found,) = re.findall(r"web page\s+(http://\S+?)/?\s", "\n".join(running.lines))
        yield found
    finally:
        code = running.end()
    assert code == 0, "\n".join(running.lines)


def test_the_wheel_has_what_the_venue_reads_and_nothing_of_ours_besides(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    for name in ("spec/FIX44.xml", "spec/certification/session.toml", "spec/FIX.md",
                 "spec/openapi.yaml", "clients/quickfixj/tandem.cfg", "config/haproxy/tandem.cfg",
                 "config/demo.toml", "account_api/web/js/view/ticket.js",
                 "build/docs/index.html"):  # fmt: skip
        assert f"tandem/venue/{name}" in names
    assert {f"tandem/venue/{name}/__init__.py" for name in PACKAGES} <= set(names)
    assert not [name for name in names if name.startswith("tests/") or "/tests/" in name]


def test_the_wheel_puts_one_name_on_the_path(wheel: Path, installed: Installed) -> None:
    archive = zipfile.ZipFile(wheel)
    (listed,) = (name for name in archive.namelist() if name.endswith("/top_level.txt"))
    assert archive.read(listed).decode().split() == ["tandem"]
    tops = {name.split("/")[0] for name in archive.namelist()} - {listed.split("/")[0]}
    assert tops == {"tandem"}
    look = ("import importlib.util as i, sys; names = sys.argv[1:]\n"
            "print([name for name in names if i.find_spec(name)])\n"
            "import tandem\nprint(*{i.find_spec(name).origin for name in names}, sep='\\n')")
    before, *after = subprocess.run(
        [str(installed.bin / "python"), "-P", "-c", look, *PACKAGES], cwd=installed.folder,
        env=installed.env, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert before == "[]" and len(after) == len(PACKAGES)
    assert all("/site-packages/tandem/venue/" in path for path in after)


def test_it_says_its_version(installed: Installed) -> None:
    version = re.search(r"^version = (\S+)$", (ROOT / "setup.cfg").read_text(), re.M)
    assert version is not None
    assert installed.run("--version").stdout == f"tandem {version[1]}\n"


def test_up_serves_the_venue_and_its_page(installed: Installed, url: str) -> None:
    assert requests.get(f"{url}/v1/instruments", timeout=pace.seconds(10)).json()["instruments"]
    assert "Order book" in requests.get(f"{url}/", timeout=pace.seconds(10)).text
    assert requests.get(f"{url}/web/js/app.js", timeout=pace.seconds(10)).ok
    assert "The documentation" in requests.get(f"{url}/docs", timeout=pace.seconds(10)).text
    for name in ("FIX44.xml", "openapi.yaml", "asyncapi.yaml",
                 "docs/files/config/grafana/tandem.json",
                 "docs/files/clients/quickfixj/tandem.cfg"):  # fmt: skip
        assert requests.get(f"{url}/{name}", timeout=pace.seconds(10)).ok, name


def test_health_names_what_does_not_answer(installed: Installed, url: str) -> None:
    done = installed.run("health", "--config", str(installed.folder / "venue.toml"))
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": ok\n") == len(venue_processes()), done.stdout
    nobody = installed.run("health", "engine", "stream", TANDEM_DATA=str(installed.folder / "no"))
    assert nobody.returncode == 1 and nobody.stdout.count("\n") == 2
    wrong = installed.run("health", "motor")
    assert wrong.returncode != 0 and "there are engine, history, fix" in wrong.stdout + wrong.stderr


def test_conform_plays_a_case_against_it(installed: Installed, url: str) -> None:
    text = (installed.folder / "venue.toml").read_text(encoding="utf-8")
    port = re.search(r"\[fix\].*?^port = ([0-9]+)$", text, re.M | re.S)
    assert port is not None
    done = installed.run(
        "conform", "--port", port[1], "--comp-id", "ALICE", "--username", "alice",
        "--symbol", "BTC-USD", "--case", "A01", TANDEM_FIX_PASSWORD="alice-demo",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed  A01" in done.stdout
    assert (installed.folder / "conform-report" / "report.html").is_file()


def test_certify_serves_every_case(installed: Installed) -> None:
    running = Running(installed, "certify", "--port", "0", "--page-port", "0",
                      "--account-port", "0")  # fmt: skip
    try:
        running.wait_for("Ready.")
    finally:
        code = running.end()
    assert code == 1 and "partial: no case was tried" in "\n".join(running.lines)


def test_the_demo_plays_its_day(installed: Installed) -> None:
    done = installed.run("demo")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
