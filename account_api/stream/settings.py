"""Bounds of the stream; every queue and every wait has one."""

from __future__ import annotations

from dataclasses import dataclass

from account_api.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Settings of the WebSocket service.

    A connection with more than ``buffer_bytes_max`` unsent bytes is closed as too slow. A
    client may resume from at most ``replay_events_max`` of its account's events ago. Messages of at
    least ``deflate_bytes_min`` are compressed for clients that offer it; 0: the offer is refused.
    Orders of ``simulated_symbol`` may ask for a late answer; "" on every venue that is no test-net.
    """

    api: ApiSettings
    engine_path: str
    host: str
    port: int
    connections_max: int = 4_000
    message_bytes_max: int = 65_536
    buffer_bytes_max: int = 4 << 20
    subscriptions_max: int = 200
    loading_max: int = 4
    replay_events_max: int = 10_000
    replays_at_once_max: int = 4
    heartbeat_s: float = 5.0
    ping_s: float = 10.0
    close_s: float = 2.0
    state_wait_s: float = 5.0
    workers: int = 8
    grace_s_max: int = 300
    deflate_bytes_min: int = 1_024
    simulated_symbol: str = ""
