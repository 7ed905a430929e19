"""Made by `python docs/generate.py` from `spec/certification/`; a test holds the two together."""

from __future__ import annotations

from typing import Final

EDITION: Final = "94e219fbb4b584c01def115917c5e2a0bbf8cdb92394577084c3a85bb747d96a"
"""Names the scenarios of this release. A run with others certifies nothing."""
