"""Orders and fills."""

from __future__ import annotations

from ccxt.base.errors import ArgumentsRequired
from ccxt.base.precise import Precise

_STATUSES = {
    "new": "open", "partially_filled": "open", "filled": "closed", "canceled": "canceled",
    "expired": "expired", "rejected": "rejected",
}  # fmt: skip
_SELF_TRADE = {
    "EXPIRE_MAKER": "cancel_oldest", "EXPIRE_TAKER": "cancel_newest",
    "EXPIRE_BOTH": "cancel_both", "NONE": "none",
}  # fmt: skip
_BATCH_MAX = 50


class Trading:
    """Orders and fills of an account."""

    def create_order(self, symbol, type, side, amount, price=None, params={}):
        """Create an order.

        :param float [params.triggerPrice]: makes it a stop (market) or stop-limit order (limit)
        :param float [params.cost]: of a market order: the money to spend, in the quote currency
        :param bool [params.postOnly]: or timeInForce PO
        :param str [params.timeInForce]: GTC, IOC, FOK, GTD (with ``expireAt``), DAY, PO
        :param str [params.clientOrderId]: chosen at random otherwise
        :param float [params.icebergAmount]: how much of it the book shows
        :param str [params.selfTradePrevention]: EXPIRE_MAKER, EXPIRE_TAKER, EXPIRE_BOTH, NONE
        :param str [params.account]: another account of the firm
        """
        yield self.load_markets()
        market = self.market(symbol)
        request = self.create_order_request(market, type, side, amount, price, params)
        response = yield self.privatePostOrders(self.acting(request))
        return self.parse_order(response, market)

    def create_order_request(self, market, type, side, amount, price=None, params={}):
        trigger = self.safe_string_n(params, ["triggerPrice", "stopPrice", "stop_price"])
        if trigger is not None and type in ("market", "limit"):
            type = "stop" if type == "market" else "stop_limit"
        id = self.safe_string_2(params, "clientOrderId", "client_order_id")
        request = {
            "client_order_id": self.uuid() if id is None else id, "symbol": market["id"],
            "side": side, "type": type,
        }  # fmt: skip
        cost = self.safe_string(params, "cost")
        if cost is not None:
            request["cash_quantity"] = self.cost_text(market, cost)
        else:
            request["quantity"] = self.amount_to_precision(market["symbol"], amount)
        if type in ("limit", "stop_limit"):
            if price is None:
                raise ArgumentsRequired(self.id + " createOrder() needs a price for " + type)
            request["price"] = self.price_to_precision(market["symbol"], price)
        if trigger is not None:
            request["stop_price"] = self.price_to_precision(market["symbol"], trigger)
        shown = self.safe_string(params, "icebergAmount")
        if shown is not None:
            request["display_quantity"] = self.amount_to_precision(market["symbol"], shown)
        self.add_terms(request, params)
        return self.extend(request, self.omit(params, [
            "triggerPrice", "stopPrice", "stop_price", "clientOrderId", "client_order_id", "cost",
            "postOnly", "timeInForce", "expireAt", "icebergAmount", "selfTradePrevention",
        ]))  # fmt: skip

    def add_terms(self, request, params):
        """Add how long an order lives and what it may meet."""
        life = self.safe_string_upper(params, "timeInForce")
        if life == "PO" or self.safe_bool(params, "postOnly", False):
            request["post_only"] = True
        if life is not None and life != "PO":
            request["time_in_force"] = life.lower()
        until = self.safe_integer(params, "expireAt")
        if until is not None:
            request["expire_at"] = until
        prevention = self.safe_string(params, "selfTradePrevention")
        if prevention is not None:
            request["self_trade_prevention"] = _SELF_TRADE.get(prevention, prevention)

    def cost_text(self, market, cost):
        """Cut an amount of money to the decimals of the quote currency."""
        return self.decimal_to_precision(
            cost, 0, self.currency(market["quote"])["precision"], self.precisionMode
        )

    def create_market_order_with_cost(self, symbol, side, cost, params={}):
        """Create a market order for an amount of money."""
        order = yield self.create_order(
            symbol, "market", side, None, None, self.extend(params, {"cost": cost})
        )
        return order

    def create_market_buy_order_with_cost(self, symbol, cost, params={}):
        """Buy for an amount of money."""
        order = yield self.create_market_order_with_cost(symbol, "buy", cost, params)
        return order

    def create_market_sell_order_with_cost(self, symbol, cost, params={}):
        """Sell for an amount of money."""
        order = yield self.create_market_order_with_cost(symbol, "sell", cost, params)
        return order

    def create_orders(self, orders, params={}):
        """Create orders, 50 in one turn of the engine; a refused one has the status rejected."""
        yield self.load_markets()
        operations = []
        for order in orders:
            request = self.create_order_request(
                self.market(order["symbol"]), order["type"], order["side"],
                self.safe_value(order, "amount"), self.safe_value(order, "price"),
                self.safe_dict(order, "params", {}),
            )  # fmt: skip
            operations.append(self.extend({"op": "create"}, request))
        return (yield from self._batch(operations, params))

    def edit_orders(self, orders, params={}):
        """Change orders, 50 in one turn of the engine; a refused change has the status None."""
        yield self.load_markets()
        operations = []
        for order in orders:
            request = self.edit_order_request(
                order["symbol"], self.safe_value(order, "amount"),
                self.safe_value(order, "price"), self.safe_dict(order, "params", {}),
            )  # fmt: skip
            operations.append(self.extend({"op": "replace", "order": order["id"]}, request))
        return (yield from self._batch(operations, params))

    def cancel_orders(self, ids, symbol=None, params={}):
        """Cancel orders by their ids, 50 in one turn of the engine."""
        yield self.load_markets()
        names = [*ids, *("client:" + id for id in self.safe_list(params, "clientOrderIds", []))]
        operations = [{"op": "cancel", "order": name} for name in names]
        return (yield from self._batch(operations, self.omit(params, "clientOrderIds")))

    def _batch(self, operations, params):
        found = []
        for start in range(0, len(operations), _BATCH_MAX):
            request = {"operations": operations[start : start + _BATCH_MAX]}
            response = yield self.privatePostOrdersBatch(
                self.acting(self.extend(request, params))
            )
            found.extend(map(self.parse_result, response["results"]))
        return found

    def parse_result(self, result):
        order = self.safe_dict(result, "order")
        if order is not None:
            return self.parse_order(order)
        return self.safe_order({
            "id": None, "clientOrderId": self.safe_string(result, "client_order_id"),
            "symbol": None, "side": None, "type": None, "info": result,
            "status": "rejected" if result["op"] == "create" else None,
        })  # fmt: skip

    def edit_order(self, id, symbol, type, side, amount=None, price=None, params={}):
        """Change an order; ``amount`` is the new total, executions included.

        A smaller amount keeps its priority. ``params.triggerPrice`` moves a stop.
        """
        yield self.load_markets()
        request = self.edit_order_request(symbol, amount, price, params)
        response = yield self.privatePatchOrdersOrder(
            self.acting(self.extend({"order": self.order_name(id, params)}, request))
        )
        return self.parse_order(response)

    def edit_order_request(self, symbol, amount, price, params):
        request = {}
        if amount is not None:
            request["quantity"] = self.amount_to_precision(symbol, amount)
        if price is not None:
            request["price"] = self.price_to_precision(symbol, price)
        trigger = self.safe_string_2(params, "triggerPrice", "stopPrice")
        if trigger is not None:
            request["stop_price"] = self.price_to_precision(symbol, trigger)
        new = self.safe_string(params, "newClientOrderId")
        if new is not None:
            request["client_order_id"] = new
        self.add_terms(request, params)
        return self.extend(request, self.omit(params, [
            "triggerPrice", "stopPrice", "newClientOrderId", "clientOrderId", "timeInForce",
            "expireAt",
        ]))  # fmt: skip

    def order_name(self, id, params):
        """Name an order by its id, or by ``params.clientOrderId``."""
        client = self.safe_string(params, "clientOrderId")
        if client is not None:
            return "client:" + client
        if id is None:
            raise ArgumentsRequired(self.id + " needs an order id, or clientOrderId in params")
        return str(id)

    def cancel_order(self, id, symbol=None, params={}):
        """Cancel an order by its id, or by ``params.clientOrderId``."""
        yield self.load_markets()
        request = {"order": self.order_name(id, params)}
        response = yield self.privateDeleteOrdersOrder(
            self.acting(self.extend(request, self.omit(params, "clientOrderId")))
        )
        return self.parse_order(response)

    def cancel_all_orders(self, symbol=None, params={}):
        """Cancel all open orders, of a symbol if one is given."""
        yield self.load_markets()
        market = None if symbol is None else self.market(symbol)
        request = {} if market is None else {"symbol": market["id"]}
        response = yield self.privateDeleteOrders(self.acting(self.extend(request, params)))
        return [
            self.safe_order({
                "id": row["order_id"], "clientOrderId": row["client_order_id"],
                "symbol": symbol, "side": None, "type": None, "status": "canceled", "info": row,
            })
            for row in response["canceled"]
        ]  # fmt: skip

    def cancel_all_orders_after(self, timeout, params={}):
        """Cancel all orders unless this is called again within ``timeout`` ms; 0 ends it."""
        request = {"timeout_s": -(-int(timeout) // 1000)}
        response = yield self.privatePutDeadManSwitch(self.acting(self.extend(request, params)))
        return response

    def fetch_order(self, id, symbol=None, params={}):
        """Fetch an order by its id, or by ``params.clientOrderId``."""
        yield self.load_markets()
        request = {"order": self.order_name(id, params)}
        response = yield self.privateGetOrdersOrder(
            self.acting(self.extend(request, self.omit(params, "clientOrderId")))
        )
        return self.parse_order(response)

    def fetch_orders(self, symbol=None, since=None, limit=None, params={}):
        """Fetch orders, open and closed."""
        return (yield from self._orders("all", symbol, since, limit, params))

    def fetch_open_orders(self, symbol=None, since=None, limit=None, params={}):
        """Fetch open orders."""
        return (yield from self._orders("open", symbol, since, limit, params))

    def fetch_closed_orders(self, symbol=None, since=None, limit=None, params={}):
        """Fetch orders that are filled, canceled or expired."""
        return (yield from self._orders("closed", symbol, since, limit, params))

    def fetch_canceled_orders(self, symbol=None, since=None, limit=None, params={}):
        """Fetch orders that were canceled."""
        orders = yield from self._orders("closed", symbol, since, None, params)
        canceled = self.filter_by(orders, "status", "canceled")
        return canceled if limit is None else canceled[-limit:]

    def _orders(self, status, symbol, since, limit, params):
        yield self.load_markets()
        market = None if symbol is None else self.market(symbol)
        request = {"status": status}
        if market is not None:
            request["symbol"] = market["id"]
        rows = yield from self._pages(self.privateGetOrders, request, "orders", params)
        return self.parse_orders(rows, market, since, limit)

    def _pages(self, method, request, key, params):
        """Read a list to its end, or to ``options.pagesMax`` pages."""
        request = self.acting(self.extend({"limit": 1000}, request, params))
        rows = []
        for _ in range(self.options["pagesMax"]):
            response = yield method(request)
            account = {"account": response["account"]}
            rows.extend(self.extend(account, row) for row in response[key])
            if response["next_cursor"] is None:
                break
            request = self.extend(request, {"cursor": response["next_cursor"]})
        return rows

    def acting(self, request):
        """Add the account to act for, from ``options.account``."""
        account = self.safe_string(self.options, "account")
        return request if account is None else self.extend({"account": account}, request)

    def parse_order_status(self, status):
        return self.safe_string(_STATUSES, status, status)

    def parse_order(self, order, market=None):
        market = self.safe_market(self.safe_string(order, "symbol"), market)
        type = self.safe_string(order, "type")
        filled = self.safe_string(order, "filled_quantity")
        average = self.safe_string(order, "average_price")
        timestamp = self.parse8601(self.safe_string(order, "created_at"))
        updated = self.parse8601(self.safe_string(order, "updated_at"))
        paid = self.safe_string(order, "fees")
        fee = None
        if paid is not None:
            fee = {
                "cost": self.parse_number(paid),
                "currency": self.safe_currency_code(self.safe_string(order, "fee_asset")),
            }
        trades = [self.parse_trade(row, market) for row in self.safe_list(order, "fills", [])]
        post_only = self.safe_bool(order, "post_only")
        life = self.safe_string_upper(order, "time_in_force")
        parsed = self.safe_order({
            "id": self.safe_string(order, "order_id"),
            "clientOrderId": self.safe_string(order, "client_order_id"),
            "timestamp": timestamp, "datetime": self.iso8601(timestamp),
            "lastTradeTimestamp": trades[-1]["timestamp"] if trades else None,
            "lastUpdateTimestamp": updated, "symbol": market["symbol"],
            "type": {"stop": "market", "stop_limit": "limit"}.get(type, type),
            "timeInForce": "PO" if post_only else life, "postOnly": post_only,
            "side": self.safe_string(order, "side"), "price": self.safe_string(order, "price"),
            "triggerPrice": self.safe_string(order, "stop_price"),
            "amount": self.safe_string(order, "quantity"),
            "cost": self.cost_of(order, filled, average), "average": average, "filled": filled,
            "remaining": self.safe_string(order, "leaves_quantity"),
            "status": self.parse_order_status(self.safe_string(order, "status")),
            "fee": fee, "fees": [] if fee is None else [fee], "info": order,
        }, market)  # fmt: skip
        parsed["trades"] = trades
        return parsed

    def cost_of(self, order, filled, average):
        """Add up the fills if they are all here; otherwise take average times filled."""
        fills = self.safe_list(order, "fills", [])
        total, cost = "0", "0"
        for fill in fills:
            total = Precise.string_add(total, fill["quantity"])
            cost = Precise.string_add(cost, fill["notional"])
        if fills and Precise.string_eq(total, filled):
            return cost
        return "0" if average is None else Precise.string_mul(average, filled)

    def fetch_my_trades(self, symbol=None, since=None, limit=None, params={}):
        """Fetch the account's fills; with ``since`` the search begins there."""
        yield self.load_markets()
        market = None if symbol is None else self.market(symbol)
        request = {} if market is None else {"symbol": market["id"]}
        request = self.acting(self.extend({"limit": 1000}, request, params))
        if since is not None and "after_trade_id" not in request:
            first = yield self.privateGetFills(request)
            if first["next_cursor"] is not None:
                high = first["fills"][-1]["trade_id"]
                while (yield from self._before(request, high, since)):
                    high *= 2
                request["after_trade_id"] = yield from self._seek(
                    self.privateGetFills, request, "fills", since, high
                )
        rows = yield from self._pages(self.privateGetFills, request, "fills", {})
        return self.parse_trades(rows, market, since, limit)

    def _before(self, request, trade_id, since):
        """Find out whether the fill after a trade id is from before ``since``."""
        terms = {"after_trade_id": trade_id, "limit": 1}
        rows = (yield self.privateGetFills(self.extend(request, terms)))["fills"]
        return bool(rows) and self.parse8601(rows[0]["time"]) < since

    def fetch_order_trades(self, id, symbol=None, since=None, limit=None, params={}):
        """Fetch the fills of an order."""
        trades = yield self.fetch_my_trades(
            symbol, since, limit, self.extend({"order_id": str(id)}, params)
        )
        return trades
