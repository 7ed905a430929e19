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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests

from config.settings import DEMO_FILE, Settings, load
from engine.client import EngineClient, EngineError, queries
from engine.cluster.etcd import Etcd, EtcdError
from engine.core.types import ClusterStatus
from tandem import cluster_certificates
from tests.prove.cluster.clock import Clock
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
ETCD_DISK_BYTES: Final = 1 << 30
FILL_BYTES: Final = 64 << 20
STRACE: Final = shutil.which("strace")
FAILING: Final = "fsync,fdatasync,pwrite64"
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
    small_etcd_disk: bool = False
    """etcd has a disk of its own, in memory, that can be filled."""
    clocks: bool = False
    """Clocks of machines can be set."""

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
        self.etcd_disk = self.folder / "etcd"
        self.etcd_disk.mkdir(mode=0o700)
        self._disks: list[Path] = []
        if isinstance(plan.network, Namespaces):
            self._mount(self.data, DISK_BYTES)
            if plan.small_etcd_disk:
                self._mount(self.etcd_disk, ETCD_DISK_BYTES)
        self.clock = Clock(self.folder / "clock") if plan.clocks else None
        self._write(ports)
        self._set_up()
        self._etcd_state = "new"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._wanted: set[str] = set()
        self._keeping = threading.Lock()
        plan.network.publish(name, [ports[one] for one in SECTIONS[:3]])

    def _mount(self, folder: Path, size: int) -> None:
        options = f"size={size},mode=0700"
        mount = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        subprocess.run(mount, check=True)
        self._disks.append(folder)

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
        clock = {} if self.clock is None else self.clock.environment
        return os.environ | more | {"PYTHONPATH": str(ROOT)} | clock

    # What runs.

    def start_etcd(self) -> None:
        """Start its member of etcd, and start it again should it end by itself."""
        assert PROGRAM is not None
        plan, client = self.plan, f"http://{self.address}:{CLIENT_PORT}"
        peers = ",".join(f"{name}={plan.peer(name)}" for name in plan.names)
        command = [
            *plan.network.within(self.name), PROGRAM, f"--name={self.name}",
            f"--data-dir={self.etcd_disk / 'member'}", f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}", f"--listen-peer-urls={plan.peer(self.name)}",
            f"--initial-advertise-peer-urls={plan.peer(self.name)}", f"--initial-cluster={peers}",
            f"--initial-cluster-state={self._etcd_state}", *FLAGS,
            *(() if plan.fsync else ("--unsafe-no-fsync",)),
        ]  # fmt: skip
        self._keep("etcd", command)

    def start_venue(self) -> None:
        """Start the venue, and start it again should it end by itself."""
        module = ["-m", "tests.prove.cluster.box", *self.plan.processes]
        if not self.plan.processes:
            module = ["-m", "tandem", "up"]
        self._keep("up", [*self.plan.network.within(self.name), sys.executable, *module])

    def _keep(self, name: str, command: Sequence[str]) -> None:
        self._wanted.add(name)
        self._running[name] = process = self._start(command, f"{name}.log")

        def wait() -> None:
            process.wait()
            if not self._ended_by_itself(name, process):
                return
            threading.Event().wait(RESTART_S)
            with self._keeping:
                if self._ended_by_itself(name, process):
                    self._keep(name, command)

        threading.Thread(target=wait, daemon=True).start()

    def _ended_by_itself(self, name: str, process: subprocess.Popen[bytes]) -> bool:
        return name in self._wanted and self._running.get(name) is process

    def _leave(self, *names: str) -> None:
        """Start these no more."""
        with self._keeping:
            self._wanted.difference_update(names)

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
        self._leave("etcd", "up")
        until(lambda: not self._signal(self.pids(), signal.SIGKILL), "something lives on", 60)
        while self._running:
            self._running.popitem()[1].wait()

    def kill_etcd(self) -> None:
        """kill -9 of its member of etcd alone."""
        self._leave("etcd")
        etcd = self._running.pop("etcd")
        etcd.kill()
        etcd.wait()

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
        self._leave("up")
        self._running["up"].terminate()

    def wait(self) -> int:
        """Wait until it has; return its exit code."""
        return self._running["up"].wait(pace.seconds(30))

    def fill(self, disk: Path) -> None:
        """Leave no room on a disk."""
        with (disk / FILLER).open("wb", buffering=0) as file:
            size, more = 0, FILL_BYTES
            while more:
                try:
                    os.posix_fallocate(file.fileno(), size, more)
                    size += more
                except OSError:  # No room for so much.
                    more //= 2

    def make_room(self, disk: Path) -> None:
        """Take back what ``fill`` did."""
        (disk / FILLER).unlink()

    @contextmanager
    def failing_disk(self, what: str) -> Iterator[None]:
        """Have every write and flush of a process's files fail, as a broken disk has it."""
        assert STRACE is not None
        found = self.pids(what)
        command = [STRACE, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={FAILING}",
                   "-e", f"inject={FAILING}:error=EIO"]  # fmt: skip
        for pid in found:
            command += ["-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            until(lambda: tracer.poll() is not None or all(map(_is_traced, found)), "not traced")
            yield
        finally:
            tracer.terminate()
            tracer.wait()

    def alarm(self, on: bool) -> None:
        """Have etcd refuse every write, as at the end of its quota, or take that back."""
        listed = self._ask_etcd("cluster/member/list", {})["members"]
        number = next(one["ID"] for one in listed if one.get("name") == self.name)
        body = {"action": "ACTIVATE" if on else "DEACTIVATE", "memberID": number}
        self._ask_etcd("maintenance/alarm", body | {"alarm": "NOSPACE"})

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
        for folder in (self.data, self.etcd_disk):
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        self._etcd_state = "existing"
        self._set_up()

    def close(self) -> None:
        """Give back its disks; called once, when nothing runs on it."""
        for disk in self._disks:
            subprocess.run(("umount", str(disk)), check=True)

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


def _is_traced(pid: int) -> bool:
    """Whether every thread is, or the process has ended."""
    try:
        threads = [*Path(f"/proc/{pid}/task").iterdir()]
        return all("TracerPid:\t0\n" not in (one / "status").read_text() for one in threads)
    except OSError:
        return True


def make(plan: Plan) -> dict[str, Machine]:
    """Make all machines of a plan, with their certificates."""
    hosts: Mapping[str, list[str]] = {name: [plan.network.address(name)] for name in plan.names}
    cluster_certificates.make(plan.folder / "tls", hosts, 30)
    return {name: Machine(plan, name) for name in plan.names}
