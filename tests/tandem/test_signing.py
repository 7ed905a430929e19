"""The client's signature, held against openssl, an Ed25519 key, and the shell's one-liner."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tandem import http_client
from tandem.output import CommandError
from tandem_client.credentials import HmacKey, signing_text

BODY = b'{"amount":"2"}'
TEXT = (
    b"1700000000000\nPOST\n/v1/withdrawals?x=1\n" + hashlib.sha256(BODY).hexdigest().encode()
)


def test_four_lines_are_signed() -> None:
    assert signing_text(1_700_000_000_000, "POST", "/v1/withdrawals?x=1", BODY) == TEXT


def test_query_and_body_cannot_change_places() -> None:
    one = signing_text(1, "POST", "/v1/orders?a=1", b"b")
    other = signing_text(1, "POST", "/v1/orders?a=", b"1b")
    assert one != other


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_makes_the_same_signature() -> None:
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "demo-alice-withdraw-secret"],
        input=TEXT, capture_output=True, check=True,
    )  # fmt: skip
    expected = made.stdout.decode().split()[-1]
    assert HmacKey("k", "demo-alice-withdraw-secret").sign(TEXT) == expected


def test_an_ed25519_key_signs_from_its_pem_file(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signature = http_client.signer("any", path, None).sign(TEXT)
    key.public_key().verify(bytes.fromhex(signature), TEXT)


def test_a_secret_comes_from_file_environment_or_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text("from a file\n")
    monkeypatch.delenv("TANDEM_SECRET", raising=False)
    monkeypatch.delenv("TANDEM_CONFIG", raising=False)
    signed = HmacKey("k", "from a file").sign(TEXT)
    assert http_client.signer("any", path, None).sign(TEXT) == signed
    demo = http_client.signer("demo-bob-trade", None, None)
    assert demo.sign(TEXT) == HmacKey("k", "demo-bob-trade-secret").sign(TEXT)
    monkeypatch.setenv("TANDEM_SECRET", "from outside")
    outside = http_client.signer("demo-bob-trade", None, None)
    assert outside.sign(TEXT) == HmacKey("k", "from outside").sign(TEXT)
    monkeypatch.delenv("TANDEM_SECRET")
    with pytest.raises(CommandError, match="no secret for the key .nobody."):
        http_client.signer("nobody", None, None)


def test_curl_sends_the_target_as_it_was_signed() -> None:
    seen: list[tuple[str, str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["X-Tandem-Timestamp"],
                         self.headers["X-Tandem-Signature"], body))  # fmt: skip
            self.send_response(201)
            self.end_headers()
            self.wfile.write(b'{"ok":true}')

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        target = "/v1/orders?symbol=BTC-USD&x=%c3%a4%7E/../y"
        signer = HmacKey("k", "s")
        base = f"http://127.0.0.1:{server.server_port}"
        status, text = http_client.send(base, signer, "post", target, BODY)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (status, text) == (201, '{\n  "ok": true\n}')
    path, timestamp, signature, body = seen[0]
    assert (path, body) == (target, BODY)
    assert signature == signer.sign(signing_text(int(timestamp), "POST", target, BODY))
