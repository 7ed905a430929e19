"""What the sequencer is told and how it fails: its bounds, and its end."""

from __future__ import annotations

from dataclasses import dataclass


class EngineStopped(Exception):
    """The engine cannot continue; nothing of the current batch was published.

    ``kind`` is "journal" (a write failed) or "fault" (apply broke an invariant).
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Numeric limits of the sequencer, passed by name so that they are not confused."""

    batch_max: int = 512
    turn_ms_max: float = 10.0
    snapshot_every: int = 200_000
    min_seq_wait_ms_max: int = 5_000
