"""What of the venue's configuration the account API and the stream take."""

from __future__ import annotations

import base64
from ipaddress import ip_network
from typing import Final

from account_api.settings import ApiKey, ApiSettings, Page, RateLimit, WebhookSettings
from config.model import Faucet, Key, Settings


def api_settings(settings: Settings) -> ApiSettings:
    """Select the settings that the API and the stream need."""
    http = settings.http
    limits = (
        ("read", RateLimit(http.read_quota, http.rate_window_s)),
        ("trade", RateLimit(http.trade_quota, http.rate_window_s)),
        ("money", RateLimit(http.money_quota, http.rate_window_s)),
    )
    return ApiSettings(
        keys=tuple(_api_key(key) for key in settings.keys if key.enabled),
        body_bytes_max=http.body_bytes_max,
        window_ms=http.window_ms,
        wait_ms_max=min(2_000, settings.engine.min_seq_wait_ms_max),
        address_formats=tuple(
            (one.asset, one.network, one.address_format)
            for one in settings.networks
            if one.address_format
        ),
        rate_limits=limits,
        answers=str(settings.data / "answers.db"),
        logins=str(settings.data / "logins.db"),
        key_file=str(settings.data / "keys.db"),
        key_master=str(settings.data / "keys.master"),
        shared=http.shared,
        faucet=_faucet(settings),
        page=_page(settings),
        proxies=frozenset(http.proxies),
        cors_origins=frozenset(http.cors_origins),
        gzip_bytes_min=http.gzip_bytes_min,
        webhooks=WebhookSettings(
            file=str(settings.data / "webhooks.db"),
            account_max=settings.webhooks.endpoints_max,
            allow=tuple(ip_network(text) for text in settings.webhooks.allow),
            https_only=settings.environment == "production",
        ),
    )


def _faucet(settings: Settings) -> Faucet | None:
    faucet = settings.faucet
    return None if settings.environment == "production" or not faucet.portions else faucet


_OFFERED: Final = {"trade", "withdraw", "approve", "keys", "operator"}
"""Scopes of the demo's keys that the page offers by name."""


def _page(settings: Settings) -> Page:
    robots = (settings.bots.maker_key, settings.bots.taker_key)
    return Page(
        environment=settings.environment,
        stream_url=settings.stream.public_url,
        stream_port=settings.stream.port,
        demo_keys=tuple(
            key.key
            for key in settings.keys
            if settings.environment == "demo" and key.enabled and key.key not in robots
            and key.secret == f"{key.key}-secret" and _OFFERED & set(key.scopes)
        ),
    )


def _api_key(key: Key) -> ApiKey:
    return ApiKey(
        key=key.key,
        kind="hmac" if key.kind == "operator" else key.kind,
        account=key.account,
        firm=key.firm,
        user=key.user,
        scopes=frozenset(key.scopes),
        secret=key.secret.encode(),
        token_sha256=key.token_sha256,
        public_key=base64.b64decode(key.public_key),
        allow=tuple(ip_network(text) for text in key.allow),
    )
