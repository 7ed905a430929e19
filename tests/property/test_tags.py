"""Rule R-2: what a client order id and a strategy tag may be, for any text."""

from __future__ import annotations

import re
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from engine.core.order_checks import valid_tag

LENGTH_MAX: Final = 8
TEXTS: Final = st.text(st.one_of(st.characters(max_codepoint=0x7F), st.characters()), max_size=10)


@given(TEXTS)
def test_R2_a_tag_is_printable_ascii_without_spaces_and_of_bounded_length(text: str) -> None:
    expected = re.fullmatch(rf"[!-~]{{1,{LENGTH_MAX}}}", text) is not None
    assert valid_tag(text, LENGTH_MAX) is expected
