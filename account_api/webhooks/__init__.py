"""Webhooks: what firms registered, and the process that delivers to it.

An endpoint has a place in the venue's sequence of events, which moves when a delivery was answered
with success and is stored with it. So a process that dies between the two delivers once more,
under the same id, and never less.
"""

from __future__ import annotations
