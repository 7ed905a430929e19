"""What an operation of the account API is, and by what a repeat of it is harmless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote, urlencode

from tandem_client.values import query_text


class Repeat(Enum):
    """Why an operation may be sent again if its answer was lost."""

    READ = "it changes nothing"
    NATURAL_ID = "the venue knows its own id"
    SAME = "it states what shall be"
    KEY = "it has an Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation; ``natural_id`` is the member of its body that identifies it, if any does."""

    name: str
    method: str
    path: str
    repeat: Repeat
    public: bool
    natural_id: str

    def target(self, parts: Mapping[str, Any], query: Mapping[str, Any]) -> str:
        """Return the request target; parameters that are None are left out."""
        path = self.path
        for name, value in parts.items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=":"))
        pairs = {
            name: query_text(value, name) for name, value in query.items() if value is not None
        }
        return f"{path}?{urlencode(pairs)}" if pairs else path
