"""Made by `python docs/generate.py` from `spec/certification/`; a test holds the two together."""

from __future__ import annotations

from typing import Final

EDITION: Final = "1c5b413488e935291e1c714136d7efa6c3bbdb03f2ef6e051ac587c47825cbaf"
"""Names the scenarios of this release. A run with others certifies nothing."""
