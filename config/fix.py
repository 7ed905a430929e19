"""The table ``[fix]``: the FIX gateway, or the gateways of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct


class Fix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The FIX gateway. ``inner_port`` 0 takes any free port for QuickFIX behind the door.

    A connection from an address in ``proxies`` must begin with a PROXY header, and no other may.
    With ``proxy_protocol`` only proxies are let in; those on this machine where ``proxies`` names
    none. HAProxy listens on ``tls_port``. ``explain_refusals``, never true in production, tells why
    a Logon is refused. ``shared`` (for good): several gateways with stores serve the sessions. Then
    one that is frozen loses its sessions after ``silence_s``, so that another can take them.

    ``gateways`` processes serve the sessions behind one ``port``, each with a store of its own, so
    that FIX uses as many processors; more than one are ``shared`` (decision 38). The inner ports
    of the second and later ones follow ``inner_port``, unless that is 0.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 9878
    inner_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    comp_id: Annotated[str, Meta(min_length=1, max_length=32)] = "TANDEM"
    store: Path = Path("fix")
    connections_max: Annotated[int, Meta(ge=1, le=10_000)] = 256
    logon_timeout_s: Annotated[int, Meta(ge=1, le=60)] = 5
    stale_after_s: Annotated[int, Meta(ge=1, le=3600)] = 5
    heartbeat_s_max: Annotated[int, Meta(ge=1, le=3600)] = 300
    outstanding_bytes_max: Annotated[int, Meta(ge=4096, le=1 << 30)] = 1 << 20
    grace_default_s: Annotated[int, Meta(ge=0, le=86_400)] = 0
    proxy_protocol: bool = False
    proxies: tuple[str, ...] = ()
    tls_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    explain_refusals: bool | None = None
    shared: bool = False
    silence_s: Annotated[int, Meta(ge=3, le=300)] = 10
    gateways: Annotated[int, Meta(ge=1, le=16)] = 1

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """The addresses whose PROXY header is believed."""
        return self.proxies or (("127.0.0.1",) if self.proxy_protocol else ())

    @property
    def names(self) -> tuple[str, ...]:
        """The gateways' processes by the name of each, in the order of their numbers, from 1."""
        return gateway_names(self.gateways)

    @property
    def stores(self) -> tuple[Path, ...]:
        """The folder of each one's store, in the same order."""
        return tuple(self.store / name.replace("fix", "store") for name in self.names)

    @property
    def inner_ports(self) -> tuple[int, ...]:
        """The inner port of each one, in the same order."""
        first = self.inner_port
        return tuple(first + index if first else 0 for index in range(self.gateways))


def gateway_names(count: int) -> tuple[str, ...]:
    """Return the names of so many gateways' processes, also those of their sockets and logs."""
    return ("fix", *(f"fix{number}" for number in range(2, count + 1)))
