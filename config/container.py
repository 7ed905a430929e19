"""The demo inside a container: it may listen beyond loopback there, and nowhere else.

Demo secrets are public, so a venue with them listens on loopback only. In a container with a
network of its own that is no use: what the container publishes arrives at another address. Whoever
starts it may say so (``TANDEM_DEMO_IN_CONTAINER=1``), and then publishes the ports on the host's
loopback. It is believed only where there is a container and its network is not the host's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from config.model import Settings

VARIABLE: Final = "TANDEM_DEMO_IN_CONTAINER"
EVERYWHERE: Final = "0.0.0.0"
_MARKS: Final = (".dockerenv", "run/.containerenv")


def refusal(settings: Settings, root: Path = Path("/")) -> str:
    """Return why the demo may not listen beyond loopback here; "" when it may.

    ``root`` is the root of the file system.
    """
    if settings.environment != "demo":
        return f"is for the demo; in {settings.environment} each section has its own host"
    if not any((root / mark).exists() for mark in _MARKS):
        return ("is for containers, and this is none: there is neither /.dockerenv nor "
                "/run/.containerenv")  # fmt: skip
    interfaces = sorted((root / "sys" / "class" / "net").glob("*"))
    for one in interfaces:
        # A network of the container's own has an end of a pair or a tunnel, and no device.
        if (one / "device").exists() or (one / "bridge").exists():
            return (f"is for a container with a network of its own, and this one has the host's: "
                    f"{one.name} is a device of it")  # fmt: skip
    if not interfaces:
        return "cannot be believed: /sys/class/net does not say which network this is"
    return ""


def listening(settings: Settings) -> Settings:
    """Return the settings with every listener on all addresses of the container."""
    return msgspec.structs.replace(
        settings,
        **{
            name: msgspec.structs.replace(getattr(settings, name), host=EVERYWHERE)
            for name in ("fix", "http", "stream", "metrics")
        },
    )
