"""The services of compose.yaml in containers, by podman. `make image` builds the image for it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from config.ports import free_ports
from config.settings import load
from tandem.demo.venue import write_configuration
from tandem.processes import venue_processes
from tests.fix.rawfix import RawFix
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent
IMAGE = os.environ.get("TANDEM_IMAGE", "")
PODMAN = shlex.split(os.environ.get("TANDEM_PODMAN", "podman"))
RUN = shlex.split(os.environ.get("TANDEM_PODMAN_RUN", ""))
PROJECT = f"tandem-test-{os.getpid()}"
WITHOUT = "TANDEM_IMAGE names no image; make image builds one and tries it"
pytestmark = [
    pytest.mark.skipif(not IMAGE, reason=WITHOUT), pytest.mark.serial, pytest.mark.timeout(600),
]  # fmt: skip


def podman(*arguments: str, good: bool = True) -> str:
    command, limit_s = [*PODMAN, *arguments], pace.seconds(120)
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    assert done.returncode == 0 or not good, done.stderr + done.stdout
    return done.stdout


def options(service: dict[str, Any]) -> list[str]:
    """What podman is told of a service. What it has no option for fails here."""
    known = {
        "image", "build", "profiles", "restart", "stop_grace_period", "entrypoint", "environment",
        "volumes", "ports", "network_mode", "cap_drop", "security_opt", "healthcheck",
    }  # fmt: skip
    assert service.keys() <= known, service.keys() - known
    found = [f"--env={name}={value}" for name, value in service["environment"].items()]
    found += [f"--publish={one}" for one in service.get("ports", ())]
    found += [f"--network={one}" for one in [service.get("network_mode")] if one]
    found += [f"--cap-drop={one}" for one in service["cap_drop"]]
    found += [f"--security-opt={one.replace(':true', '')}" for one in service["security_opt"]]
    if "entrypoint" in service:
        found.append(f"--entrypoint={json.dumps(service['entrypoint'])}")
    for volume in service["volumes"]:
        source, rest = volume.split(":", 1)
        found.append(f"--volume={source if '/' in source else f'{PROJECT}_{source}'}:{rest}")
    kind, *words = service["healthcheck"]["test"]
    assert kind == "CMD"
    return [*found, f"--health-cmd={json.dumps(words)}", "--health-interval=disable"]


class Services:
    """The services of one profile in ``text``, as podman runs them."""

    def __init__(self, profile: str, text: str) -> None:
        services: dict[str, Any] = yaml.safe_load(text)["services"]
        self._services = {
            name: service for name, service in services.items() if profile in service["profiles"]
        }
        self.names = [*self._services]

    def __enter__(self) -> Services:
        for name, service in self._services.items():
            podman("run", "--detach", f"--name={self.container(name)}", *RUN, *options(service),
                   IMAGE)  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        podman("rm", "--force", "--time", "5", *map(self.container, self.names))
        for volume in podman("volume", "ls", "--quiet").split():
            if volume.startswith(f"{PROJECT}_"):
                podman("volume", "rm", volume)

    def container(self, name: str) -> str:
        return f"{PROJECT}_{name}"

    def healthy(self, name: str) -> None:
        """Wait until the health check of a service passes."""
        deadline = time.monotonic() + pace.seconds(90)
        check = [*PODMAN, "healthcheck", "run", self.container(name)]
        while subprocess.run(check, capture_output=True).returncode != 0:
            state = podman("inspect", "--format", "{{.State.Status}}", self.container(name)).strip()
            if state != "running" or time.monotonic() > deadline:
                logs = [*PODMAN, "logs", "--tail", "30", self.container(name)]
                said = subprocess.run(logs, capture_output=True, text=True)
                raise AssertionError(f"{name} is {state}:\n{said.stdout}{said.stderr}")
            time.sleep(0.5)

    def end(self, name: str, seconds: int) -> int:
        """Stop a service and return its exit code."""
        podman("stop", "--time", str(seconds), self.container(name))
        found = podman("inspect", "--format", "{{.State.ExitCode}}", self.container(name))
        return int(found)


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[Services, dict[str, int]]]:
    text = (ROOT / "compose.yaml").read_text()
    ports = {}
    for number, free in zip(("8080", "8081", "9878", "9464"), free_ports(4), strict=True):
        ports[number] = free
        assert text.count(f'"127.0.0.1:{number}:{number}"') == 1
        text = text.replace(f'"127.0.0.1:{number}:{number}"', f'"127.0.0.1:{free}:{number}"')
    with Services("demo", text) as services:
        services.healthy("demo")
        yield services, ports


def test_the_demo_serves_on_the_hosts_loopback(demo: tuple[Services, dict[str, int]]) -> None:
    _, ports = demo
    answer = requests.get(f"http://127.0.0.1:{ports['8080']}/readyz", timeout=pace.seconds(10))
    assert answer.status_code == 200, answer.text
    page = requests.get(f"http://127.0.0.1:{ports['8080']}/", timeout=pace.seconds(10))
    assert "Order book" in page.text
    url = f"http://127.0.0.1:{ports['9464']}/metrics"
    assert "tandem_" in requests.get(url, timeout=pace.seconds(10)).text
    client = RawFix(("127.0.0.1", ports["9878"]), "ALICE")
    assert client.logon()["35"] == "A"


def test_the_demo_runs_without_privileges(demo: tuple[Services, dict[str, int]]) -> None:
    services, _ = demo
    name = services.container("demo")
    status = podman("exec", name, "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["990"] * 4
    assert (int(fields["CapEff"], 16), fields["NoNewPrivs"]) == (0, "1")
    assert podman("exec", name, "sh", "-c", "touch /opt/tandem/x 2>&1; true").count("denied") == 1


def test_the_demo_ends_when_told_and_keeps_its_state(
    demo: tuple[Services, dict[str, int]]
) -> None:
    services, ports = demo
    url = f"http://127.0.0.1:{ports['8080']}/v1/balances"
    reader = {"Authorization": "Bearer demo-alice-read"}
    before = requests.get(url, headers=reader, timeout=pace.seconds(10)).json()
    assert services.end("demo", 30) == 0
    podman("start", services.container("demo"))
    services.healthy("demo")
    after = requests.get(url, headers=reader, timeout=pace.seconds(10)).json()
    assert after["balances"] == before["balances"] and before["balances"]


def test_production_runs_each_process_in_a_container_of_its_own(tmp_path: Path) -> None:
    file = write_configuration(tmp_path)
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    text = (ROOT / "compose.yaml").read_text()
    assert text.count("/etc/tandem/venue.toml:/etc/tandem/venue.toml:ro") == 1
    text = text.replace("/etc/tandem/venue.toml:/etc/", f"{file}:/etc/")
    settings = load(file)
    with Services("production", text) as services:
        assert len(services.names) == len(venue_processes())
        for name in services.names:
            services.healthy(name)
        url = f"http://127.0.0.1:{settings.http.port}/readyz"
        answer = requests.get(url, timeout=pace.seconds(10))
        assert answer.status_code == 200, answer.text
        client = RawFix(("127.0.0.1", settings.fix.port), "ALICE")
        assert client.logon()["35"] == "A"
        client.send("D", "11=c-1|55=BTC-USD|54=1|38=0.1|40=2|44=100|59=1|60=20300101-00:00:00|")
        assert client.expect("8")["150"] == "0"
        podman("kill", services.container("engine"))
        podman("start", services.container("engine"))
        for name in services.names:
            services.healthy(name)
        client.send("H", "11=c-1|55=BTC-USD|54=1|")
        assert client.expect("8")["39"] == "0", "the order is there after a kill of the engine"
        codes = {name: services.end(name, 60) for name in reversed(services.names)}
        assert set(codes.values()) == {0}, codes
