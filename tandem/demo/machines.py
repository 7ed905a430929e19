"""Three machines on this one: each a folder, a member of etcd, and a whole ``tandem up``."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from config.ports import free_ports
from config.settings import DATA_VARIABLE, DEMO_FILE, Settings, load
from engine.cluster import assembly
from engine.cluster.etcd import Etcd, EtcdError
from tandem import cluster_certificates
from tandem.output import CommandError
from tandem.up import environment

NAMES: Final = ("a", "b", "c")
CLUSTER: Final = "demo"
HOST: Final = "127.0.0.1"
ETCD_FLAGS: Final = (
    "--heartbeat-interval=50",
    "--election-timeout=500",
    "--snapshot-count=1000",
    "--max-request-bytes=16777216",
    "--quota-backend-bytes=1073741824",
    "--logger=zap",
    "--log-level=warn",
)
"""What docs/cluster.md recommends, and explains."""
READY: Final = "Ready after"
READY_S: Final = 180.0
ETCD_S: Final = 30.0
END_S: Final = 30.0
POLL_S: Final = 0.05
MASTER_BYTES: Final = 32

Ports = Sequence[int]


def etcd_program() -> str:
    """Return the path of etcd. Raises CommandError where there is none."""
    found = shutil.which("etcd")
    if found is None:
        raise CommandError(
            "a cluster needs etcd, which is not installed here (Debian: apt-get install "
            "etcd-server)"
        )
    return found


class Machine:
    """One of the machines. What it starts has ended when ``kill`` or ``stop`` has returned."""

    def __init__(self, folder: Path, name: str, ports: Ports, tls: Path) -> None:
        self.name = name
        self.folder = folder
        self.data = folder / "data"
        self.client_port, self.peer_port, self.port = ports[:3]
        self._ports = ports[3:]
        self.tls = tls
        self.config = folder / "venue.toml"
        self._etcd: subprocess.Popen[bytes] | None = None
        self._venue: subprocess.Popen[bytes] | None = None
        self._arguments: list[str] = []

    @property
    def settings(self) -> Settings:
        """The settings of its venue."""
        return load(self.config, environment(self.config, self.data))

    @property
    def url(self) -> str:
        """Where its account API is."""
        http = self.settings.http
        return f"http://{http.host}:{http.port}"

    def write(self, every: Sequence[Machine], master: bytes) -> None:
        """Write its configuration, and the master key that all have in common."""
        self.data.mkdir(mode=0o700, parents=True)
        ports = iter(self._ports)
        text = DEMO_FILE.read_text(encoding="utf-8")
        text = re.sub(
            r"^((?:tls_)?port = )[0-9]+", lambda found: f"{found[1]}{next(ports)}", text, flags=re.M
        )
        endpoints = ", ".join(f'"{HOST}:{one.client_port}"' for one in every)
        table = f"""
[cluster]
name = "{CLUSTER}"
node = "{self.name}"
address = "{HOST}:{self.port}"
etcd = [{endpoints}]
ca = "{self.tls / cluster_certificates.CA}"
certificate = "{self.tls / cluster_certificates.CERTIFICATE}"
key = "{self.tls / cluster_certificates.KEY}"
"""
        self.config.write_text(text.replace("\n[fix]\n", f"{table}\n[fix]\n", 1), encoding="utf-8")
        self.config.chmod(0o600)
        key = self.data / "keys.master"
        key.write_bytes(master)
        key.chmod(0o600)
        client, peer = f"https://{HOST}:{self.client_port}", f"https://{HOST}:{self.peer_port}"
        files = {
            "cert-file": cluster_certificates.CERTIFICATE,
            "key-file": cluster_certificates.KEY,
            "trusted-ca-file": cluster_certificates.CA,
        }
        peers = ",".join(f"{one.name}=https://{HOST}:{one.peer_port}" for one in every)
        self._arguments = [
            f"--name={self.name}", f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={peers}", *ETCD_FLAGS,
            "--client-cert-auth", "--peer-client-cert-auth",
            *(f"--{flag}={self.tls / file}" for flag, file in files.items()),
            *(f"--peer-{flag}={self.tls / file}" for flag, file in files.items()),
        ]  # fmt: skip

    def start_etcd(self) -> None:
        """Start its member of etcd, on what is on its disk."""
        with (self.folder / "etcd.log").open("ab") as log:
            self._etcd = subprocess.Popen(
                [etcd_program(), *self._arguments], stdout=log, stderr=log,
                env={"PATH": os.defpath}, start_new_session=True,
            )  # fmt: skip

    def start_venue(self) -> None:
        """Start ``tandem up``; it need not be ready yet."""
        with (self.folder / "up.log").open("wb") as log:
            self._venue = subprocess.Popen(
                [sys.executable, "-m", "tandem", "up", "--config", str(self.config),
                 "--data", str(self.data)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={name: value for name, value in os.environ.items() if name != DATA_VARIABLE},
            )  # fmt: skip

    @property
    def ready(self) -> bool:
        """Whether its whole venue is. Raises CommandError if it has ended."""
        assert self._venue is not None
        said = (self.folder / "up.log").read_text(encoding="utf-8", errors="replace")
        if self._venue.poll() is not None:
            raise CommandError(f"the venue on machine {self.name} has ended: {said[-600:]}")
        return READY in said

    def processes(self) -> list[int]:
        """Return the ids of everything that runs on it."""
        found = [] if self._etcd is None else [self._etcd.pid]
        return found if self._venue is None else [*found, *_family(self._venue.pid)]

    def kill(self) -> int:
        """Send SIGKILL to everything on it; return how many processes that were."""
        venue = self._venue
        if venue is not None:
            # Or it would start again what ends first.
            venue.send_signal(signal.SIGSTOP)
        doomed = self.processes()
        for pid in reversed(doomed):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in (venue, self._etcd):
            if process is not None:
                process.wait()
        self._venue = self._etcd = None
        return len(doomed)

    def stop_venue(self) -> None:
        """Stop its venue as Ctrl-C does."""
        if self._venue is None:
            return
        self._venue.terminate()
        try:
            self._venue.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._venue = None

    def kill_etcd(self) -> None:
        """Send SIGKILL to its member of etcd alone."""
        if self._etcd is not None:
            self._etcd.kill()
            self._etcd.wait()
            self._etcd = None

    def stop_etcd(self) -> None:
        """Stop its member of etcd."""
        if self._etcd is not None:
            self._etcd.terminate()
            self._etcd.wait()
            self._etcd = None


class Machines:
    """The three. As a context, everything that they have started has ended after it."""

    def __init__(self, folder: Path) -> None:
        etcd_program()
        tls = folder / "certificates"
        cluster_certificates.make(tls, {name: [HOST] for name in NAMES}, 30)
        each = 3 + 5
        ports = free_ports(each * len(NAMES))
        self.every = tuple(
            Machine(folder / name, name, ports[each * n : each * (n + 1)], tls / name)
            for n, name in enumerate(NAMES)
        )
        master = secrets.token_bytes(MASTER_BYTES)
        for one in self.every:
            one.write(self.every, master)

    def start_etcd(self) -> None:
        """Start all members of etcd, and wait until they answer. Raises CommandError."""
        for one in self.every:
            one.start_etcd()
        etcd = assembly.etcd_of(self.every[0].settings.cluster)
        try:
            wait(lambda: _leads(etcd), ETCD_S, "etcd has no leader; see etcd.log of the machines")
        finally:
            etcd.close()

    def start_venues(self) -> None:
        """Start all venues at once, and wait until each is ready. Raises CommandError."""
        for one in self.every:
            one.start_venue()
        for one in self.every:
            wait(lambda one=one: one.ready, READY_S, f"the venue of {one.name} is not ready")  # type: ignore[misc]

    def leader(self) -> Machine:
        """Wait for a machine that leads, and return it. Raises CommandError."""
        tenure = assembly.tenure_of(self.every[0].settings.cluster)
        found: list[Machine] = []

        def leads() -> bool:
            try:
                leader = tenure.leader()
            except EtcdError:
                return False
            found.extend(one for one in self.every if leader and leader.node == one.name)
            return bool(found)

        wait(leads, ETCD_S, "no machine leads")
        return found[0]

    def away(self, machine: Machine) -> bool:
        """Return whether the others know by now that a machine is gone."""
        try:
            members = assembly.members_of(self.every[0].settings.cluster).list()
        except EtcdError:
            return False
        return all(one.progress is None for one in members if one.node == machine.name)

    def __enter__(self) -> Machines:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            for one in self.every:
                one.stop_venue()
            for one in self.every:
                one.stop_etcd()
        for one in self.every:
            one.kill()


def wait(happened: Callable[[], bool], longest_s: float, otherwise: str) -> None:
    """Wait until something has happened. Raises CommandError after ``longest_s``."""
    deadline = time.monotonic() + longest_s
    while not happened():
        if time.monotonic() > deadline:
            raise CommandError(f"{otherwise} after {longest_s:.0f} s")
        time.sleep(POLL_S)


def _leads(etcd: Etcd) -> bool:
    try:
        return etcd.status().leader != 0
    except EtcdError:
        return False


def _family(pid: int) -> list[int]:
    """Return a process and all that descend from it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue  # It has ended meanwhile.
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, index = [pid], 0
    while index < len(found):
        found.extend(children.get(found[index], ()))
        index += 1
    return found
