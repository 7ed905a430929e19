"""No exception leaves a callback of QuickFIX but those that QuickFIX itself answers.

Any other would end QuickFIX's only thread without a word, and every session with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec

import structlog

from fix_gateway.quickfix_import import quickfix

log = structlog.get_logger()
P = ParamSpec("P")

QUICKFIX_ERRORS: Final = (
    quickfix.UnsupportedMessageType,
    quickfix.IncorrectDataFormat,
    quickfix.IncorrectTagValue,
    quickfix.FieldNotFound,
    quickfix.RejectLogon,
)
"""What a callback says to QuickFIX by raising it."""


def guarded(
    callback: Callable[Concatenate[Any, P], None],
) -> Callable[Concatenate[Any, P], None]:
    """Let nothing but QuickFIX's own exceptions out of a callback."""

    @wraps(callback)
    def guard(self: Any, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(self, *args, **kwargs)
        except QUICKFIX_ERRORS:
            raise
        except Exception:
            log.exception("callback_failed", callback=callback.__name__)

    return guard  # type: ignore[return-value]
