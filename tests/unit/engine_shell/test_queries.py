"""A query is declared once, in ``engine.queries``; the engine's handlers agree with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_type_hints

import msgspec
import pytest

from engine import queries, wire
from engine.server.queries import Queries


def declared() -> Iterator[type[queries.Query[Any]]]:
    for value in vars(queries).values():
        if isinstance(value, type) and issubclass(value, queries.Query):
            if value is not queries.Query:
                yield value


def handlers() -> dict[str, tuple[type[queries.Query[Any]], Any]]:
    nothing: Any = None
    return Queries(nothing, nothing, nothing)._handlers


def test_every_query_has_one_name_and_one_handler() -> None:
    names = [kind.name for kind in declared()]
    assert len(names) == len(set(names)) > 20
    assert set(names) == set(handlers())


@pytest.mark.parametrize("kind", [*declared()], ids=lambda kind: kind.__name__)
def test_a_handler_takes_its_query_and_gives_the_answer_that_it_promises(
    kind: type[queries.Query[Any]],
) -> None:
    found, handler = handlers()[kind.name]
    hints = get_type_hints(handler)
    assert found is kind
    assert hints["query"] is kind
    # A transaction goes as the bytes of the journal, which the client decodes.
    promised = bytes if kind is queries.Transaction else queries.answer_type(kind)
    assert hints["return"] == promised


def test_an_answer_of_another_type_is_an_error() -> None:
    query = queries.Balances("alice")
    with pytest.raises(wire.WireError, match="malformed"):
        query.decode(msgspec.Raw(wire.encode_value("text")))
    with pytest.raises(wire.WireError, match="malformed"):
        queries.Transaction(1).decode(msgspec.Raw(wire.encode_value("text")))
