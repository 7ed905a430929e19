"""The FIX door refuses a wrong number for the reason that every door has (tests/wrong_numbers)."""

from __future__ import annotations

import pytest
import quickfix

from tests.support.fix_desk import FixDesk
from tests.support.wrong_numbers import FIX_TAGS, NO_NUMBER, Wrong, rows

HEAD = "55=BTC-USD|54=1|60=20260105-09:30:00"
TYPES = {"market": "1", "limit": "2", "stop": "3"}
TIFS = {"gtc": "1", "ioc": "3"}


def line(row: Wrong) -> str:
    """The row as D or G."""
    terms = row.terms
    if row.what == "replace":
        return f"35=G|11=X|41=A1|{HEAD}|40=2|{FIX_TAGS[row.field]}={row.text}"
    numbers = "|".join(f"{FIX_TAGS[name]}={terms[name]}" for name in FIX_TAGS if name in terms)
    tif = TIFS.get(terms.get("time_in_force", ""), "0")
    return f"35=D|11=X|{HEAD}|40={TYPES[terms['type']]}|59={tif}|{numbers}"


@pytest.fixture(scope="module")
def desk() -> FixDesk:
    desk = FixDesk()
    desk.report("ALICE", f"35=D|11=A1|{HEAD}|38=10|40=2|44=100|59=1|111=5")
    return desk


@pytest.mark.parametrize("row", rows(), ids=str)
def test_fix_refuses_it_for_the_reason_of_every_door(row: Wrong, desk: FixDesk) -> None:
    if row.text in NO_NUMBER:
        try:
            answer = desk.report("ALICE", line(row))
        except (quickfix.IncorrectDataFormat, quickfix.NoTagValue, quickfix.InvalidMessage):
            return  # Reject(3) with 373=6 or 4 before it is an order at all.
    else:
        answer = desk.report("ALICE", line(row))
    assert answer["20016"] == row.code, answer
    assert answer["58"] and "\n" not in answer["58"] and len(answer["58"]) < 160
