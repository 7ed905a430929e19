"""How many clients a server has file descriptors for."""

from __future__ import annotations

import resource
from typing import Final

DESCRIPTORS_OWN: Final = 128
"""What a server keeps for itself, beside those of its clients."""


def descriptors(wanted: int) -> int:
    """Return how many clients the descriptors are enough for, at most ``wanted``, at least one.

    The soft limit of the process is raised to the hard one.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, min(wanted, hard - DESCRIPTORS_OWN))
