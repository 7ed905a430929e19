"""Tandem for ccxt: importing this package adds the exchange to ccxt under the id ``tandem``."""

import ccxt
import ccxt.async_support
import ccxt.pro

from tandem_ccxt import async_support, pro
from tandem_ccxt.exchange import Sync as tandem

__all__ = ["async_support", "pro", "tandem"]

for _module, _class in (
    (ccxt, tandem), (ccxt.async_support, async_support.tandem), (ccxt.pro, pro.tandem),
):  # fmt: skip
    _module.tandem = _class
    if "tandem" not in _module.exchanges:
        _module.exchanges.append("tandem")
