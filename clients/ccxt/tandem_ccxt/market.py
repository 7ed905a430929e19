"""Public methods: markets, currencies, books, trades, candles, tickers."""

from __future__ import annotations

from ccxt.base.errors import ExchangeNotAvailable


class Market:
    """Market data."""

    def fetch_time(self, params={}):
        """Fetch the venue's clock in milliseconds."""
        response = yield self.publicGetTime(params)
        return self.safe_integer(response, "time_ms")

    def fetch_status(self, params={}):
        """Fetch whether the venue can serve."""
        response = None
        try:
            response = yield self.rootGetReadyz(params)
        except ExchangeNotAvailable as error:
            response = {"message": str(error)}
        ready = self.safe_string(response, "status") == "ready"
        return {
            "status": "ok" if ready else "maintenance", "updated": None, "eta": None, "url": None,
            "info": response,
        }  # fmt: skip

    def fetch_markets(self, params={}):
        """Fetch the instruments."""
        if self.options["adjustForTimeDifference"]:
            yield self.load_time_difference()
        response = yield self.publicGetInstruments(params)
        return self.parse_markets(response["instruments"])

    def parse_market(self, market):
        base = self.safe_currency_code(self.safe_string(market, "base"))
        quote = self.safe_currency_code(self.safe_string(market, "quote"))
        trading = self.fees["trading"]
        return self.safe_market_structure({
            "id": self.safe_string(market, "symbol"), "symbol": base + "/" + quote,
            "base": base, "quote": quote, "settle": None,
            "baseId": self.safe_string(market, "base"),
            "quoteId": self.safe_string(market, "quote"), "settleId": None,
            "type": "spot", "spot": True, "margin": False, "swap": False, "future": False,
            "option": False, "contract": False, "linear": None, "inverse": None,
            "active": self.safe_string(market, "status") == "open",
            "taker": trading["taker"], "maker": trading["maker"],
            "precision": {
                "amount": self.safe_number(market, "lot"),
                "price": self.safe_number(market, "tick"),
            },
            "limits": {
                "leverage": {"min": None, "max": None},
                "amount": {
                    "min": self.safe_number(market, "min_quantity"),
                    "max": self.safe_number(market, "max_quantity"),
                },
                "price": {
                    "min": self.safe_number(market, "tick"),
                    "max": self.safe_number(market, "max_price"),
                },
                "cost": {"min": None, "max": None},
            },
            "created": None,
            "info": market,
        })  # fmt: skip

    def fetch_currencies(self, params={}):
        """Fetch the assets with their networks."""
        assets = yield self.publicGetAssets(params)
        networks = yield self.publicGetNetworks()
        by_asset = self.group_by(networks["networks"], "asset")
        return self.parse_currencies([
            self.extend(asset, {"networks": self.safe_list(by_asset, asset["asset"], [])})
            for asset in assets["assets"]
        ])  # fmt: skip

    def parse_currency(self, rawCurrency):
        id = self.safe_string(rawCurrency, "asset")
        code = self.safe_currency_code(id)
        precision = self.parse_number(
            self.parse_precision(self.safe_string(rawCurrency, "decimals"))
        )
        networks = {}
        for network in self.safe_list(rawCurrency, "networks", []):
            name = self.network_id_to_code(self.safe_string(network, "network"), code)
            networks[name] = {
                "id": self.safe_string(network, "network"), "network": name,
                "active": not network["suspended"], "deposit": True,
                "withdraw": not network["suspended"],
                "fee": self.safe_number(network, "withdrawal_fee"),
                "precision": self.safe_number(network, "withdrawal_step"),
                "limits": {
                    "withdraw": {"min": self.safe_number(network, "withdrawal_min"), "max": None},
                    "deposit": {"min": None, "max": None},
                },
                "info": network,
            }  # fmt: skip
        fiat = self.in_array(code, self.options["fiatCurrencies"])
        return self.safe_currency_structure({
            "id": id, "code": code, "name": None, "type": "fiat" if fiat else "crypto",
            "active": None, "deposit": None, "withdraw": None, "fee": None,
            "precision": precision, "networks": networks, "info": rawCurrency,
            "limits": {
                "amount": {"min": precision, "max": None},
                "withdraw": {"min": None, "max": None},
                "deposit": {"min": None, "max": None},
            },
        })  # fmt: skip

    def fetch_order_book(self, symbol, limit=None, params={}):
        """Fetch a book of at most 1000 levels."""
        yield self.load_markets()
        market = self.market(symbol)
        request = {"symbol": market["id"]}
        if limit is not None:
            request["depth"] = limit
        response = yield self.publicGetBooksSymbol(self.extend(request, params))
        book = self.parse_order_book(
            response, market["symbol"], self.milliseconds(), "bids", "asks", "price", "quantity"
        )
        book["nonce"] = self.safe_integer(response, "as_of_seq")
        return book

    def fetch_trades(self, symbol, since=None, limit=None, params={}):
        """Fetch public trades: the newest, or those from ``since`` on."""
        yield self.load_markets()
        market = self.market(symbol)
        size = 1000 if limit is None or since is not None else min(limit, 1000)
        request = self.extend({"symbol": market["id"], "limit": size}, params)
        rows = (yield self.publicGetTrades(request))["trades"]
        more = len(rows) == request["limit"]
        if since is not None and more and self.parse8601(rows[0]["time"]) > since:
            after = yield from self._seek(
                self.publicGetTrades, request, "trades", since, rows[0]["trade_id"]
            )
            request = self.extend(request, {"after_trade_id": after})
            rows = (yield self.publicGetTrades(request))["trades"]
        return self.parse_trades(rows, market, since, limit)

    def _seek(self, method, request, key, since, high):
        """Find a trade id after which the rows of an ascending list begin at ``since``."""
        low = 0
        while low < high:
            middle = (low + high) // 2
            found = yield method(self.extend(request, {"after_trade_id": middle, "limit": 1}))
            rows = found[key]
            if rows and self.parse8601(rows[0]["time"]) < since:
                low = rows[0]["trade_id"]
            else:
                high = middle
        return low

    def parse_trade(self, trade, market=None):
        """Parse a public trade, or a fill with its fee."""
        market = self.safe_market(self.safe_string(trade, "symbol"), market)
        timestamp = self.parse8601(self.safe_string(trade, "time"))
        liquidity = self.safe_string(trade, "liquidity", "taker")
        cost = self.safe_string(trade, "fee")
        fee = None
        if cost is not None:
            code = self.safe_currency_code(self.safe_string(trade, "fee_asset"))
            fee = {"cost": cost, "currency": code}
        return self.safe_trade({
            "id": self.safe_string(trade, "trade_id"), "order": self.safe_string(trade, "order_id"),
            "clientOrderId": self.safe_string(trade, "client_order_id"),
            "timestamp": timestamp, "datetime": self.iso8601(timestamp),
            "symbol": market["symbol"], "type": None, "side": self.safe_string(trade, "side"),
            "takerOrMaker": liquidity, "price": self.safe_string(trade, "price"),
            "amount": self.safe_string(trade, "quantity"),
            "cost": self.safe_string(trade, "notional"), "fee": fee, "info": trade,
        }, market)  # fmt: skip

    def fetch_ohlcv(self, symbol, timeframe="1m", since=None, limit=None, params={}):
        """Fetch candles; an interval without a trade has none."""
        yield self.load_markets()
        market = self.market(symbol)
        response = yield self.publicGetCandles(
            self.candles_request(market, timeframe, since, limit, params)
        )
        return self.parse_ohlcvs(response["candles"], market, timeframe, since, limit)

    def candles_request(self, market, timeframe, since, limit, params):
        request = {"symbol": market["id"], "interval": self.timeframes[timeframe]}
        if since is not None:
            request["start"] = since
        if limit is not None:
            request["limit"] = min(limit, 1000)
        until = self.safe_integer(params, "until")
        if until is not None:
            request["end"] = until
        return self.extend(request, self.omit(params, "until"))

    def parse_ohlcv(self, ohlcv, market=None):
        return [
            self.parse8601(self.safe_string(ohlcv, "start")),
            *(self.safe_number(ohlcv, name) for name in ("open", "high", "low", "close", "volume")),
        ]

    def fetch_ticker(self, symbol, params={}):
        """Fetch the last 24 hours of a symbol, and its best prices."""
        yield self.load_markets()
        market = self.market(symbol)
        book = yield self.publicGetBooksSymbol({"symbol": market["id"], "depth": 1})
        response = yield self.publicGetTickers(self.extend({"symbol": market["id"]}, params))
        ticker = self.extend(response["tickers"][0], {
            "as_of_seq": response["as_of_seq"], "bids": book["bids"], "asks": book["asks"],
        })  # fmt: skip
        return self.parse_ticker(ticker, market)

    def fetch_tickers(self, symbols=None, params={}):
        """Fetch the last 24 hours of some symbols or of all, without best prices."""
        yield self.load_markets()
        response = yield self.publicGetTickers(params)
        return self.parse_tickers(response["tickers"], self.market_symbols(symbols))

    def parse_ticker(self, ticker, market=None):
        market = self.safe_market(self.safe_string(ticker, "symbol"), market)
        bid = self.safe_dict(self.safe_list(ticker, "bids", []), 0, {})
        ask = self.safe_dict(self.safe_list(ticker, "asks", []), 0, {})
        last = self.safe_string(ticker, "last_price")
        timestamp = self.milliseconds()
        return self.safe_ticker({
            "symbol": market["symbol"], "timestamp": timestamp,
            "datetime": self.iso8601(timestamp),
            "bid": self.safe_string(bid, "price"), "bidVolume": self.safe_string(bid, "quantity"),
            "ask": self.safe_string(ask, "price"), "askVolume": self.safe_string(ask, "quantity"),
            "open": self.safe_string(ticker, "open"), "high": self.safe_string(ticker, "high"),
            "low": self.safe_string(ticker, "low"), "close": last, "last": last,
            "baseVolume": self.safe_string(ticker, "volume"),
            "quoteVolume": self.safe_string(ticker, "quote_volume"), "info": ticker,
        }, market)  # fmt: skip
