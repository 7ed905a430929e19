"""The load of the comparison with other venues: one FIX session on a raw socket.

A process of its own. Messages are encoded before the clock starts; while it runs, bytes are sent
and reports counted. Prints one JSON object: orders per second, the processor time per order of
each process that was named, and how much of one processor the load itself used.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import time
from pathlib import Path
from typing import Final

from benchmarks.fix_load import SOH, now_text, split_whole
from benchmarks.peers_flows import Item, round_of

REPORT: Final = b"\x0135=8\x01"
UNWANTED: Final = tuple(
    b"\x01" + each + b"\x01" for each in (b"35=3", b"35=j", b"35=5", b"35=9", b"150=8", b"39=8")
)
TIMEOUT_S: Final = 60.0
HEARTBEAT_S: Final = 300
"""So long that none is due while a round runs."""


def cpu_s(process: int) -> float:
    """Return the processor time that a process has had, all its threads together."""
    stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    ticks = sum(int(field) for field in stat.rpartition(")")[2].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


class Session:
    """Logs on, sends items with a bound on the reports that are due, counts these."""

    def __init__(self, port: int, trader: str, begin: str) -> None:
        self.trader, self.begin = trader, begin
        self.number = 0
        self.due = 0
        self.reports = 0
        self.tail = b""
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def encode(self, kind: str, body: str) -> bytes:
        """Return the next message."""
        self.number += 1
        content = (
            f"35={kind}{SOH}34={self.number}{SOH}49={self.trader.upper()}{SOH}52={now_text()}{SOH}"
            f"56=TANDEM{SOH}{body}"
        )
        text = f"8={self.begin}{SOH}9={len(content)}{SOH}{content}"
        return f"{text}10={sum(text.encode()) % 256:03d}{SOH}".encode()

    def logon(self) -> None:
        user = ""
        if self.begin == "FIX.4.4":
            user = f"553={self.trader}{SOH}554={self.trader}-demo{SOH}"
        fields = f"98=0{SOH}108={HEARTBEAT_S}{SOH}141=Y{SOH}{user}"
        self.socket.sendall(self.encode("A", fields))
        answer = b""
        while b"\x0110=" not in answer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(f"the server closed the connection at logon: {answer!r}")
            answer += data
        if b"\x0135=A\x01" not in answer:
            raise ConnectionError(f"no Logon came back but {answer!r}")

    def receive(self) -> None:
        """Wait for bytes and count the reports in them."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError(f"the server closed the connection after {self.reports} reports")
        whole, self.tail = split_whole(self.tail + data)
        self.reports += whole.count(REPORT)
        for unwanted in UNWANTED:
            if unwanted in whole:
                bad = [text for text in whole.split(b"8=FIX") if unwanted in text]
                raise ConnectionError(f"the server answered {bad[0]!r}")

    def run(self, items: list[Item], window: int) -> tuple[float, float]:
        """Send all and have all reports: seconds, and seconds of this process's processor."""
        encoded = [self.encode(item.kind, item.body) for item in items]
        reports = [item.reports for item in items]
        started, own = time.perf_counter(), time.process_time()
        sent, goal = 0, self.due + sum(reports)
        least = window // 4
        while self.reports < goal:
            last, room = sent, window - (self.due - self.reports)
            if sent < len(encoded) and room >= least:
                while sent < len(encoded) and room > 0:
                    room -= reports[sent]
                    self.due += reports[sent]
                    sent += 1
                self.socket.sendall(b"".join(encoded[last:sent]))
            self.receive()
        return time.perf_counter() - started, time.process_time() - own

    def logout(self) -> None:
        self.socket.sendall(self.encode("5", ""))
        while self.socket.recv(65536):
            pass
        self.socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--begin", default="FIX.4.4")
    parser.add_argument("--flow", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--qty", default="0.001")
    parser.add_argument("--one-report", action="store_true", help="of each message of the mix")
    parser.add_argument("--window", type=int, default=1_000, help="of reports that are due")
    parser.add_argument("--processes", nargs="*", default=[], help="NAME=PID")
    options = parser.parse_args()
    made = round_of(
        options.flow, options.prefix, options.count, options.qty, options.one_report
    )  # fmt: skip
    processes = dict(each.split("=") for each in options.processes)
    session = Session(options.port, "t00", options.begin)
    session.logon()
    session.run(made.before, options.window)
    before = {name: cpu_s(int(pid)) for name, pid in processes.items()}
    seconds, own = session.run(made.measured, options.window)
    spent = {name: cpu_s(int(pid)) - before[name] for name, pid in processes.items()}
    session.run(made.after, options.window)
    session.logout()
    orders = sum(item.orders for item in made.measured)
    reports = sum(item.reports for item in made.measured)
    found = {
        "rate": orders / seconds,
        "reports": reports / orders,
        "load": own / seconds,
        "cpu_us": {name: 1e6 * each / orders for name, each in spent.items()},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
