"""``tandem_ccxt.async_support.tandem``: the class for asyncio."""

from tandem_ccxt.exchange import Async as tandem

__all__ = ["tandem"]
