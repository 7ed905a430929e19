"""Mutual TLS for the engine's frames: the certificates of a node, and a socket.

``TlsSocket`` has the calls of a plain non-blocking socket. It keeps TLS apart from the socket, so
that nothing ever waits: what has been received is decrypted at once and whole, and the selector
therefore knows of everything that can be read.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import structlog

SCRATCH_BYTES: Final = 240_000
"""Received at once: with what is left of a TLS record (16 KiB) it is below RECEIVE_BYTES."""
RECEIVE_BYTES: Final = 1 << 18
SEND_PIECE_BYTES: Final = 1 << 18
"""Encrypted at once. A piece counts as sent when the kernel has taken all of it."""
KEEPALIVE_IDLE_S: Final = 1
KEEPALIVE_INTERVAL_S: Final = 1
KEEPALIVE_PROBES: Final = 2

log = structlog.get_logger("engine.server.tls")


class TlsError(ConnectionError):
    """TLS was refused or is broken; the message says by whom and why."""


class TlsFiles(NamedTuple):
    """The authority, and this node's certificate and key, in PEM."""

    ca: Path
    certificate: Path
    key: Path


class Contexts:
    """The TLS contexts of this node for one side; made anew when a file has changed.

    A pair that cannot be used (the certificate is replaced, its key not yet) leaves those in use
    that were. Used by one thread. Raises TlsError if the files cannot be used at the start.
    """

    def __init__(self, files: TlsFiles, *, server_side: bool) -> None:
        self._files = files
        self._server_side = server_side
        self._seen = self._signature()
        self._context = self._load()

    def current(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        seen = self._signature()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = self._load()
                log.info("certificates_replaced", certificate=str(self._files.certificate))
            except TlsError as error:
                log.warning("certificates_not_taken", reason=str(error))
        return self._context

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        found: list[tuple[int, int, int] | None] = []
        for path in self._files:
            try:
                status = path.stat()
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return tuple(found)

    def _load(self) -> ssl.SSLContext:
        files = self._files
        purpose = ssl.PROTOCOL_TLS_SERVER if self._server_side else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(purpose)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        if self._server_side:
            context.num_tickets = 0  # Nothing is resumed: each handshake shows its certificate.
        try:
            context.load_verify_locations(files.ca)
        except OSError as error:
            raise TlsError(
                f"the authority {files.ca} cannot be used: {reason_of(error)}"
            ) from error
        try:
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise TlsError(
                f"the certificate {files.certificate} with the key {files.key} cannot be used: "
                f"{reason_of(error)}"
            ) from error
        return context


def _no_password() -> NoReturn:
    raise ValueError("the key is encrypted; this process cannot ask for its password")


def reason_of(error: Exception) -> str:
    """Return what is wrong in words, without OpenSSL's file and line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        # An error of another library than TLS has no reason: "[SSL] PEM lib (_ssl.c:3905)".
        reason = error.reason or _SOURCE.sub("", str(error))
        return _REASONS.get(reason) or reason.replace("_", " ").lower()
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


_SOURCE: Final = re.compile(r"^\[\w+\] | \(_ssl\.c:\d+\)$")
_REASONS: Final = {
    "TLSV1_ALERT_UNKNOWN_CA": "it does not accept this node's certificate: unknown authority",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it does not accept this node's certificate: expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it does not accept this node's certificate: revoked",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept this node's certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE":
        "it does not accept this node's certificate: not for this purpose",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate, and none was sent",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it sent no certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "HTTP_REQUEST": "it does not speak TLS",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it does not speak TLS 1.3",
    "UNSUPPORTED_PROTOCOL": "it does not speak TLS 1.3",
    "NO_CERTIFICATE_OR_CRL_FOUND": "there is no certificate in it",
    "PEM lib": "it is no PEM",
    "KEY_VALUES_MISMATCH": "the key is that of another certificate",
}  # fmt: skip


def scratch() -> memoryview:
    """Return a buffer for received bytes; the sockets of one thread share it."""
    return memoryview(bytearray(SCRATCH_BYTES))


def tune(sock: socket.socket, user_timeout_s: float) -> None:
    """Make a connection fail soon once the machine at its other end is gone."""
    sock.setblocking(False)
    keep_alive(sock)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout_s * 1_000))


def keep_alive(sock: socket.socket) -> None:
    """Have TCP probe an idle connection, and send small pieces at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of "host:port" or "[IPv6]:port". Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ValueError(f"{address!r} is no address; expected host:port")
    number = int(port)
    if not 0 <= number < 1 << 16:
        raise ValueError(f"{address!r} has no port; expected one from 0 to 65535")
    return host, number


class TlsSocket:
    """A connected non-blocking socket with TLS, used by one thread.

    Like a socket it raises BlockingIOError where it would have to wait; TlsError and OSError
    end the connection. ``where`` says in messages who is at its other end.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        buffer: memoryview,
        where: str,
        *,
        server_side: bool,
        host: str | None = None,
    ) -> None:
        self.socket = sock
        self.where = where
        self.peer = ""
        """The node that the other side's certificate names; known after the handshake."""
        self.received = 0
        """Bytes received since the beginning, to see whether the other side is there."""
        self._buffer = buffer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=host
        )
        self._unsent = memoryview(b"")
        """Encrypted bytes that the kernel has not taken yet."""
        self._accepted = 0
        """Bytes of the piece that they are made of."""
        self._shaken = False

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self.socket.fileno()

    def close(self) -> None:
        """Close the socket; nothing more is said to the other side."""
        self.socket.close()

    @property
    def waits_to_send(self) -> bool:
        """Return whether the handshake goes on when there is room to send."""
        return bool(self._unsent)

    def has_unread(self) -> bool:
        """Return whether something has arrived that was not received yet, an end included."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True  # The next call of recv_into says so.
        return True

    def handshake(self) -> bool:
        """Take the handshake a step further; return whether it is done.

        Receives once at most. Raises TlsError, after having told the other side the reason.
        """
        if self._step():
            return True
        if self._unsent or not self._receive():
            return False
        return self._step()

    def recv_into(self, buffer: memoryview) -> int:
        """Receive once and decrypt all of it; return its size, 0 at the end of the stream.

        The buffer has room for RECEIVE_BYTES. What the handshake received beyond its end comes
        first, without waiting for more.
        """
        size = self._decrypt(buffer) if self._incoming.pending else 0
        if not size:
            if not self._receive(at_end=False):
                return 0
            size = self._decrypt(buffer)
        if size < 0:
            return 0
        if not size:
            raise BlockingIOError(errno.EAGAIN, "a part of a TLS record has arrived")
        return size

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and send a piece of ``data``; return its size when all of it is sent.

        After BlockingIOError the next call must begin with the same bytes.
        """
        if not self._accepted:
            piece = memoryview(data)[:SEND_PIECE_BYTES]
            try:
                self._accepted = self._tls.write(piece)
            except ssl.SSLError as error:
                raise TlsError(f"TLS with {self.where} failed: {reason_of(error)}") from error
        if not self._flush():
            raise BlockingIOError(errno.EAGAIN, "the socket takes no more")
        accepted, self._accepted = self._accepted, 0
        return accepted

    def _step(self) -> bool:
        if not self._shaken:
            try:
                self._tls.do_handshake()
                self._shaken = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self._say_why()
                raise TlsError(f"no TLS with {self.where}: {reason_of(error)}") from error
        if not self._flush() or not self._shaken:
            return False
        self.peer = _node_of(self._tls.getpeercert())
        return True

    def _receive(self, at_end: bool = True) -> bool:
        """Receive once; return whether something came. ``at_end`` makes an end an error."""
        try:
            size = self.socket.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            if at_end:
                return False
            raise
        if not size and at_end:
            raise TlsError(f"no TLS with {self.where}: it closed the connection")
        self._incoming.write(self._buffer[:size])
        self.received += size
        return bool(size)

    def _decrypt(self, buffer: memoryview) -> int:
        """Return how many bytes were decrypted, -1 when the other side has ended the stream."""
        size = 0
        while True:
            try:
                got: Any = self._tls.read(len(buffer) - size, buffer[size:])
            except ssl.SSLWantReadError:
                return size
            except ssl.SSLZeroReturnError:
                return size or -1
            except ssl.SSLError as error:
                self._say_why()
                raise TlsError(f"TLS with {self.where} failed: {reason_of(error)}") from error
            if not got:
                return size or -1
            size += got

    def _flush(self) -> bool:
        """Send what is encrypted; return whether the kernel has taken all of it."""
        while True:
            if not self._unsent:
                if not self._outgoing.pending:
                    return True
                self._unsent = memoryview(self._outgoing.read())
            try:
                sent = self.socket.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                return False
            self._unsent = self._unsent[sent:]

    def _say_why(self) -> None:
        """Send the alert that TLS has written, if the other side still takes it."""
        try:
            self._flush()
        except OSError:
            pass  # It has gone, and need not know.


def _node_of(certificate: dict[str, Any] | None) -> str:
    """Return the node of a certificate, the OU of its subject, "" if it has none."""
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            if name == "organizationalUnitName":
                return str(value)
    return ""
