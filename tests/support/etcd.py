"""Members of etcd for tests, from Debian's package, with the flags that we recommend."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from config.ports import free_ports
from engine.cluster.connection import Tls
from engine.cluster.etcd import Etcd, EtcdUnavailable
from engine.cluster.operations import prefix_end
from tests.support import pace
from tests.support.waiting import until

PROGRAM = shutil.which("etcd")
MISSING = "There is no etcd (Debian: etcd-server)"
needs_etcd = pytest.mark.skipif(PROGRAM is None, reason=MISSING)
FLAGS = (
    "--heartbeat-interval=50",
    "--election-timeout=500",
    "--snapshot-count=1000",
    "--max-request-bytes=16777216",
    "--logger=zap",
    "--log-level=warn",
)
QUOTA_BYTES = 1 << 28


class Address(NamedTuple):
    """Where a member listens: for clients and for its peers."""

    client: int
    peer: int


class EtcdMember:
    """A process of etcd; what is started is ended by its ``EtcdCluster``."""

    def __init__(self, name: str, folder: Path, address: Address, arguments: Sequence[str]) -> None:
        self.name = name
        self.address = address
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.address.client}"

    def start(self) -> None:
        """Start it, or start it again on what it has on its disk."""
        assert PROGRAM is not None, MISSING
        assert self._process is None, f"{self.name} runs"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, *self._arguments, f"--data-dir={self._folder / 'data'}"],
                stdout=log, stderr=log, env={"PATH": os.defpath},
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it where it is, as a machine that hangs; its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has written."""
        return (self._folder / "log").read_text(encoding="utf-8")


class EtcdCluster:
    """One or three members on loopback; a context in which they run.

    With ``tls`` they ask for a client's certificate. Flushes are real unless ``fsync`` is False.
    """

    def __init__(
        self,
        folder: Path,
        members: int = 1,
        *,
        tls: Tls | None = None,
        quota_bytes: int = QUOTA_BYTES,
        fsync: bool = True,
        flags: Sequence[str] = (),
    ) -> None:
        ports = free_ports(2 * members)
        addresses = [Address(*ports[2 * n : 2 * n + 2]) for n in range(members)]
        scheme = "http" if tls is None else "https"
        peers = ",".join(f"m{n}=http://127.0.0.1:{one.peer}" for n, one in enumerate(addresses))
        more = [f"--quota-backend-bytes={quota_bytes}", *flags]
        if not fsync:
            more.append("--unsafe-no-fsync")
        if tls is not None:
            more += [
                f"--cert-file={tls.certificate}", f"--key-file={tls.key}",
                f"--trusted-ca-file={tls.ca}", "--client-cert-auth",
            ]  # fmt: skip
        self.members = []
        for n, one in enumerate(addresses):
            own = folder / f"m{n}"
            own.mkdir(parents=True)
            client, peer = f"{scheme}://127.0.0.1:{one.client}", f"http://127.0.0.1:{one.peer}"
            arguments = [
                f"--name=m{n}", f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}", f"--initial-cluster={peers}",
                *FLAGS, *more,
            ]  # fmt: skip
            self.members.append(EtcdMember(f"m{n}", own, one, arguments))
        self._tls = tls
        self._clients: list[Etcd] = []

    @property
    def endpoints(self) -> list[str]:
        """Where clients reach the members."""
        return [member.endpoint for member in self.members]

    def client(
        self,
        endpoints: Sequence[str] | None = None,
        *,
        tls: Tls | None = None,
        user: str = "",
        password: str = "",
        timeout_s: float | None = None,
    ) -> Etcd:
        """Return a client, of all members or of some, that is closed at the end."""
        tls = tls or self._tls
        files = {} if tls is None else {"ca": tls.ca, "cert": tls.certificate, "key": tls.key}
        wait_s = pace.seconds(0.5) if timeout_s is None else timeout_s
        etcd = Etcd(
            endpoints or self.endpoints, user=user, password=password, timeout_s=wait_s, **files
        )
        self._clients.append(etcd)
        return etcd

    def ready(self) -> bool:
        """Whether every member answers and knows who leads."""
        return all(_ready(self.client([member.endpoint])) for member in self.members)

    def ask(self, path: str, body: object, token: str = "") -> Any:
        """Ask the first member what our own client has no call for."""
        scheme, context = ("http", None) if self._tls is None else ("https", self._tls.context())
        request = urllib.request.Request(
            f"{scheme}://{self.members[0].endpoint}/v3/{path}",
            data=msgspec.json.encode(body),
            headers={"Authorization": token} if token else {},
        )
        with urllib.request.urlopen(request, context=context, timeout=pace.seconds(10)) as answer:
            return msgspec.json.decode(answer.read())

    def guard(self, prefix: str, user: str = "tandem", password: str = "secret") -> None:
        """Enable users: root (password "root"), and one that may read and write one prefix."""
        permission = {
            "permType": "READWRITE",
            "key": prefix.encode(),
            "range_end": prefix_end(prefix.encode()),
        }
        for path, body in (
            ("auth/user/add", {"name": "root", "password": "root"}),
            ("auth/role/add", {"name": "root"}),
            ("auth/user/grant", {"user": "root", "role": "root"}),
            ("auth/user/add", {"name": user, "password": password}),
            ("auth/role/add", {"name": "tandem"}),
            ("auth/role/grant", {"name": "tandem", "perm": permission}),
            ("auth/user/grant", {"user": user, "role": "tandem"}),
            ("auth/enable", {}),
        ):
            self.ask(path, body)

    def make_room(self) -> None:
        """What an operator does when the quota was reached: defragment, and disarm the alarm."""
        self.ask("maintenance/defragment", {})
        for alarm in self.ask("maintenance/alarm", {"action": "GET"}).get("alarms", []):
            self.ask("maintenance/alarm", {"action": "DEACTIVATE", **alarm})

    def leader(self) -> EtcdMember:
        """Return the member that leads, once there is one."""

        def find() -> EtcdMember | None:
            for member in self.members:
                try:
                    status = self.client([member.endpoint]).status()
                except EtcdUnavailable:
                    continue
                if status.leader == status.member:
                    return member
            return None

        found = until(find, "no member of etcd leads")
        assert found is not None
        return found

    def __enter__(self) -> EtcdCluster:
        for member in self.members:
            member.start()
        try:
            for member in self.members:
                own = self.client([member.endpoint])
                until(lambda one=own: _ready(one), member.log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        for member in self.members:
            member.kill()


def _ready(etcd: Etcd) -> bool:
    try:
        return etcd.status().leader != 0
    except EtcdUnavailable:
        return False
