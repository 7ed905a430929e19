"""Made by `python docs/generate.py` from `spec/certification/`; a test holds the two together."""

from __future__ import annotations

from typing import Final

EDITION: Final = "1ebd171e7ccad92b3e91795624ec522c69a4a9dde4c0a2756a316238e4bec014"
"""Names the scenarios of this release. A run with others certifies nothing."""
