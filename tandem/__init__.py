"""The command line: starts, supervises, inspects and checks a venue. Composition only.

A wheel has the other packages of the venue inside this one, in ``tandem/venue``, so that it puts
one name on everybody's path (decision 34). Whoever imports ``tandem`` finds them there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).resolve().parent
_INSIDE: Final = _HERE / "venue"
PACKAGES: Final = _INSIDE if _INSIDE.is_dir() else _HERE.parent
"""The folder of the venue's packages: inside this one in a wheel, beside it in a checkout."""

if PACKAGES == _INSIDE:
    sys.path.insert(0, str(PACKAGES))
