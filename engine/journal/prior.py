"""Add what the durable index knows about a client order id to the command that uses it.

The core knows only the ids in memory, and must behave the same in a replay, whatever the index
holds by then: so what was found is part of the command (rule I-3).
"""

from __future__ import annotations

from engine.core.commands import Batch, BatchEntry, Command, NewOrder, ReplaceOrder
from engine.journal.base import Journal
from engine.journal.index import IndexFeed


def with_prior(command: Command, index: IndexFeed, journal: Journal) -> Command:
    """Return the command with what the index knows about its new client order ids.

    ``index`` has the ids retired in the current batch. One lookup for each create and replace of
    an account with retired ids; every other command is returned unchanged.
    """
    if isinstance(command, NewOrder | ReplaceOrder):
        return _with_prior(command, index, journal)
    if isinstance(command, Batch):
        entries: list[BatchEntry] = [
            _with_prior(entry, index, journal)
            if isinstance(entry, NewOrder | ReplaceOrder)
            else entry
            for entry in command.entries
        ]
        return command._replace(entries=tuple(entries))
    return command


def _with_prior(
    command: NewOrder | ReplaceOrder, index: IndexFeed, journal: Journal
) -> NewOrder | ReplaceOrder:
    account, client_order_id = command.account, command.client_order_id
    prior = None
    if account in index.accounts_with_retired:
        prior = index.pending(account, client_order_id)
        prior = prior or journal.find_retired(account, client_order_id)
    return command if prior == command.prior else command._replace(prior=prior)
