"""Receives webhooks, verifies their signatures, and drops doubles; standard library only.

WEBHOOK_SECRET=whsec_… python clients/python/webhook_receiver.py --port 9455
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

TOLERANCE_S = 300


def verified(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Return whether a delivery is genuine and not older than five minutes."""
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(now_s - int(stamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{name}.{stamp}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = headers.get("webhook-signature", "").split(" ")
    # One for each valid secret: while a secret is rotated there are two.
    return any(hmac.compare_digest(wanted.encode(), one.encode()) for one in given)


def main() -> None:
    """Serve until as many different events were taken as were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9455)
    parser.add_argument("--count", type=int, default=0, help="end after so many events; 0: never")
    arguments = parser.parse_args()
    secret = os.environ.get("WEBHOOK_SECRET", "")
    if not secret.startswith("whsec_"):
        sys.exit("WEBHOOK_SECRET must hold the secret of the endpoint, whsec_…")
    # A real receiver stores the ids where it stores what it does with the events.
    known: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if not verified(secret, headers, body, time.time()):
                self.send_error(401)
                return
            if headers["webhook-id"] not in known:
                known.add(headers["webhook-id"])
                event = json.loads(body)
                data = event["data"]
                told = [str(data[name]) for name in ("amount", "asset", "state") if name in data]
                print(event["id"], event["type"], *told, flush=True)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print events only."""

    with HTTPServer(("127.0.0.1", arguments.port), Handler) as server:
        print(f"listening on port {arguments.port}", flush=True)
        while not arguments.count or len(known) < arguments.count:
            server.handle_request()


if __name__ == "__main__":
    main()
