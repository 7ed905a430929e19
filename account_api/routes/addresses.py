"""The account's address book with its cool-off, and its deposit addresses."""

from __future__ import annotations

from typing import Final

from account_api.errors import Problem
from account_api.http.routing import AnyCall, BodyCall, QueryCall, Route, part_id
from account_api.reply import Reply, answered
from account_api.routes.common import account_of, checked_address, own_account
from account_api.schema import from_events
from account_api.schema.from_rows import instant_text
from account_api.schema.requests import (
    AccountQuery,
    ActingQuery,
    AddressRequest,
    DepositAddressRequest,
)
from account_api.schema.responses import (
    AddressAnswer,
    AddressesView,
    AddressView,
    DepositAddressAnswer,
    DepositAddressesView,
    DepositAddressView,
    extended,
)
from engine.client import queries
from engine.core.authority import Thing
from engine.core.commands import AddAddress, AssignDepositAddress, RemoveAddress
from engine.core.events import AddressChanged, DepositAddressAssigned
from engine.core.types import Address, DepositAddress

_DAY_US: Final = 86_400_000_000


def _address_view(row: Address, now_us: int) -> AddressView:
    return AddressView(
        address_id=str(row.address_id),
        account=row.account,
        asset=row.asset,
        network=row.network,
        address=row.address,
        memo=row.memo or None,
        label=row.label,
        created_at=instant_text(row.created_at),
        available_at=instant_text(row.available_at),
        available=row.available_at <= now_us,
    )


def _deposit_view(call: AnyCall, row: DepositAddress) -> DepositAddressView:
    network = call.services.catalogue(asset=row.asset).networks[row.asset, row.network]
    return DepositAddressView(
        asset=row.asset,
        network=row.network,
        address=row.address,
        memo=row.memo or None,
        confirmations_required=network.confirmations_required,
        created_at=instant_text(row.created_at),
    )


def get_addresses(call: QueryCall[AccountQuery]) -> Reply:
    """Get the account's address book, and from when withdrawals may use each entry."""
    query = call.query
    account = account_of(call, query.account)
    answer = call.services.fetch(queries.Addresses(account), query.min_seq)
    limits = call.services.fetch(queries.Limits(account, call.now_us // _DAY_US)).value
    rules = None if limits is None else limits.addresses
    return Reply(
        AddressesView(
            account=account,
            required=rules is not None and rules.require_known_address,
            cool_off_s=0 if rules is None else rules.address_cooloff_us // 1_000_000,
            addresses=[_address_view(row, call.now_us) for row in answer.value],
            as_of_seq=answer.as_of_seq,
        )
    )


def add_address(call: BodyCall[AddressRequest]) -> Reply:
    """Add an address to the book; one that is already there is returned unchanged."""
    request = call.body
    account = own_account(call, request.account)
    catalogue = call.services.catalogue(asset=request.asset)
    network = catalogue.network(request.asset, request.network)
    outcome = call.services.submit(
        AddAddress(
            origin=call.principal.origin(),
            account=account,
            asset=request.asset,
            network=network,
            address=checked_address(call, request.asset, network, request.address),
            memo=request.memo or "",
            label=request.label,
        )
    )
    event = from_events.accepted(outcome, AddressChanged)
    answer = _address_answer(call, event, outcome.transaction.seq)
    known = event.address.created_at != outcome.transaction.time_us
    return answered(answer, replayed=outcome.duplicate or known, status=201)


def remove_address(call: QueryCall[ActingQuery]) -> Reply:
    """Remove an address from the book; if it is added again, its cool-off starts again."""
    account = own_account(call, call.query.account)
    number = part_id(call, "address_id", "unknown_address", "address")
    outcome = call.services.submit(RemoveAddress(call.principal.origin(), account, number))
    event = from_events.accepted(outcome, AddressChanged)
    answer = _address_answer(call, event, outcome.transaction.seq)
    return answered(answer, replayed=outcome.duplicate)


def _address_answer(call: AnyCall, event: AddressChanged, seq: int) -> AddressAnswer:
    view = _address_view(event.address, call.now_us)
    return extended(view, AddressAnswer, removed=event.removed, as_of_seq=seq)


def get_deposit_addresses(call: QueryCall[AccountQuery]) -> Reply:
    """Get every deposit address of the account."""
    query = call.query
    account = account_of(call, query.account)
    answer = call.services.fetch(queries.DepositAddresses(account), query.min_seq)
    return Reply(
        DepositAddressesView(
            account=account,
            deposit_addresses=[_deposit_view(call, row) for row in answer.value],
            as_of_seq=answer.as_of_seq,
        )
    )


def assign_deposit_address(call: BodyCall[DepositAddressRequest]) -> Reply:
    """Get the account's deposit address for an asset on a network; it is always the same."""
    request = call.body
    account = own_account(call, request.account)
    catalogue = call.services.catalogue(asset=request.asset)
    network = catalogue.network(request.asset, request.network)
    source = call.services.deposit_address
    if source is None:
        raise Problem("not_permitted", "This venue assigns no deposit addresses.")
    address, memo = source(account, request.asset, network)
    outcome = call.services.submit(
        AssignDepositAddress(
            call.principal.origin(), account, request.asset, network, address, memo
        )
    )
    row = from_events.accepted(outcome, DepositAddressAssigned).deposit_address
    answer = extended(
        _deposit_view(call, row), DepositAddressAnswer, as_of_seq=outcome.transaction.seq
    )
    known = row.created_at != outcome.transaction.time_us
    return answered(answer, replayed=outcome.duplicate or known, status=201)


_TARGET: Final = (
    "unknown_asset", "unknown_network", "network_suspended", "request_expired", "not_permitted",
)  # fmt: skip

ROUTES: Final = (
    Route(
        "GET", "/v1/addresses", get_addresses, "Address book", AddressesView,
        thing=Thing.ADDRESS_BOOK, tag="money", errors=("not_caught_up",),
    ),
    Route(
        "POST", "/v1/addresses", add_address, "Add an address", AddressAnswer,
        thing=Thing.ADDRESS_BOOK, status=201, replays=True, tag="money",
        errors=(*_TARGET, "invalid_address", "memo_required", "too_many_addresses",
                "account_suspended"),
    ),
    Route(
        "DELETE", "/v1/addresses/{address_id}", remove_address, "Remove an address",
        AddressAnswer, thing=Thing.ADDRESS_BOOK, replays=True, tag="money",
        errors=("unknown_address", "request_expired", "not_permitted"),
    ),
    Route(
        "GET", "/v1/deposit-addresses", get_deposit_addresses, "Deposit addresses",
        DepositAddressesView, thing=Thing.READ_MONEY, tag="money",
        errors=("not_caught_up",),
    ),
    Route(
        "POST", "/v1/deposit-addresses", assign_deposit_address, "Get a deposit address",
        DepositAddressAnswer, thing=Thing.DEPOSIT_ADDRESSES, status=201,
        replays=True, tag="money", errors=_TARGET,
    ),
)  # fmt: skip
