"""The network of three machines: namespaces on a bridge where the system allows it, else loopback.

Everything lies within the network and process namespace in which ``__main__`` starts the proof, so
nothing of it outlives the proof, however that ends.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.waiting import until

PRIVATE: Final = "TANDEM_PROOF_PRIVATE"
"""Set where namespaces may be made: the process is alone in its own."""
ENTER: Final = (
    "unshare", "--map-root-user", "--net", "--pid", "--mount", "--fork", "--kill-child",
    "--mount-proc",
)  # fmt: skip
BRIDGE: Final = "bridge"
WAYS: Final = ("cable", "deaf", "mute")
"""A link is down; the machine hears nobody; nobody hears the machine."""
_CHAINS: Final = {"deaf": ("INPUT", "-i"), "mute": ("OUTPUT", "-o")}


def possible() -> bool:
    """Whether namespaces, a bridge and filters can be made here."""
    script = "iptables -t nat -L -n && ip link add bridge type bridge && ip link show bridge"
    try:
        done = subprocess.run([*ENTER, "sh", "-c", script], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


class Loopback:
    """Addresses of this machine's loopback: links cannot be cut."""

    cuttable = False

    def __init__(self, names: Sequence[str]) -> None:
        self._addresses = {name: f"127.0.7.{n}" for n, name in enumerate(names, 1)}

    def address(self, name: str) -> str:
        """Where a machine is reached."""
        return self._addresses[name]

    def host(self, name: str) -> str:
        """Where its public ports listen."""
        return self._addresses[name]

    def within(self, name: str) -> list[str]:
        """What a command begins with that runs on that machine."""
        return []

    def publish(self, name: str, ports: Sequence[int]) -> None:
        """Make ports that listen on ``host`` reachable at ``address``."""

    def close(self) -> None:
        """Nothing is left."""


class Namespaces:
    """A namespace for each machine, each with a pair of interfaces to one bridge."""

    cuttable = True

    def __init__(self, names: Sequence[str]) -> None:
        self._numbers = {name: n for n, name in enumerate(names, 1)}
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "address", "add", "10.77.0.254/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        for name in names:
            self._add(name)

    def _add(self, name: str) -> None:
        holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._holders[name] = holder
        theirs, ours = Path(f"/proc/{holder.pid}/ns/net"), os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(theirs) != ours, "the namespace is not there")
        _run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0",
             "netns", str(holder.pid))  # fmt: skip
        _run("ip", "link", "set", f"to-{name}", "master", BRIDGE, "up")
        for command in (
            "ip link set lo up",
            f"ip address add {self.address(name)}/24 dev eth0",
            "ip link set eth0 up",
            "sysctl -q -w net.ipv4.conf.all.route_localnet=1",
        ):
            _run(*self.within(name), *command.split())

    def address(self, name: str) -> str:
        """Where a machine is reached."""
        return f"10.77.0.{self._numbers[name]}"

    def host(self, name: str) -> str:
        """Where its public ports listen: secrets of the demo are for loopback alone."""
        return "127.0.0.1"

    def within(self, name: str) -> list[str]:
        """What a command begins with that runs on that machine."""
        return ["nsenter", f"--net=/proc/{self._holders[name].pid}/ns/net"]

    def publish(self, name: str, ports: Sequence[int]) -> None:
        """Make ports that listen on ``host`` reachable at ``address``."""
        for port in ports:
            _run(*self.within(name), "iptables", "-t", "nat", "-A", "PREROUTING", "-i", "eth0",
                 "-p", "tcp", "--dport", str(port), "-j", "DNAT", "--to-destination",
                 "127.0.0.1")  # fmt: skip

    def cut(self, name: str, way: str) -> None:
        """Cut a machine off, in one of ``WAYS``."""
        if way == "cable":
            _run("ip", "link", "set", f"to-{name}", "down")
        else:
            chain, interface = _CHAINS[way]
            self._filter(name, "-A", chain, interface)

    def mend(self, name: str, way: str) -> None:
        """Take a cut back."""
        if way == "cable":
            _run("ip", "link", "set", f"to-{name}", "up")
        else:
            chain, interface = _CHAINS[way]
            self._filter(name, "-D", chain, interface)

    def _filter(self, name: str, what: str, chain: str, interface: str) -> None:
        rule = (what, chain, interface, "eth0", "-j", "DROP")
        _run(*self.within(name), "iptables", *rule)

    def close(self) -> None:
        """Remove the machines and the bridge."""
        for holder in self._holders.values():
            holder.kill()
            holder.wait()
        _run("ip", "link", "delete", BRIDGE)


Network = Loopback | Namespaces


def network(names: Sequence[str]) -> Network:
    """Return the network that this process may make."""
    return Namespaces(names) if os.environ.get(PRIVATE) else Loopback(names)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
