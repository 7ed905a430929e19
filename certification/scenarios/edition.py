"""Made by `python docs/generate.py` from `spec/certification/`; a test holds the two together."""

from __future__ import annotations

from typing import Final

EDITION: Final = "1252774798585ae1cb0e4ec6f0358cb3e693824d109ce2d6beda0c0b7e7d942f"
"""Names the scenarios of this release. A run with others certifies nothing."""
