"""One of three machines: a member of etcd, and the processes of ``tandem up`` over a folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests

from config.settings import DEMO_FILE, Settings, load
from engine.client import EngineClient, EngineError, queries
from engine.cluster.etcd import Etcd, EtcdError
from engine.core.types import ClusterStatus
from tandem import cluster_certificates
from tests.prove.cluster.network import Namespaces, Network
from tests.prove.venue import ROOT
from tests.support import pace
from tests.support.etcd import FLAGS, PROGRAM
from tests.support.waiting import until

CLIENT_PORT: Final = 2379
PEER_PORT: Final = 2380
MEMBER_PORT: Final = 7010
ASK_S: Final = 2.0
RESTART_S: Final = 1.0
"""What started the venue starts it again after so long, should it end by itself."""
UNHEALTHY: Final = 503
FILLER: Final = "filler"
DISK_BYTES: Final = 256 << 20
SECTIONS: Final = ("fix", "http", "stream", "metrics")


class Plan(NamedTuple):
    """What all machines have in common."""

    folder: Path
    network: Network
    names: tuple[str, ...]
    processes: tuple[str, ...]
    ports: tuple[int, ...]
    changes: Mapping[str, str]
    fsync: bool
    master: bytes
    """The key of ``keys.master``."""

    def endpoints(self, first: str) -> list[str]:
        """Where etcd is reached, the nearest first."""
        order = sorted(self.names, key=lambda name: name != first)
        return [f"{self.network.address(name)}:{CLIENT_PORT}" for name in order]

    def peer(self, name: str) -> str:
        """Where a member of etcd is reached by the others."""
        return f"http://{self.network.address(name)}:{PEER_PORT}"


class Machine:
    """A machine; ``kill`` is the loss of all that runs on it. Used by one thread."""

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan = plan
        self.name = name
        self.address = plan.network.address(name)
        self.folder = plan.folder / name
        self.data = self.folder / "data"
        self.config = self.folder / "venue.toml"
        self.folder.mkdir()
        self.data.mkdir(mode=0o700)
        ports = dict(zip(SECTIONS, plan.ports, strict=True))
        self.fix = (self.address, ports["fix"])
        self.url = f"http://{self.address}:{ports['http']}"
        self.stream_url = f"ws://{self.address}:{ports['stream']}/v1/stream"
        if isinstance(plan.network, Namespaces):
            options = f"size={DISK_BYTES},mode=0700"
            mount = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.data))
            subprocess.run(mount, check=True)
        self._write(ports)
        self._set_up()
        self._etcd: subprocess.Popen[bytes] | None = None
        self._etcd_state = "new"
        self._venue: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self.ended: list[int] = []
        """Exit codes with which the venue ended by itself."""
        plan.network.publish(name, [ports[one] for one in SECTIONS[:3]])

    def _write(self, ports: Mapping[str, int]) -> None:
        tls = self.plan.folder / "tls" / self.name
        table = f"""
[cluster]
name = "proof"
node = "{self.name}"
address = "{self.address}:{MEMBER_PORT}"
etcd = {self.plan.endpoints(self.name)!r}
etcd_tls = false
ca = "{tls / cluster_certificates.CA}"
certificate = "{tls / cluster_certificates.CERTIFICATE}"
key = "{tls / cluster_certificates.KEY}"

[fix]
shared = true
"""
        text = DEMO_FILE.read_text(encoding="utf-8")
        for old, new in self.plan.changes.items():
            assert old in text, f"the demo configuration has no {old!r}"
            text = text.replace(old, new, 1)
        host = self.plan.network.host(self.name)
        for section, port in ports.items():
            head = rf"(\n\[{section}\][^\n]*\n[^\[]*?"
            text = re.sub(rf"{head}port = )\d+", rf"\g<1>{port}", text)
            text = re.sub(rf'{head}host = )"[^"]+"', rf'\g<1>"{host}"', text)
        text = text.replace("\n[http]\n", "\n[http]\nshared = true\n", 1)
        self.config.write_text(text.replace("\n[fix]\n", table, 1), encoding="utf-8")
        self.config.chmod(0o600)

    def _set_up(self) -> None:
        """What an operator puts on a machine that is new."""
        master = self.data / "keys.master"
        master.write_bytes(self.plan.master)
        master.chmod(0o600)

    @property
    def settings(self) -> Settings:
        """The configuration as its processes read it."""
        return load(self.config, self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """What its processes have in common, by which they are found too."""
        more = {"TANDEM_CONFIG": str(self.config), "TANDEM_DATA": str(self.data)}
        return os.environ | more | {"PYTHONPATH": str(ROOT)}

    # What runs.

    def start_etcd(self) -> None:
        """Start its member of etcd."""
        assert PROGRAM is not None
        plan, client = self.plan, f"http://{self.address}:{CLIENT_PORT}"
        peers = ",".join(f"{name}={plan.peer(name)}" for name in plan.names)
        command = [
            *plan.network.within(self.name), PROGRAM, f"--name={self.name}",
            f"--data-dir={self.folder / 'etcd'}", f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}", f"--listen-peer-urls={plan.peer(self.name)}",
            f"--initial-advertise-peer-urls={plan.peer(self.name)}", f"--initial-cluster={peers}",
            f"--initial-cluster-state={self._etcd_state}", *FLAGS,
            *(() if plan.fsync else ("--unsafe-no-fsync",)),
        ]  # fmt: skip
        self._etcd = self._start(command, "etcd.log")

    def start_venue(self) -> None:
        """Start the venue, and start it again should it end by itself."""
        self._wanted = True
        module = ["-m", "tests.prove.cluster.box", *self.plan.processes]
        if not self.plan.processes:
            module = ["-m", "tandem", "up"]
        command = [*self.plan.network.within(self.name), sys.executable, *module]
        self._venue = venue = self._start(command, "up.log")

        def wait() -> None:
            code = venue.wait()
            if self._wanted and self._venue is venue:
                self.ended.append(code)
                threading.Event().wait(RESTART_S)
                if self._wanted and self._venue is venue:
                    self.start_venue()

        threading.Thread(target=wait, daemon=True).start()

    def _start(self, command: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as output:
            return subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        """Start everything."""
        self.start_etcd()
        self.start_venue()

    def pids(self, what: str = "") -> list[int]:
        """Its processes; those alone whose command has ``what`` in it."""
        return [pid for pid, command in self._processes() if what in command]

    def _processes(self) -> Iterator[tuple[int, str]]:
        mark = f"TANDEM_DATA={self.data}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # It has ended meanwhile, or is somebody else's.
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name), (folder / "cmdline").read_text().replace("\0", " ")

    def kill(self) -> None:
        """kill -9 of everything that runs on it."""
        self._wanted = False
        until(lambda: not self._signal(self.pids(), signal.SIGKILL), "something lives on", 60)
        for process in (self._etcd, self._venue):
            if process is not None:
                process.wait()
        self._etcd = self._venue = None

    def kill_etcd(self) -> None:
        """kill -9 of its member of etcd alone."""
        assert self._etcd is not None
        self._etcd.kill()
        self._etcd.wait()

    def kill_engine(self) -> None:
        """kill -9 of its engine alone; the supervisor starts it again."""
        self._signal(self.pids("engine.main"), signal.SIGKILL)

    def freeze(self, what: str = "") -> list[int]:
        """SIGSTOP of everything on it, or of one process; return what was stopped."""
        return self._signal(self.pids(what), signal.SIGSTOP)

    def thaw(self, pids: Sequence[int]) -> None:
        """Let go on what was stopped."""
        self._signal(pids, signal.SIGCONT)

    def _signal(self, pids: Sequence[int], number: signal.Signals) -> list[int]:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return list(pids)

    def terminate(self) -> None:
        """Have the venue end in order."""
        self._wanted = False
        assert self._venue is not None
        self._venue.terminate()

    def wait(self) -> int:
        """Wait until it has; return its exit code."""
        assert self._venue is not None
        return self._venue.wait(pace.seconds(30))

    def fill(self) -> None:
        """Leave no room on the disk of its data."""
        with (self.data / FILLER).open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4_096))

    def make_room(self) -> None:
        """Take back what ``fill`` did."""
        (self.data / FILLER).unlink()

    def replace_member(self, other: Machine) -> None:
        """Have etcd take an empty member in the place of another's, by way of this machine's."""
        listed = self._ask_etcd("cluster/member/list", {})["members"]
        for member in listed:
            if member.get("name") == other.name:
                self._ask_etcd("cluster/member/remove", {"ID": member["ID"]})
        self._ask_etcd("cluster/member/add", {"peerURLs": [self.plan.peer(other.name)]})

    def _ask_etcd(self, path: str, body: object) -> Any:
        """Ask as an operator does: again, while etcd finds its members not healthy enough."""
        url = f"http://{self.address}:{CLIENT_PORT}/v3/{path}"

        def attempt() -> requests.Response | None:
            answer = requests.post(url, json=body, timeout=30)
            return None if answer.status_code == UNHEALTHY else answer

        answer = until(attempt, f"etcd does not answer {path}", 30, lambda one: one is not None)
        assert answer is not None
        answer.raise_for_status()
        return answer.json()

    def has_etcd(self) -> bool:
        """Whether its member of etcd answers, and knows a leader."""
        etcd = Etcd([f"{self.address}:{CLIENT_PORT}"], timeout_s=ASK_S)
        try:
            return etcd.status().leader != 0
        except EtcdError:
            return False
        finally:
            etcd.close()

    def empty(self) -> None:
        """Leave nothing on its disk but the configuration, as on a machine that is new."""
        for folder in (self.data, self.folder / "etcd"):
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        (self.folder / "etcd").rmdir()
        self._etcd_state = "existing"
        self._set_up()

    def close(self) -> None:
        """Give back its disk; called once, when nothing runs on it."""
        if isinstance(self.plan.network, Namespaces):
            subprocess.run(("umount", str(self.data)), check=True)

    # What it says.

    def ready(self) -> bool:
        """Whether all of its processes have been ready."""
        log = self.log_of("up", 1 << 20)
        return "box: ready" in log or "Ready after" in log

    def client(self, name: str = "proof", timeout_s: float = ASK_S) -> EngineClient:
        """A client of its engine, over the socket in its folder."""
        return EngineClient(str(self.data / "engine.sock"), name, timeout_s=timeout_s)

    def status(self) -> ClusterStatus | None:
        """What its engine knows of the cluster; None while it does not answer."""
        client = self.client()
        try:
            return client.fetch(queries.Cluster()).value
        except EngineError:
            return None
        finally:
            client.close()

    def seq(self) -> int:
        """The last transaction that it has; -1 while it does not answer."""
        client = self.client()
        try:
            return client.fetch(queries.Status()).value.seq
        except EngineError:
            return -1
        finally:
            client.close()

    def log_of(self, name: str, size: int = 2_500) -> str:
        """The end of a log."""
        path = self.data / "log" / f"{name}.log"
        if name in ("up", "etcd"):
            path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-size:] if path.exists() else ""


def make(plan: Plan) -> dict[str, Machine]:
    """Make all machines of a plan, with their certificates."""
    hosts: Mapping[str, list[str]] = {name: [plan.network.address(name)] for name in plan.names}
    cluster_certificates.make(plan.folder / "tls", hosts, 30)
    return {name: Machine(plan, name) for name in plan.names}
