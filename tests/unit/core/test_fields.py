"""What is built of its fields by ``make`` has as many as its class, in the order pinned here.

``tuple.__new__`` neither counts nor names what it is given: a field put in between would move
money silently.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from engine.core import events, replaces, types

CORE: Final = Path(types.__file__).parent
FIELDS: Final[dict[Any, str]] = {
    types.OrderTerms: (
        "order_id account client_order_id first_client_order_id symbol side ord_type tif qty price "
        "stop_price cash_qty min_qty display_qty expire_at post_only stp strategy manual session "
        "created_at route"
    ),
    types.RetiredId: "account client_order_id order_id status qty cum notional",
    events.OrderAccepted: "account account_seq order leaves hold_change display",
    events.OrderFilled: (
        "account account_seq order status leaves cum notional trade_id last_qty last_price "
        "liquidity base_amount cash fee fees hold_change display"
    ),
    events.OrderReplaced: (
        "account account_seq order orig_client_order_id status leaves cum notional priority_kept "
        "requester hold_change display"
    ),
    events.OrderCanceled: (
        "account account_seq order status cum notional reason client_order_id requester "
        "hold_change route"
    ),
    replaces._Change: "terms leaves kept needed",
}


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_the_order_of_fields_is_pinned(kind: Any) -> None:
    assert " ".join(kind._fields) == FIELDS[kind]


def made(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the class and the number of fields of every ``make(Kind, (…))`` of a source."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef):
            continue
        tuples = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == "make":
                    kind, fields = node.args
                    if isinstance(fields, ast.Name):
                        fields = tuples[fields.id]
                    assert isinstance(kind, ast.Name) and isinstance(fields, ast.Tuple)
                    if not any(isinstance(field, ast.Starred) for field in fields.elts):
                        yield kind.id, len(fields.elts)


def test_what_is_made_of_its_fields_has_them_all() -> None:
    found = [pair for path in sorted(CORE.glob("*.py")) for pair in made(path)]
    kinds: dict[str, Any] = {**vars(types), **vars(events), "_Change": replaces._Change}
    assert {name for name, _ in found} == {kind.__name__ for kind in FIELDS}, "each is pinned"
    for name, count in found:
        assert count == len(kinds[name]._fields), name
    assert [name for name, _ in found].count("OrderTerms") == 2, "one for a create, one for G"
    assert len(found) >= 9
