"""Bringing approved withdrawals to the network, so that no coin is sent twice or lost.

The engine holds where each withdrawal is; the network holds what it was asked to send, by a
key that is the withdrawal's number. Whatever the worker does it can do again: a request with
a known key sends nothing, and a report of what the engine knows changes nothing. So it may
die between any two steps, and the next one goes on from what the two say.
"""

from __future__ import annotations
