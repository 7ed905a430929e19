"""Balances, fees, deposits, withdrawals, transfers."""

from __future__ import annotations

from ccxt.base.errors import InvalidAddress
from ccxt.base.precise import Precise

_STATES = {
    "completed": "ok", "rejected": "canceled", "canceled": "canceled", "failed": "failed",
    "expired": "failed",
}  # fmt: skip
_TYPES = {"fill": "trade", "fee": "fee", "deposit": "transaction", "transfer": "transfer"}


class Money:
    """The money of an account."""

    def fetch_accounts(self, params={}):
        """Fetch the accounts that the key reaches; ``options.account`` takes their ids."""
        response = yield self.privateGetAccounts(params)
        return self.parse_accounts(response["accounts"])

    def parse_account(self, account):
        return {
            "id": self.safe_string(account, "account"), "type": "spot", "code": None,
            "info": account,
        }  # fmt: skip

    def fetch_balance(self, params={}):
        """Fetch what is free and what is held."""
        yield self.load_markets()
        response = yield self.privateGetBalances(self.acting(params))
        return self.parse_balance(response)

    def parse_balance(self, response):
        result = {"info": response, "timestamp": None, "datetime": None}
        for row in response["balances"]:
            code = self.safe_currency_code(self.safe_string(row, "asset"))
            account = self.account()
            account["total"] = self.safe_string(row, "posted")
            account["free"] = self.safe_string(row, "available")
            account["used"] = self.safe_string(row, "held")
            result[code] = account
        return self.safe_balance(result)

    def fetch_trading_fees(self, params={}):
        """Fetch the account's fees, the same for every symbol, paid in the quote currency."""
        yield self.load_markets()
        response = yield self.privateGetFees(self.acting(params))
        return {
            symbol: {
                "info": response, "symbol": symbol, "percentage": True, "tierBased": False,
                "maker": self.safe_number(response, "maker"),
                "taker": self.safe_number(response, "taker"),
            }
            for symbol in self.symbols
        }  # fmt: skip

    def fetch_trading_fee(self, symbol, params={}):
        """Fetch the account's fees of a symbol."""
        fees = yield self.fetch_trading_fees(params)
        return fees[self.symbol(symbol)]

    def fetch_ledger(self, code=None, since=None, limit=None, params={}):
        """Fetch every change of the account's money; holds, which change no total, are left out."""
        yield self.load_markets()
        currency = None if code is None else self.currency(code)
        request = {} if currency is None else {"asset": currency["id"]}
        rows = yield from self._pages(self.privateGetLedger, request, "entries", params)
        changes = [row for row in rows if not Precise.string_equals(_change(row), "0")]
        return self.parse_ledger(changes, currency, since, limit)

    def parse_ledger_entry(self, item, currency=None):
        change = _change(item)
        after = Precise.string_add(item["available"], item["held"])
        timestamp = self.parse8601(item["time"])
        code = self.safe_currency_code(self.safe_string(item, "asset"), currency)
        kind = "transaction" if item["cause"].startswith("withdrawal") else None
        return self.safe_ledger_entry({
            "id": self.safe_string(item, "account_seq"), "info": item, "timestamp": timestamp,
            "datetime": self.iso8601(timestamp), "account": self.safe_string(item, "account"),
            "direction": "out" if Precise.string_lt(change, "0") else "in",
            "referenceId": self.safe_string(item, "reference"), "referenceAccount": None,
            "type": kind or self.safe_string(_TYPES, item["cause"], item["cause"]),
            "currency": code, "amount": Precise.string_abs(change),
            "before": Precise.string_sub(after, change), "after": after, "status": "ok",
            "fee": None,
        }, currency)  # fmt: skip

    def fetch_deposits(self, code=None, since=None, limit=None, params={}):
        """Fetch deposits."""
        return (yield from self._transactions(
            self.privateGetDeposits, "deposits", code, since, limit, params
        ))  # fmt: skip

    def fetch_withdrawals(self, code=None, since=None, limit=None, params={}):
        """Fetch withdrawals."""
        return (yield from self._transactions(
            self.privateGetWithdrawals, "withdrawals", code, since, limit, params
        ))  # fmt: skip

    def _transactions(self, method, key, code, since, limit, params):
        yield self.load_markets()
        currency = None if code is None else self.currency(code)
        rows = yield from self._pages(method, {}, key, params)
        return self.parse_transactions(rows, currency, since, limit)

    def fetch_withdrawal(self, id, code=None, params={}):
        """Fetch a withdrawal by its id, or by ``client:`` and its client id."""
        yield self.load_markets()
        response = yield self.privateGetWithdrawalsWithdrawal(
            self.acting(self.extend({"withdrawal": str(id)}, params))
        )
        return self.parse_transaction(response)

    def withdraw(self, code, amount, address, params={}):
        """Withdraw: ``amount`` arrives, and the fee is held in addition.

        :param str [params.tag]: the memo, where the network needs one
        :param str [params.network]: the unified code of a network, where the asset has several
        :param str [params.clientWithdrawalId]: chosen at random otherwise
        """
        tag, params = self.handle_param_string(params, "tag")
        yield self.load_markets()
        currency = self.currency(code)
        id = self.safe_string_2(params, "clientWithdrawalId", "client_withdrawal_id")
        request = {
            "client_withdrawal_id": self.uuid() if id is None else id, "asset": currency["id"],
            "address": address, "amount": self.currency_to_precision(code, amount),
        }  # fmt: skip
        if tag is not None:
            request["memo"] = tag
        params = self.omit(params, ["clientWithdrawalId", "client_withdrawal_id"])
        response = yield self.privatePostWithdrawals(
            self.acting(self.extend(request, self.on_network(params, code)))
        )
        return self.parse_transaction(response, currency)

    def on_network(self, params, code):
        """Write the venue's id of a network in place of the unified code."""
        name, params = self.handle_network_code_and_params(params)
        if name is None:
            return params
        return self.extend(params, {"network": self.network_code_to_id(name, code)})

    def parse_transaction(self, transaction, currency=None):
        deposit = "deposit_id" in transaction
        code = self.safe_currency_code(self.safe_string(transaction, "asset"), currency)
        timestamp = self.parse8601(self.safe_string(transaction, "created_at"))
        address = self.safe_string(transaction, "address")
        tag = self.safe_string(transaction, "memo")
        if deposit:
            status = "ok" if transaction["credited"] else "pending"
        else:
            status = self.safe_string(_STATES, transaction["state"], "pending")
        fee = self.safe_number(transaction, "fee")
        return {
            "info": transaction,
            "id": self.safe_string_2(transaction, "withdrawal_id", "deposit_id"),
            "clientWithdrawalId": self.safe_string(transaction, "client_withdrawal_id"),
            "txid": self.safe_string(transaction, "txid"),
            "type": "deposit" if deposit else "withdrawal",
            "currency": code,
            "network": self.network_id_to_code(self.safe_string(transaction, "network"), code),
            "amount": self.safe_number(transaction, "amount"), "status": status,
            "timestamp": timestamp, "datetime": self.iso8601(timestamp),
            "address": address, "addressFrom": None, "addressTo": address, "tag": tag,
            "tagFrom": None, "tagTo": tag,
            "updated": self.parse8601(self.safe_string(transaction, "updated_at")),
            "comment": None, "internal": None,
            "fee": {"cost": 0 if fee is None else fee, "currency": code},
        }  # fmt: skip

    def fetch_deposit_address(self, code, params={}):
        """Fetch an address for deposits that the account has; createDepositAddress() gives one."""
        yield self.load_markets()
        network, params = self.handle_network_code_and_params(params)
        addresses = yield from self._deposit_addresses(params)
        for address in addresses:
            if address["currency"] == code and network in (None, address["network"]):
                return address
        raise InvalidAddress(
            f"{self.id} fetchDepositAddress(): the account has no address for {code} yet; "
            "createDepositAddress() gives one"
        )

    def fetch_deposit_addresses(self, codes=None, params={}):
        """Fetch the account's addresses for deposits by currency."""
        yield self.load_markets()
        addresses = yield from self._deposit_addresses(params)
        chosen = [one for one in addresses if codes is None or one["currency"] in codes]
        return self.index_by(chosen, "currency")

    def _deposit_addresses(self, params):
        response = yield self.privateGetDepositAddresses(self.acting(params))
        return [self.parse_deposit_address(row) for row in response["deposit_addresses"]]

    def create_deposit_address(self, code, params={}):
        """Get the account's address for deposits; it is always the same one."""
        yield self.load_markets()
        currency = self.currency(code)
        response = yield self.privatePostDepositAddresses(
            self.acting(self.extend({"asset": currency["id"]}, self.on_network(params, code)))
        )
        return self.parse_deposit_address(response, currency)

    def parse_deposit_address(self, depositAddress, currency=None):
        code = self.safe_currency_code(self.safe_string(depositAddress, "asset"), currency)
        network = self.safe_string(depositAddress, "network")
        return {
            "info": depositAddress, "currency": code,
            "network": self.network_id_to_code(network, code),
            "address": self.safe_string(depositAddress, "address"),
            "tag": self.safe_string(depositAddress, "memo"),
        }  # fmt: skip

    def transfer(self, code, amount, fromAccount, toAccount, params={}):
        """Move money between accounts of the firm, such as alice and alice:desk."""
        yield self.load_markets()
        currency = self.currency(code)
        id = self.safe_string_2(params, "clientTransferId", "client_transfer_id")
        request = {
            "client_transfer_id": self.uuid() if id is None else id, "asset": currency["id"],
            "to_account": toAccount, "amount": self.currency_to_precision(code, amount),
        }  # fmt: skip
        if fromAccount is not None:
            request["account"] = fromAccount
        response = yield self.privatePostTransfers(
            self.extend(request, self.omit(params, ["clientTransferId", "client_transfer_id"]))
        )
        return self.parse_transfer(response, currency)

    def fetch_transfers(self, code=None, since=None, limit=None, params={}):
        """Fetch transfers between accounts of the firm."""
        yield self.load_markets()
        currency = None if code is None else self.currency(code)
        request = {} if currency is None else {"asset": currency["id"]}
        rows = yield from self._pages(self.privateGetTransfers, request, "transfers", params)
        return self.parse_transfers(rows, currency, since, limit)

    def parse_transfer(self, transfer, currency=None):
        change = self.safe_string(transfer, "change")
        accounts = [transfer["account"], transfer["other_account"]]
        if Precise.string_gt(change, "0"):
            accounts.reverse()
        timestamp = self.parse8601(self.safe_string(transfer, "time"))
        return {
            "info": transfer, "id": self.safe_string(transfer, "transfer_id"),
            "timestamp": timestamp, "datetime": self.iso8601(timestamp),
            "currency": self.safe_currency_code(self.safe_string(transfer, "asset"), currency),
            "amount": self.parse_number(Precise.string_abs(change)),
            "fromAccount": accounts[0], "toAccount": accounts[1], "status": "ok",
        }  # fmt: skip


def _change(entry):
    return Precise.string_add(entry["available_change"], entry["held_change"])
