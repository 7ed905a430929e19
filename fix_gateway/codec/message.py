"""A FIX message as text: fields, repeating groups in order, and timestamps.

Works on what QuickFIX's ``Message.toString`` gives: checked against the data dictionary and
free of data fields, so that SOH separates fields and the first ``=`` ends a tag.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

SOH: Final = "\x01"
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DAY_US: Final = 86_400_000_000


def envelope(content: str) -> str:
    """Return a message of this content, from MsgType's value to the last SOH.

    BodyLength, header and CheckSum are left to QuickFIX, which counts when it sends.
    """
    return f"8=FIX.4.4\x019=0\x0135={content}10=000\x01"


class FixMessage:
    """One message. ``fields`` maps a tag to its last value, which is the value of every tag
    that is not inside a repeating group; use ``group`` for those that are."""

    __slots__ = ("fields", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        # With one "=" in every field, tags and values alternate; this is the hot path.
        if text.count("=") == text.count(SOH):
            parts = iter(text.replace("=", SOH).split(SOH))
            self.fields: dict[str, str] = dict(zip(parts, parts, strict=False))
        else:
            self.fields = dict(_pairs(text))

    @property
    def msg_type(self) -> str:
        """MsgType(35), "" if there is none."""
        return self.fields.get("35", "")

    def get(self, tag: str, default: str = "") -> str:
        """Return the value of a tag outside repeating groups, ``default`` if it is absent."""
        return self.fields.get(tag, default)

    def group(
        self, count_tag: str, first_tag: str, members: frozenset[str]
    ) -> list[dict[str, str]]:
        """Return the entries of a repeating group, in order; goes through the whole message.

        An entry begins with ``first_tag``; the group ends before the first tag that is not
        one of ``members``. The count itself is not compared (QuickFIX has done so).
        """
        entries: list[dict[str, str]] = []
        inside = False
        for tag, value in _pairs(self.text):
            if not inside:
                inside = tag == count_tag
            elif tag == first_tag:
                entries.append({tag: value})
            elif entries and tag in members:
                entries[-1][tag] = value
            else:
                break
        return entries


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return all fields in order; a fragment without ``=`` is left out."""
    pairs = []
    for field in text.split(SOH):
        tag, equals, value = field.partition("=")
        if equals:
            pairs.append((tag, value))
    return pairs


@lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    """Return whole seconds since 1970 as ``YYYYMMDD-HH:MM:SS``."""
    days, rest = divmod(second, 86_400)
    day = date.fromordinal(_EPOCH_DAY + days)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    return f"{day.year:04d}{day.month:02d}{day.day:02d}-{hours:02d}:{minutes:02d}:{seconds:02d}"


def time_text(time_us: int) -> str:
    """Return microseconds since 1970 as a UTCTimestamp with six decimals."""
    second, micro = divmod(time_us, 1_000_000)
    return f"{_second_text(second)}.{micro:06d}"


def parse_time(text: str) -> int:
    """Read a UTCTimestamp as microseconds since 1970; raises ValueError where it is none.

    It has 0, 3, 6 or 9 decimals and is cut to microseconds. FIX 4.4, volume 1, Data Types: a
    second may be a leap second, 60.
    """
    head, dot, fraction = text.partition(".")
    well_formed = len(head) == 17 and head[8] == "-" and head[11] == ":" and head[14] == ":"
    digits = head[:8] + head[9:11] + head[12:14] + head[15:17]
    if not (well_formed and digits.isascii() and digits.isdigit()):
        raise ValueError(f"{text!r} is not a UTC timestamp")
    if dot and not (len(fraction) in (3, 6, 9) and fraction.isascii() and fraction.isdigit()):
        raise ValueError(f"{text!r} has other than 3, 6 or 9 decimals")
    hours, minutes, seconds = int(digits[8:10]), int(digits[10:12]), int(digits[12:14])
    if hours > 23 or minutes > 59 or seconds > 60:  # FIX has leap seconds.
        raise ValueError(f"{text!r} is not a time of day")
    day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal() - _EPOCH_DAY
    second = hours * 3_600 + minutes * 60 + seconds
    return day * _DAY_US + second * 1_000_000 + int(fraction[:6].ljust(6, "0") or "0")
