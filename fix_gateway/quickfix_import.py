"""QuickFIX's Python module, imported in a quarter of the time: take ``quickfix`` from here.

QuickFIX names some six thousand constants (``MsgType_Logon`` and so on), and SWIG walks through a
list of all for each; and it has a class for each of six thousand fields. Together they are nine
tenths of its import and were a third of the gateway's start, and the gateway needs none of them. So
each is left out at first, and made when somebody asks for it.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

import _quickfix

__all__ = ["quickfix"]

_constants: Final = _quickfix.cvar
_build_class: Final[Any] = builtins.__build_class__


class _Constants:
    """Stands for ``_quickfix.cvar`` while the module is imported, and for every constant."""

    def __getattr__(self, name: str) -> _Constants:
        return self


class _Field:
    """Stands for the class of a field. ``make`` makes it."""

    def __init__(self, *made_of: Any) -> None:
        self.make: Callable[[], Any] = lambda: _build_class(*made_of)


def _build(body: Any, name: str, *bases: Any, **words: Any) -> Any:
    """Build a class as always, unless it is QuickFIX's for a field and not made by SWIG."""
    field = body.__module__ == "quickfix" and "__swig_destroy__" not in body.__code__.co_names
    if field and len(bases) == 1 and hasattr(bases[0], "getFixString"):
        return _Field(body, name, *bases)
    return _build_class(body, name, *bases, **words)


_later: Final[dict[str, _Field]] = {}
_stand_in: Final = _Constants()
_quickfix.cvar = _stand_in
builtins.__build_class__ = _build  # type: ignore[assignment]
try:
    import quickfix
finally:
    _quickfix.cvar = _constants
    builtins.__build_class__ = _build_class


def _missing(name: str) -> Any:
    """Return what was left out; the module asks this for what it does not hold itself."""
    try:
        value = _later[name].make() if name in _later else getattr(_constants, name)
    except AttributeError:
        raise AttributeError(f"module 'quickfix' has no attribute {name!r}") from None
    setattr(quickfix, name, value)
    return value


if quickfix.cvar is _stand_in:  # Else somebody had imported it before, with all that it has.
    quickfix.cvar = _constants
    for _name, _value in [*vars(quickfix).items()]:
        if isinstance(_value, _Field):
            _later[_name] = _value
        if _value is _stand_in or isinstance(_value, _Field):
            delattr(quickfix, _name)
    quickfix.__getattr__ = _missing
