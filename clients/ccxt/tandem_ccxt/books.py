"""Books of the stream, verified with the venue's checksum."""

from __future__ import annotations

from ccxt.base.errors import ChecksumError

_CHECKED_LEVELS = 10


class Books:
    """The watch methods of books."""

    async def watch_order_book(self, symbol, limit=None, params={}):
        """Watch a book; each level has price, amount and number of orders."""
        return await self.watch_order_book_for_symbols([symbol], limit, params)

    async def watch_order_book_for_symbols(self, symbols, limit=None, params={}):
        """Watch the books of several symbols."""
        book = await self.public("book", symbols)
        return book.limit() if limit is None else self.shortened(book, limit)

    def shortened(self, book, limit):
        short = book.copy()
        for side in ("bids", "asks"):
            short[side] = [level[:] for level in book[side][:limit]]
        return short

    def handle_book(self, client, message):
        data = message["data"]
        market = self.safe_market(data["symbol"])
        symbol = market["symbol"]
        topic = "book:" + symbol
        snapshot = message["type"] == "snapshot"
        if snapshot:
            self.orderbooks[symbol] = self.order_book({"symbol": symbol})
            self.orderbooks[symbol].texts = {}
        book = self.orderbooks.get(symbol)
        if book is None:
            return  # What was on its way when the book was given up.
        whole = snapshot or book["nonce"] == message["prev_seq"]
        if whole:
            for side in ("bids", "asks"):
                for price, quantity, orders in data[side]:
                    row = [self.parse_number(price), self.parse_number(quantity), orders]
                    self.store_level(book[side], row)
                    book.texts[row[0]] = price, quantity
                    if quantity == "0":
                        del book.texts[row[0]]
            book["nonce"] = message["seq"]
            book["timestamp"] = self.parse8601(message["ts"])
            book["datetime"] = self.iso8601(book["timestamp"])
        checked = self.safe_bool(self.options["watchOrderBook"], "checksum", True)
        if not whole or (checked and self.checksum(book) != data["checksum"]):
            reason = "checksum is wrong" if whole else "a message of the book was lost"
            self.give_up_book(client, symbol, topic, reason)
            return
        client.resolve(book, topic)
        self.update_quote(client, symbol, book)

    def store_level(self, side, row):
        """Store a level with its number of orders, which the side keeps only when it is new."""
        if row[1]:
            side.storeArray([row[0], 0, 0])
        side.storeArray(row)

    def checksum(self, book):
        """Return the CRC-32 of the best ten levels as the venue writes them."""
        words = []
        for place in range(_CHECKED_LEVELS):
            for side in ("bids", "asks"):
                if place < len(book[side]):
                    words.extend(book.texts[book[side][place][0]])
        return self.crc32(":".join(words))

    def give_up_book(self, client, symbol, topic, reason):
        """Leave a book that is wrong; who watches it next gets a new one."""
        del self.orderbooks[symbol]
        client.subscriptions.pop(topic, None)
        market = self.market(symbol)
        params = {"channels": ["book"], "symbols": [market["id"]]}
        message = {"op": "unsubscribe", "req_id": self.request_id(), "params": params}
        self.spawn(client.send, message)
        client.reject(ChecksumError(self.id + " " + symbol + ": " + reason), topic)
