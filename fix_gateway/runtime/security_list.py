"""SecurityListRequest(x), answered from what the engine says of its instruments now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.client import EngineClient, queries
from engine.core.instruments import Instrument
from fix_gateway.codec import responses
from fix_gateway.codec.requests import SecurityListQuery
from fix_gateway.codec.responses import Response


def security_list(
    client: EngineClient, query: SecurityListQuery, instruments: Mapping[str, Instrument],
    attributes: bool = False,
) -> Sequence[Response]:  # fmt: skip
    """Return SecurityList(y), in as many messages as it takes. Raises EngineError.

    ``attributes``: in the fields of FIX 4.4 alone (``responses.answer_security_list``).
    """
    states = client.fetch(queries.InstrumentStates())
    by_symbol = {state.symbol: state for state in states.value}
    return responses.answer_security_list(
        query, instruments, by_symbol, states.as_of_seq, attributes
    )
