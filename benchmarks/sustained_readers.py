"""A hundred subscribers of the stream and a treasury that polls, for ``benchmarks.sustained``.

A process of its own, which ends at the end of its standard input and then prints one JSON object:
messages, gaps in the channels, and the balances that were asked for. Every subscriber has the
book of BTC-USD, some of them the orders of an account as well.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import sys
import threading
from typing import Final

from benchmarks.stream import subscribers

POLL_S: Final = 0.2


class Treasury(threading.Thread):
    """Asks for an account's balances by REST, five times a second, until it is told to stop."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.stop = threading.Event()
        self.answers = 0
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stop.wait(POLL_S):
                headers = {"Authorization": "Bearer demo-alice-read"}
                self.http.request("GET", "/v1/balances", headers=headers)
                answer = self.http.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise ConnectionError(f"the API answered {answer.status}: {body!r}")
                self.answers += 1
        except Exception as error:
            self.fault = error


async def read(port: int, count: int, private: int) -> tuple[int, int]:
    """Read until standard input ends; return messages and gaps."""
    loop = asyncio.get_running_loop()
    peers = await subscribers(port, count, private)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    lost = [peer for peer in peers if peer.transport is None or peer.transport.is_closing()]
    if lost:
        raise ConnectionError(f"{len(lost)} subscribers have lost their connection")
    return sum(peer.updates for peer in peers), sum(peer.gaps for peer in peers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--stream-port", type=int, required=True)
    parser.add_argument("--subscribers", type=int, required=True)
    parser.add_argument("--private", type=int, required=True)
    options = parser.parse_args()
    treasury = Treasury(options.http_port)
    treasury.start()
    messages, gaps = asyncio.run(read(options.stream_port, options.subscribers, options.private))
    treasury.stop.set()
    treasury.join()
    if treasury.fault is not None:
        raise treasury.fault
    print(json.dumps({"messages": messages, "gaps": gaps, "balances": treasury.answers}))


if __name__ == "__main__":
    main()
