"""What a Logon may hold: the door's list and QuickFIX's, both from the one data dictionary.

The door judges a Logon by the dictionary that clients load. QuickFIX gets a dictionary of its
own, made from it, in which a Logon needs a stamp that only this process knows. QuickFIX obeys
ResetSeqNumFlag(141) before it verifies anything else, and what it refuses afterwards never
reaches a callback; but it holds every message against its dictionary first of all. So a Logon
that does not come from the door changes nothing: it is a message with a field missing.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STAMPED: Final = "acceptor.xml"
"""QuickFIX's own dictionary, beside the stores, in which a Logon needs the door's stamp."""
STAMP: Final = "29999"
"""Tag of the stamp. It stands in no dictionary but QuickFIX's own and never on the wire."""
MARKET_DATA_FIELDS: Final = ("MarketDepth", "MDUpdateType", "AggregatedBook", "MDEntryType")
"""What MarketDataRequest(V) asks for: a wrong value is answered by Y with its 281."""
_THIRD_PARTY: Final = frozenset(("115", "116", "128", "129"))
"""Fields of the header that route application messages: nobody logs on for somebody else."""
_HANDED_OVER: Final = (("EncryptMethod", "Y"), ("HeartBtInt", "Y"), ("NextExpectedMsgSeqNum", "N"))


@dataclass(frozen=True, slots=True)
class LogonGrammar:
    """Tags of a Logon by the part they stand in; ``names`` has every field of the dictionary."""

    header: frozenset[str]
    body: frozenset[str]
    trailer: frozenset[str]
    names: dict[str, str]

    def named(self, tag: str) -> str:
        """Return a tag as it is told to people, such as ``HeartBtInt(108)``."""
        return f"{self.names[tag]}({tag})" if tag in self.names else f"tag {tag}"


def read(dictionary: Path) -> LogonGrammar:
    """Read the grammar of Logons in a data dictionary. Raises OSError or ValueError."""
    root = _root(dictionary)
    fields = root.iterfind("fields/field")
    numbers = {field.attrib["name"]: field.attrib["number"] for field in fields}
    return LogonGrammar(
        frozenset(numbers[name] for name in _names(root.find("header"))) - _THIRD_PARTY,
        frozenset(numbers[name] for name in _names(_logon(root))),
        frozenset(numbers[name] for name in _names(root.find("trailer"))),
        {number: name for name, number in numbers.items()},
    )


def write_stamped(
    dictionary: Path, target: Path, stamp: str, judged_later: Iterable[str] = ()
) -> None:
    """Write QuickFIX's own dictionary, in which a Logon must bear ``stamp``; for us alone.

    Fields ``judged_later`` (by name) may have any value there, so that a wrong one reaches us and
    is answered by the message that is meant for that. Raises OSError or ValueError.
    """
    root = _root(dictionary)
    logon = _logon(root)
    for child in list(logon):
        logon.remove(child)
    for name, required in (*_HANDED_OVER, ("Stamp", "Y")):
        ElementTree.SubElement(logon, "field", name=name, required=required)
    fields = root.find("fields")
    if fields is None:
        raise ValueError(f"{dictionary} has no fields")
    field = ElementTree.SubElement(fields, "field", number=STAMP, name="Stamp", type="STRING")
    ElementTree.SubElement(field, "value", enum=stamp, description="OF_THE_DOOR")
    later = frozenset(judged_later)
    for field in fields:
        if field.attrib["name"] in later:
            field.attrib["type"] = "STRING"
            for child in list(field):
                field.remove(child)
    target.unlink(missing_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _root(dictionary: Path) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(dictionary.read_text(encoding="utf-8"))
    except ElementTree.ParseError as error:
        raise ValueError(f"{dictionary} is no data dictionary: {error}") from None


def _logon(root: ElementTree.Element) -> ElementTree.Element:
    found = root.find("messages/message[@msgtype='A']")
    if found is None:
        raise ValueError("the data dictionary has no Logon(A)")
    return found


def _names(part: ElementTree.Element | None) -> Iterator[str]:
    """Yield the names of all fields and groups below a part."""
    for node in part.iter() if part is not None else ():
        if node.tag in ("field", "group"):
            yield node.attrib["name"]
