"""``tandem_ccxt.pro.tandem``: the class for asyncio with the watch methods."""

from __future__ import annotations

from ccxt.async_support.base.ws.cache import (
    ArrayCache,
    ArrayCacheBySymbolById,
    ArrayCacheByTimestamp,
)
from ccxt.base.precise import Precise

from tandem_ccxt.books import Books
from tandem_ccxt.exchange import Async

_STREAM_PATH = "/v1/stream"
_PRIVATE = ["orders", "executions", "balances"]
_CHANNELS = ("book", "trades", *_PRIVATE)
_WATCHED = (
    "ws", "watchOrderBook", "watchOrderBookForSymbols", "watchTrades", "watchTradesForSymbols",
    "watchTicker", "watchOHLCV", "watchOrders", "watchMyTrades", "watchBalance",
)  # fmt: skip


class tandem(Books, Async):
    """Tandem for ccxt, with its stream."""

    def describe(self):
        return self.deep_extend(super().describe(), {
            "has": {**dict.fromkeys(_WATCHED, True), "watchTickers": False},
            # The venue sends pings of its own and ends connections that do not answer.
            "streaming": {"keepAlive": 10000},
        })  # fmt: skip

    # Requests and their answers

    def request_id(self):
        self.options["lastRequestId"] = self.safe_integer(self.options, "lastRequestId", 0) + 1
        return self.options["lastRequestId"]

    async def public(self, channel, symbols, hashes=None):
        """Subscribe to a channel of symbols and wait for the first message of any of them."""
        await self.load_markets()
        markets = [self.market(symbol) for symbol in symbols]
        topics = [channel + ":" + market["symbol"] for market in markets]
        url = self.urls["api"]["ws"]
        client = self.client(url)
        missing = [
            market["id"] for market, topic in zip(markets, topics, strict=True)
            if topic not in client.subscriptions
        ]  # fmt: skip
        id = self.request_id()
        message = {
            "op": "subscribe", "req_id": id, "params": {"channels": [channel], "symbols": missing},
        }  # fmt: skip
        terms = {"id": id, "topics": topics, "hashes": hashes or topics}
        return await self.watch_multiple(
            url, hashes or topics, message if missing else None, topics, terms
        )

    async def login(self):
        """Log in once per connection."""
        client = self.client(self.urls["api"]["ws"])
        future = client.future("login")
        if "login" not in client.subscriptions:
            self.watch_login(client)
        return await future

    def watch_login(self, client):
        headers = self.credentials("GET", _STREAM_PATH)
        if "Authorization" in headers:
            params = {"token": self.token}
        else:
            params = {
                "key": self.apiKey, "timestamp": headers["X-Tandem-Timestamp"],
                "signature": headers["X-Tandem-Signature"],
            }  # fmt: skip
        message = {"op": "login", "req_id": self.request_id(), "params": params}
        self.watch(client.url, "login", message, "login")

    async def private(self, hash):
        """Log in, follow the account from where this object was, and wait for a message."""
        await self.load_markets()
        await self.login()
        url = self.urls["api"]["ws"]
        id = self.request_id()
        account = self.safe_string(self.options, "account")
        params = self.acting({"channels": _PRIVATE})
        last = self.safe_integer(self.options, "lastAccountSeq")
        if last is not None:
            params["from_seq"] = last + 1
        topic = "private" if account is None else "private:" + account
        terms = {"id": id, "topics": [topic], "hashes": ["orders", "executions", "balances"]}
        message = {"op": "subscribe", "req_id": id, "params": params}
        return await self.watch(url, hash, message, topic, terms)

    def handle_message(self, client, message):
        channel = self.safe_string(message, "channel")
        if channel is None:
            self.handle_answer(client, message)
            return
        if channel in _CHANNELS:
            getattr(self, "handle_" + channel)(client, message)

    def handle_answer(self, client, message):
        if message["op"] == "login":
            if message["ok"]:
                # Kept, so that who asks later finds it done.
                client.futures["login"].resolve(True)
            else:
                del client.subscriptions["login"]
                self.reject_problem(client, message["error"], ["login"])
            return
        if message["ok"]:
            return
        for terms in list(client.subscriptions.values()):
            if isinstance(terms, dict) and terms.get("id") == message["req_id"] is not None:
                for topic in (*terms["topics"], *terms["hashes"]):
                    client.subscriptions.pop(topic, None)
                self.reject_problem(client, message["error"], terms["hashes"])

    def reject_problem(self, client, problem, hashes):
        try:
            self.throw_problem(problem)
        except Exception as error:
            for hash in hashes:
                client.reject(error, hash)

    # Trades, candles and tickers

    async def watch_trades(self, symbol, since=None, limit=None, params={}):
        """Watch public trades."""
        return await self.watch_trades_for_symbols([symbol], since, limit, params)

    async def watch_trades_for_symbols(self, symbols, since=None, limit=None, params={}):
        """Watch the public trades of several symbols."""
        trades = await self.public("trades", symbols)
        if self.newUpdates:
            limit = trades.getLimit(self.safe_string(self.safe_dict(trades, 0), "symbol"), limit)
        return self.filter_by_since_limit(trades, since, limit, "timestamp", True)

    def handle_trades(self, client, message):
        for row in message["data"]:
            trade = self.parse_trade(row)
            symbol = trade["symbol"]
            if symbol not in self.trades:
                self.trades[symbol] = ArrayCache(self.options["tradesLimit"])
            stored = self.trades[symbol]
            if len(stored) and int(stored[-1]["id"]) >= int(trade["id"]):
                continue  # A snapshot after a new connection repeats some.
            stored.append(trade)
            client.resolve(stored, "trades:" + symbol)
            self.update_candles(client, symbol, row)
            self.update_last(client, symbol, row)

    async def watch_ohlcv(self, symbol, timeframe="1m", since=None, limit=None, params={}):
        """Watch candles, which are made of the trades as the venue makes them."""
        await self.load_markets()
        market = self.market(symbol)
        symbol = market["symbol"]
        hash = "ohlcv:" + timeframe + ":" + symbol
        live = self.safe_dict(self.client(self.urls["api"]["ws"]).subscriptions, hash)
        if live is None:
            live = {"id": None, "rows": [], "seq": None}
            self.client(self.urls["api"]["ws"]).subscriptions[hash] = live
            # Trades that come meanwhile wait in ``rows``; as_of_seq says which are in the candles.
            self.spawn(self.begin_candles, market, timeframe, live)
        candles = await self.public("trades", [symbol], [hash])
        if self.newUpdates:
            limit = candles.getLimit(symbol, limit)
        return self.filter_by_since_limit(candles, since, limit, 0, True)

    async def begin_candles(self, market, timeframe, live):
        symbol = market["symbol"]
        client = self.client(self.urls["api"]["ws"])
        hash = "ohlcv:" + timeframe + ":" + symbol
        try:
            response = await self.publicGetCandles(
                self.candles_request(market, timeframe, None, 100, {})
            )
        except Exception as error:
            client.subscriptions.pop(hash, None)
            client.reject(error, hash)
            return
        stored = ArrayCacheByTimestamp(self.options["OHLCVLimit"])
        for row in response["candles"]:
            stored.append(self.parse_ohlcv(row, market))
        self.ohlcvs.setdefault(symbol, {})[timeframe] = stored
        live["seq"] = response["as_of_seq"]
        for row in live.pop("rows"):
            self.add_to_candle(symbol, timeframe, live, row)
        client.resolve(stored, hash)

    def update_candles(self, client, symbol, row):
        for timeframe in self.timeframes:
            hash = "ohlcv:" + timeframe + ":" + symbol
            live = self.safe_dict(client.subscriptions, hash)
            if live is None:
                continue
            if live["seq"] is None:
                live["rows"].append(row)
            elif self.add_to_candle(symbol, timeframe, live, row):
                client.resolve(self.ohlcvs[symbol][timeframe], hash)

    def add_to_candle(self, symbol, timeframe, live, row):
        """Add a trade to its candle, unless the candles that were fetched have it."""
        if row["seq"] <= live["seq"]:
            return False
        stored = self.ohlcvs[symbol][timeframe]
        size = self.parse_timeframe(timeframe) * 1000
        time = self.parse8601(row["time"])
        start = time - time % size
        price, amount = self.parse_number(row["price"]), row["quantity"]
        last = stored[-1] if len(stored) else None
        if last is not None and last[0] == start:
            volume = Precise.string_add(self.number_to_string(last[5]), amount)
            stored.append([
                start, last[1], max(last[2], price), min(last[3], price), price,
                self.parse_number(volume),
            ])  # fmt: skip
        else:
            stored.append([start, price, price, price, price, self.parse_number(amount)])
        return True

    async def watch_ticker(self, symbol, params={}):
        """Watch a ticker: the day's figures as they were, with each quote and trade since."""
        await self.load_markets()
        symbol = self.symbol(symbol)
        client = self.client(self.urls["api"]["ws"])
        hash = "ticker:" + symbol
        if hash not in client.subscriptions:
            client.subscriptions[hash] = {"id": None}
            self.tickers[symbol] = await self.fetch_ticker(symbol)
            self.spawn(self.public, "trades", [symbol])
        return await self.public("book", [symbol], [hash])

    def update_quote(self, client, symbol, book):
        ticker = self.tickers.get(symbol)
        if ticker is None or "ticker:" + symbol not in client.subscriptions:
            return
        quote = {"timestamp": book["timestamp"], "datetime": book["datetime"]}
        for name, side in (("bid", "bids"), ("ask", "asks")):
            best = book[side][0] if book[side] else [None, None]
            quote[name], quote[name + "Volume"] = best[0], best[1]
        self.tickers[symbol] = self.extend(ticker, quote)
        client.resolve(self.tickers[symbol], "ticker:" + symbol)

    def update_last(self, client, symbol, row):
        ticker = self.tickers.get(symbol)
        if ticker is None or row["seq"] <= ticker["info"]["as_of_seq"]:
            return
        price, text = self.parse_number(row["price"]), row["price"]
        time = self.parse8601(row["time"])
        traded = Precise.string_mul(text, row["quantity"])
        self.tickers[symbol] = self.safe_ticker({
            **{name: ticker[name] for name in ("bid", "bidVolume", "ask", "askVolume", "info")},
            "symbol": symbol, "timestamp": time, "datetime": self.iso8601(time),
            "open": self.safe_string(ticker, "open", text), "close": text, "last": text,
            "high": price if ticker["high"] is None else max(ticker["high"], price),
            "low": price if ticker["low"] is None else min(ticker["low"], price),
            "baseVolume": Precise.string_add(
                self.safe_string(ticker, "baseVolume", "0"), row["quantity"]
            ),
            "quoteVolume": Precise.string_add(
                self.safe_string(ticker, "quoteVolume", "0"), traded
            ),
        }, self.market(symbol))  # fmt: skip
        client.resolve(self.tickers[symbol], "ticker:" + symbol)

    # The account

    async def watch_orders(self, symbol=None, since=None, limit=None, params={}):
        """Watch the account's orders."""
        await self.load_markets()
        symbol = None if symbol is None else self.symbol(symbol)
        orders = await self.private("orders" if symbol is None else "orders:" + symbol)
        if self.newUpdates:
            limit = orders.getLimit(symbol, limit)
        return self.filter_by_symbol_since_limit(orders, symbol, since, limit, True)

    async def watch_my_trades(self, symbol=None, since=None, limit=None, params={}):
        """Watch the account's fills."""
        await self.load_markets()
        symbol = None if symbol is None else self.symbol(symbol)
        trades = await self.private("executions" if symbol is None else "executions:" + symbol)
        if self.newUpdates:
            limit = trades.getLimit(symbol, limit)
        return self.filter_by_symbol_since_limit(trades, symbol, since, limit, True)

    async def watch_balance(self, params={}):
        """Watch the account's money."""
        return await self.private("balances")

    def moved_on(self, message):
        """Remember the account's last event, from which a new connection goes on."""
        self.options["lastAccountSeq"] = message["seq"]

    def handle_orders(self, client, message):
        self.moved_on(message)
        if self.orders is None:
            self.orders = ArrayCacheBySymbolById(self.options["ordersLimit"])
        rows = message["data"] if message["type"] == "snapshot" else [message["data"]]
        symbols = set()
        for row in rows:
            if self.safe_string(row, "order_id") is not None and "leaves_quantity" in row:
                order = self.parse_stream_order(row, message)
                self.orders.append(order)
                symbols.add(order["symbol"])
        for symbol in symbols:
            client.resolve(self.orders, "orders:" + symbol)
        if symbols:
            client.resolve(self.orders, "orders")

    def parse_stream_order(self, row, message):
        """Parse an order, whose time of creation a message about it does not repeat."""
        order = self.parse_order(row)
        known = self.safe_dict(
            self.safe_dict(self.orders.hashmap, order["symbol"], {}), order["id"], {}
        )
        time = self.parse8601(message["ts"])
        begun = time if self.safe_string(row, "event") == "accepted" else None
        for name, value in (
            ("timestamp", self.safe_integer(known, "timestamp", begun)),
            ("lastUpdateTimestamp", time),
            ("lastTradeTimestamp", time if self.safe_string(row, "event") == "filled" else None),
            ("fee", known.get("fee")),
        ):
            if order[name] is None:
                order[name] = value
        order["datetime"] = self.iso8601(order["timestamp"])
        return order

    def handle_executions(self, client, message):
        self.moved_on(message)
        if message["type"] == "snapshot":
            return
        if self.myTrades is None:
            self.myTrades = ArrayCacheBySymbolById(self.options["tradesLimit"])
        trade = self.parse_trade(message["data"])
        self.myTrades.append(trade)
        client.resolve(self.myTrades, "executions:" + trade["symbol"])
        client.resolve(self.myTrades, "executions")

    def handle_balances(self, client, message):
        self.moved_on(message)
        if message["type"] == "snapshot":
            self.balance = {}
        time = self.parse8601(message["ts"])
        changed = self.parse_balance({"balances": message["data"]})
        held = {code: changed[code] for code in changed["total"]}
        self.balance = self.safe_balance(self.extend(self.balance, held, {
            "info": message, "timestamp": time, "datetime": self.iso8601(time),
        }))  # fmt: skip
        client.resolve(self.balance, "balances")
