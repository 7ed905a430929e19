"""Every command and every program in the documentation does what the page says."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.control import ask, socket_path
from config.ports import free_ports
from docs import samples
from engine.client import EngineClient
from engine.core.commands import MassCancel
from engine.core.types import Origin
from tandem.demo.venue import TemporaryVenue, write_configuration
from tandem_client import ApiError
from tests.docs import examples
from tests.docs.blocks import ROOT, RUN, SHOWN, blocks, environment, pages, run
from tests.support import pace

DOCS = ROOT / "docs"
OTHERS = {"benchmarks", "benchmarks-figures", "security", "proofs", "rest"}
"""Pages that are written by their own commands, or have no program to run. The programs of the
REST reference are run below, in the order in which they were recorded."""
PAGES = sorted(
    path.relative_to(DOCS).with_suffix("").as_posix()
    for path in DOCS.rglob("*.md")
    if path.stem not in OTHERS
)
ALONE = {"runbooks"}
"""Pages that start their own venue."""
SKIPS = {
    "starts the venue that the rest of this page speaks to",
    "needs root",
    "needs a cluster",
    "needs HAProxy",
    "installs",
    "needs a registry of images",
    "runs for minutes",
    "needs Postman's runner",
    "needs the compiler of its language",
}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryVenue]:
    with TemporaryVenue(tmp_path_factory.mktemp("docs"), print) as one:
        yield one


@pytest.fixture(scope="module")
def quick() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/quick.sock"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.quick", path], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield path
        process.terminate()
        process.wait(pace.seconds(10))
        process.stdout.close()


def replacements(ports: dict[str, int]) -> dict[str, str]:
    """What stands on a page for a reader's own venue, as it is here."""
    return {rf"\b{name}\b": str(port) for name, port in ports.items()}


def two_ports() -> int:
    """A free port whose next one is free as well."""
    while True:
        port = free_ports(1)[0]
        with contextlib.suppress(OSError, OverflowError), socket.socket() as following:
            following.bind(("127.0.0.1", port + 1))
            return port


def test_every_block_is_run_or_says_why_not() -> None:
    counted = 0
    for page in PAGES:
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        for block in blocks(text):
            where = f"{page}.md:{block.line}"
            assert block.language in RUN | SHOWN, f"{where}: {block.language!r} is not run"
            assert not block.skip or block.skip in SKIPS, f"{where}: {block.skip}"
            counted += block.language in RUN and not block.skip
        assert "<!-- test: skip" not in re.sub(r"(?s)<!-- test: skip[^>]*-->\n+```", "", text), page
    assert counted > 40


def test_programs_in_specifications_are_run_by_tests_of_their_own() -> None:
    """Those that run REST.md and FIX.md are tests/api/test_processes.py, which takes every
    block, and tests/fix/test_signed_logon.py; that of the client library is run by
    tests/api/test_client_library.py, that of ccxt by tests/clients/test_ccxt.py, and README.md
    has tests/tandem/test_readme.py."""
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("spec", "clients")
        for path in pages(ROOT / folder, "*.md")
        if any(block.language in RUN for block in blocks(path.read_text(encoding="utf-8")))
    }
    assert found == {
        "spec/REST.md", "spec/FIX.md", "clients/sdk/README.md", "clients/ccxt/README.md",
    }  # fmt: skip


def runnable(page: str) -> bool:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return any(block.language in RUN and not block.skip for block in blocks(text))


@pytest.mark.parametrize("page", [p for p in PAGES if runnable(p) and p not in ALONE])
def test_the_blocks_of_the_page(
    page: str, venue: TemporaryVenue, tmp_path: Path, quick: str
) -> None:
    settings = venue.settings
    engine = EngineClient(str(settings.engine.socket), "test", timeout_s=pace.seconds(5))
    for firm in ("alice", "bob", "carol"):
        engine.submit(MassCancel(Origin(f"api:{firm}"), firm, f"clean-{page}", firm_wide=True))
        # A page is read in a folder of its own, so its FIX client begins at 1.
        for verb in ("kick", "reset"):
            ask(socket_path(settings.data, "fix"), verb, firm.upper())
    engine.close()
    ports = {"8080": settings.http.port, "8081": settings.stream.port,
             "9878": settings.fix.port, "9464": settings.metrics.port,
             "9455": free_ports(1)[0],
             "9880": free_ports(1)[0], "9881": free_ports(1)[0], "9890": two_ports()}  # fmt: skip
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    run(text, tmp_path, environment(settings.file, settings.data), replacements(ports), quick)


@pytest.mark.timeout(300)  # It starts a venue five times, which a busy machine does slowly.
@pytest.mark.parametrize("page", sorted(ALONE & set(PAGES)))
def test_the_blocks_of_a_page_with_a_venue_of_its_own(
    page: str, tmp_path: Path, quick: str
) -> None:
    config = write_configuration(tmp_path)
    shutil.move(config, tmp_path / "venue.toml")
    found = re.findall(r"^port = (\d+)$", (tmp_path / "venue.toml").read_text(), re.M)
    ports = dict(zip(("9878", "8080", "8081", "9464"), map(int, found), strict=True))
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    env = environment(tmp_path / "venue.toml", tmp_path / "data")
    run(text, tmp_path, env, replacements(ports), quick)


def as_curl(_: str, request: dict[str, Any], api: str) -> Any:
    """What the shell prints that runs the sample of a request."""
    script = f"api={api}\n. clients/curl/tandem.sh\n{samples.curl(request)}"
    done = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True,
        timeout=pace.seconds(20),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_python(operation: str, request: dict[str, Any], api: str) -> Any:
    """What the Python sample of a request answers, as the venue sent it."""
    names: dict[str, Any] = {}
    try:
        exec(samples.python(operation, request).replace(f"http://{samples.HOST}", api), names)
    except ApiError as error:
        return {"code": error.code}
    finally:
        names["client"].close()
    return names["answer"].as_dict()


def plain(value: Any) -> Any:
    """A body without ``replayed``, which the client library adds from a header."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items() if name != "replayed"}
    return [plain(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("language, suffix", [(as_curl, "curl-"), (as_python, "python-")])
def test_the_examples_of_the_reference_on_a_running_venue(
    venue: TemporaryVenue, language: Any, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The samples in curl and in Python are what is run, and the answers have the shape shown."""
    # Each sample makes a client of its own, and each would load all authorities for TLS.
    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, verify=False))
    settings = venue.settings
    api = f"http://{settings.http.host}:{settings.http.port}"

    def send(step: examples.Step, target: str) -> tuple[dict[str, str], int, dict[str, str], Any]:
        headers = {"Idempotency-Key": step.idempotency_key} if step.idempotency_key else {}
        request = {"key": step.key, "method": step.method, "target": target, "headers": headers}
        if step.body is not None:
            request["body"] = step.body
        own = json.loads(re.sub(r"-[12]00(\d)\b", rf"-{suffix}\1", json.dumps(request)))
        body = language(examples.operation(step.method, target), own, api)
        return headers, body.get("status", 0) if "outcome" in body else 200, {}, body

    played = examples.play(send)
    for name, kept in examples.kept().items():
        for old, new in zip(kept, played[name], strict=True):
            was, now = old["response"]["body"], new["response"]["body"]
            if now.keys() == {"code"}:
                assert now["code"] == was["code"], name
                continue
            found = examples.differs(examples.shape(plain(was)), examples.shape(plain(now)), name)
            assert not found, (found, now)
