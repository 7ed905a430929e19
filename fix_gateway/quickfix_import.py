"""QuickFIX's Python module, imported in a third of the time: take ``quickfix`` from here.

QuickFIX names some six thousand constants (``MsgType_Logon`` and so on), and SWIG walks through a
list of all for each: two thirds of its import, and a third of the gateway's start. The gateway
needs none of them. So each is left out at first, and looked up when somebody asks for it.
"""

from __future__ import annotations

from typing import Any, Final

import _quickfix

__all__ = ["quickfix"]

_constants: Final = _quickfix.cvar


class _NotYet:
    """Stands for every constant while the module is being imported."""

    def __getattr__(self, name: str) -> _NotYet:
        return self


_not_yet: Final = _NotYet()
_quickfix.cvar = _not_yet
try:
    import quickfix
finally:
    _quickfix.cvar = _constants


def _constant(name: str) -> Any:
    """Return a constant of QuickFIX; the module asks this for what it does not hold itself."""
    if name.startswith("__"):
        raise AttributeError(f"module 'quickfix' has no attribute {name!r}")
    try:
        value = getattr(_constants, name)
    except AttributeError:
        raise AttributeError(f"module 'quickfix' has no attribute {name!r}") from None
    setattr(quickfix, name, value)
    return value


if quickfix.cvar is _not_yet:  # Else somebody had imported it before, with all that it has.
    for _name in [name for name, value in vars(quickfix).items() if value is _not_yet]:
        delattr(quickfix, _name)
    quickfix.cvar = _constants
    quickfix.__getattr__ = _constant
