"""What the exchange has, in the form of ccxt's ``describe()``."""

from __future__ import annotations

from ccxt.base.decimal_to_precision import TICK_SIZE, TRUNCATE

from tandem_ccxt.errors import EXACT

_NO = (
    "margin", "swap", "future", "option", "CORS", "signIn", "createOrderWithTakeProfitAndStopLoss",
    "fetchOrderBooks", "fetchL3OrderBook", "fetchPositions", "fetchFundingRate", "fetchLeverage",
    "fetchBidsAsks", "fetchLastPrices", "fetchLedgerEntry", "fetchTransactions",
    "fetchTransactionFees", "fetchDepositWithdrawFees", "setLeverage", "setMarginMode",
)  # fmt: skip
_YES = (
    "spot", "cancelAllOrders", "cancelAllOrdersAfter", "cancelOrder", "cancelOrders",
    "createDepositAddress", "createLimitOrder", "createMarketBuyOrderWithCost", "createMarketOrder",
    "createMarketSellOrderWithCost", "createOrder", "createOrders", "createPostOnlyOrder",
    "createStopLimitOrder", "createStopMarketOrder", "createStopOrder", "createTriggerOrder",
    "editOrder", "editOrders", "fetchAccounts", "fetchBalance", "fetchClosedOrders",
    "fetchCurrencies", "fetchDepositAddress", "fetchDepositAddresses", "fetchDeposits",
    "fetchLedger", "fetchMarkets", "fetchMyTrades", "fetchOHLCV", "fetchOpenOrders", "fetchOrder",
    "fetchOrderBook", "fetchOrderTrades", "fetchOrders", "fetchStatus", "fetchTicker",
    "fetchTickers", "fetchTime", "fetchTrades", "fetchTradingFee", "fetchTradingFees",
    "fetchTransfers", "fetchWithdrawal", "fetchWithdrawals", "transfer", "withdraw",
)  # fmt: skip
_EMULATED = ("createMarketOrderWithCost", "fetchCanceledOrders")
_LISTED = {"marginMode": False, "trigger": False, "trailing": False, "symbolRequired": False}

DESCRIPTION = {
    "id": "tandem",
    "name": "Tandem",
    "countries": [],
    "version": "v1",
    "rateLimit": 10,  # ms between requests; the venue says its own limits in every response
    "certified": False,
    "pro": True,
    "has": {
        **dict.fromkeys(_NO, False),
        **dict.fromkeys(_YES, True),
        **dict.fromkeys(_EMULATED, "emulated"),
    },
    "timeframes": {name: name for name in ("1m", "5m", "15m", "1h", "4h", "1d")},
    "urls": {
        # Of a venue on this machine; give your venue's own in the configuration.
        "api": {
            "public": "http://127.0.0.1:8080",
            "private": "http://127.0.0.1:8080",
            "root": "http://127.0.0.1:8080",
            "ws": "ws://127.0.0.1:8081/v1/stream",
        },
        "www": "http://127.0.0.1:8080/",
        "doc": ["http://127.0.0.1:8080/docs"],
    },
    "api": {
        "public": {
            "get": {
                path: {"cost": 1}
                for path in (
                    "time", "assets", "networks", "instruments", "books/{symbol}", "trades",
                    "candles", "tickers",
                )
            },
        },
        "root": {"get": {"readyz": {"cost": 1}}},
        "private": {
            "get": {
                path: {"cost": 1}
                for path in (
                    "accounts", "balances", "ledger", "holds", "fees", "limits", "orders",
                    "orders/{order}", "fills", "deposits", "addresses", "deposit-addresses",
                    "withdrawals", "withdrawals/{withdrawal}", "transfers", "sessions", "api-keys",
                )
            },
            "post": {
                path: {"cost": 1}
                for path in (
                    "orders", "orders/batch", "faucet", "addresses", "deposit-addresses",
                    "withdrawals", "withdrawals/quotes", "withdrawals/{withdrawal}/approve",
                    "withdrawals/{withdrawal}/reject", "transfers",
                )
            },
            "put": {"dead-man-switch": {"cost": 1}},
            "patch": {"orders/{order}": {"cost": 1}},
            "delete": {
                path: {"cost": 1}
                for path in (
                    "orders", "orders/{order}", "addresses/{address_id}",
                    "withdrawals/{withdrawal}",
                )
            },
        },
    },
    "fees": {
        # Until fetchTradingFees() was asked for the account's own: those of the demo venue.
        "trading": {"tierBased": False, "percentage": True, "maker": 0.0005, "taker": 0.001},
    },
    "requiredCredentials": {"apiKey": True, "secret": True},
    "precisionMode": TICK_SIZE,
    "commonCurrencies": {},
    "exceptions": {"exact": EXACT, "broad": {}},
    "features": {
        "spot": {
            "sandbox": False,
            "createOrder": {
                "marginMode": False,
                "triggerPrice": True,
                "triggerPriceType": {"last": True, "mark": False, "index": False},
                "triggerDirection": False,
                "stopLossPrice": False,
                "takeProfitPrice": False,
                "attachedStopLossTakeProfit": None,
                "timeInForce": {"GTC": True, "IOC": True, "FOK": True, "PO": True, "GTD": True},
                "hedged": False,
                "leverage": False,
                "marketBuyByCost": True,
                "marketBuyRequiresPrice": False,
                "selfTradePrevention": {
                    "EXPIRE_MAKER": True, "EXPIRE_TAKER": True, "EXPIRE_BOTH": True, "NONE": True,
                },
                "trailing": False,
                "iceberg": True,
            },
            "createOrders": {"max": 50},
            "fetchMyTrades": {
                "marginMode": False, "limit": 1000, "daysBack": 100000, "untilDays": 100000,
                "symbolRequired": False,
            },
            "fetchOrder": _LISTED,
            "fetchOpenOrders": {**_LISTED, "limit": 1000},
            "fetchOrders": {
                **_LISTED, "limit": 1000, "daysBack": 100000, "untilDays": 100000,
            },
            "fetchClosedOrders": {
                **_LISTED, "limit": 1000, "daysBack": 100000, "daysBackCanceled": 100000,
                "untilDays": 100000,
            },
            "fetchOHLCV": {"limit": 1000},
        },
        "swap": {"linear": None, "inverse": None},
        "future": {"linear": None, "inverse": None},
    },
    "options": {
        # Take the venue's clock instead of this machine's for signatures.
        "adjustForTimeDifference": False,
        "timeDifference": 0,
        # An account of the firm to act for, if not the key's own.
        "account": None,
        "currencyToPrecisionRoundingMode": TRUNCATE,
        # Pages of 1000 rows that one call reads at most.
        "pagesMax": 100,
        "networks": {"BTC": "bitcoin", "ERC20": "ethereum", "WIRE": "wire"},
        "networksById": {"bitcoin": "BTC", "ethereum": "ERC20", "wire": "WIRE"},
        "fiatCurrencies": ["USD", "EUR", "GBP", "CHF", "JPY"],
        "tradesLimit": 1000,
        "ordersLimit": 1000,
        "OHLCVLimit": 1000,
        "watchOrderBook": {"checksum": True},
    },
}  # fmt: skip
