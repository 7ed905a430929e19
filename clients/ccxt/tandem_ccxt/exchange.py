"""The sync class and the async class, made of the same methods."""

from __future__ import annotations

import ccxt
import ccxt.async_support

from tandem_ccxt.description import DESCRIPTION
from tandem_ccxt.market import Market
from tandem_ccxt.money import Money
from tandem_ccxt.running import endpoints_of, methods_of, run, run_async
from tandem_ccxt.signing import Signing
from tandem_ccxt.trading import Trading


class _Methods(Market, Trading, Money, Signing):
    pass


def _exchange(base, runner):
    own = {**endpoints_of(DESCRIPTION["api"]), **methods_of(_Methods, runner)}
    return type("tandem", (_Methods, base), {**own, "__doc__": "Tandem for ccxt."})


Sync = _exchange(ccxt.Exchange, run)
Async = _exchange(ccxt.async_support.Exchange, run_async)
