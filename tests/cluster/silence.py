"""Losses of a leader and how soon each side sees them; ``python -m tests.cluster.silence``.

Each loss has a leader and a link of its own. They happen at the same moment, and what each side
saw is printed as JSON: seconds from then to Lost and to Gone, and from the end of the loss to the
next Connected. ``stopped`` and ``killed`` need a process for the leader; the others are cuts of
the network, for which this runs in a network namespace of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from engine import wire
from engine.cluster.link import Connected, Lost
from engine.server.ipc import Connection, Gone, Item, Server
from tests.cluster.members import Leader, Owner, authority, files
from tests.support import pace

PROCESSES = ("stopped", "killed")
CUTS = ("both", "streaming", "to_leader", "from_leader")
LONGEST_S = 30.0
SILENCE_S = 3.0
"""Shorter for the leaders than by default, as this is waited for."""


def stream(server: Server, connection: Connection, item: Item) -> None:
    """Publish 20 frames for each question, of which the streaming owner asks many."""
    if isinstance(item, wire.Ask):
        for number in range(20):
            server.queue(connection, wire.published_frame(wire.encode_value([number, b"x" * 200])))


def start_leader(folder: Path, name: str) -> tuple[str, int]:
    """Fork a leader; return its address and process. Called before there is any thread."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        with open(read, encoding="ascii") as pipe:
            return pipe.readline().strip(), child
    try:
        leader = Leader(folder / name, files(folder / "ca", "a"))
        os.write(write, f"{leader.address}\n".encode())
        leader.thread.join()
    finally:
        os._exit(0)


def cut(action: str, name: str, port: str) -> None:
    """Drop the packets of a leader's port in one direction or both, or no more (-D)."""
    for way in ("--dport", "--sport"):
        if name != {"--dport": "from_leader", "--sport": "to_leader"}[way]:
            subprocess.run(
                ["iptables", action, "INPUT", "-p", "tcp", way, port, "-j", "DROP"], check=True
            )


class Case:
    """One leader and one link, on a thread that waits for what happens to them."""

    def __init__(self, name: str, folder: Path, address: str, child: int) -> None:
        self.name = name
        self.child = child
        self.leader = (
            None
            if child
            else Leader(folder / name, files(folder / "ca", "a"), stream, silence_s=SILENCE_S)
        )
        self.address = address or (self.leader.address if self.leader else "")
        self.owner = Owner(files(folder / "ca", "b"))
        self.seen: dict[str, float] = {}
        self.reason = ""
        self.began = self.ended = 0.0
        self.healed = threading.Event()
        self.owner.link.follow(self.address)
        self.owner.connected()
        self.thread = threading.Thread(target=self.watch)

    def begin(self) -> None:
        if self.child:
            os.kill(self.child, signal.SIGSTOP if self.name == "stopped" else signal.SIGKILL)
        else:
            cut("-A", self.name, self.address.rpartition(":")[2])
        self.began = time.monotonic()
        self.thread.start()

    def watch(self) -> None:
        """Note when the link is lost, when the leader sees it, and when it is back."""
        item = self.owner.wait_for(lambda item: isinstance(item, Lost), seconds=LONGEST_S)
        assert isinstance(item, Lost)
        self.reason = item.reason
        self.seen["lost"] = time.monotonic() - self.began
        if self.leader is not None:
            self.leader.wait_for(lambda item: isinstance(item, Gone))
            self.seen["gone"] = time.monotonic() - self.began
        if self.name == "killed":
            return
        assert self.healed.wait(pace.seconds(LONGEST_S))
        self.owner.wait_for(lambda item: isinstance(item, Connected), seconds=LONGEST_S)
        self.seen["back"] = time.monotonic() - self.ended

    def heal(self) -> None:
        if self.name == "stopped":
            os.kill(self.child, signal.SIGCONT)
        elif not self.child:
            cut("-D", self.name, self.address.rpartition(":")[2])
        self.ended = time.monotonic()
        self.healed.set()

    def end(self) -> None:
        self.owner.link.close()
        if self.leader is not None:
            self.leader.stop()
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)


def keep_asking(case: Case, over: threading.Event) -> None:
    """Have the leader publish all the time."""
    while not over.wait(0.01):
        case.owner.link.send(wire.encode_frame(wire.Ask(1, "more", {})))


def main(folder: Path, names: list[str]) -> None:
    if names[0] in CUTS:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    authority(folder / "ca")
    started = {name: start_leader(folder, name) for name in names if name in PROCESSES}
    cases = [Case(name, folder, *started.get(name, ("", 0))) for name in names]
    over = threading.Event()
    for case in cases:
        if case.name == "streaming":
            threading.Thread(target=keep_asking, args=(case, over)).start()
    time.sleep(0.5)  # So that the pings of a connection are in their rhythm.
    for case in cases:
        case.begin()
    deadline = time.monotonic() + pace.seconds(LONGEST_S)
    while time.monotonic() < deadline:
        if all("gone" in case.seen or "lost" in case.seen and case.child for case in cases):
            break
        time.sleep(0.05)
    for case in cases:
        case.heal()
    for case in cases:
        case.thread.join(pace.seconds(LONGEST_S))
    over.set()
    for case in cases:
        case.end()
    seen = {case.name: {**case.seen, "reason": case.reason} for case in cases}
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
