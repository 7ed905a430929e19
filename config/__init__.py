"""Configuration: typed settings, read from one TOML file and checked before anything starts.

Only the ``main.py`` files and the command line (``tandem/``) import this package; everything
else is handed the values that it needs.

As the first package of ours that each process imports, it also keeps structlog from importing rich,
with which structlog could colour a terminal: that takes a tenth of the start of a process that logs
JSON, and its clients wait for it after a kill. Who wants rich himself imports it as always.
"""

from __future__ import annotations

import sys

if not {"rich", "structlog"} & sys.modules.keys():
    sys.modules["rich"] = None  # type: ignore[assignment]  # It cannot be imported meanwhile.
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]
