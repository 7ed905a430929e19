"""Made by `python docs/generate.py` from `spec/certification/`; a test holds the two together."""

from __future__ import annotations

from typing import Final

EDITION: Final = "c99383039eaae88aee577cc5fe4673803f99528365ff11c62c7b4982fa6f59b1"
"""Names the scenarios of this release. A run with others certifies nothing."""
