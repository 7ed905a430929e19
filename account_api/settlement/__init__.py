"""Sends approved withdrawals to the network, so that no coin is sent twice or lost.

The engine has the state of each withdrawal; the network has the payments that it was asked for,
by a key made of the withdrawal's number. Every step of the worker can be repeated: a request with
a known key sends nothing, and a report that the engine has changes nothing. So the worker may die
between any two steps, and the next one continues from the states of the two.
"""

from __future__ import annotations
