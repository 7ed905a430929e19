"""Serves a connection: reads its requests in order and answers each.

Requests of a connection are done and answered one after the other, so a cancel never overtakes the
create before it, and an unsubscribed channel is silent from the answer on. Only the start of a
private subscription (a snapshot or a replay) is sent beside the answers that follow. Reading stops
while a request is being done, so a client that sends faster than it is served waits in its own
socket. Other connections get a turn after each answer, so a client that sends hundreds of requests
at once delays only itself.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from websockets.exceptions import ConnectionClosed

from account_api.errors import Problem
from account_api.http.forwarded import forwarded_for
from account_api.ports import ClockUs
from account_api.reply import REPLAYED
from account_api.schema.catalogue import unknown_symbol
from account_api.schema.from_rows import SCOPE_TEXT
from account_api.security.auth import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Authenticator,
    require,
)
from account_api.stream import requests
from account_api.stream.hub import Hub
from account_api.stream.late_answers import hold_back
from account_api.stream.loading import Loaded, Loader, send_loaded
from account_api.stream.logins import Logins
from account_api.stream.messages import refusal, reply
from account_api.stream.operations import Operations
from account_api.stream.pacing import PacedConnection
from account_api.stream.peer import Peer
from account_api.stream.principal import StreamPrincipal, logged_in
from account_api.stream.requests import PUBLIC_CHANNELS, Message
from account_api.stream.sessions import Sessions, Terms
from account_api.stream.settings import StreamSettings
from account_api.stream.subscription import PrivateSubscription
from engine.core.authority import Thing, speaks_for_firm

STREAM_PATH: Final = "/v1/stream"
CLOSE_NORMAL: Final = 1000
_SCOPES: Final = {text: scope for scope, text in SCOPE_TEXT.items()}
_log: Final = structlog.get_logger("account_api.stream")
Answer = Awaitable[None]


class Handler:
    """Serves connections; one for all of them."""

    def __init__(
        self,
        settings: StreamSettings,
        hub: Hub,
        loader: Loader,
        operations: Operations,
        sessions: Sessions,
        logins: Logins,
        authenticator: Authenticator,
        clock_us: ClockUs,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self.loader = loader
        self._operations = operations
        self._sessions = sessions
        self._authenticator = authenticator
        self._clock_us = clock_us
        self._logins = logins
        self._own: dict[str, Callable[[Peer, Message], Answer]] = {
            "login": self._login,
            "logout": self._logout,
            "cancel_on_disconnect": self._cancel_on_disconnect,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "snapshot": self._snapshot,
            "ping": self._ping,
        }

    async def serve(self, peer: Peer) -> None:
        """Serve a connection until it ends."""
        self._hub.add_peer(peer)
        try:
            async for text in peer.connection:
                await self._one(peer, text)
                if peer.closing:
                    break
        except ConnectionClosed:
            pass  # However it ended, what follows is the same.
        finally:
            self._hub.remove_peer(peer)
            await peer.end()
            if peer.principal is not None:
                await self._sessions.close(peer.principal.source)
            _log.info("closed", peer=peer.name, reason=peer.close_reason or None)

    async def _one(self, peer: Peer, text: str | bytes) -> None:
        """Serve one message; an error in it is answered."""
        request_id = uuid.uuid4().hex
        op, req_id = "", None
        try:
            doubt = self._doubt(peer)
            if peer.closing:
                return
            message = requests.parse(text)
            op, req_id = message.op, message.req_id
            if doubt is not None:
                raise doubt
            own = self._own.get(op)
            if own is not None:
                await own(peer, message)
                return
            done = await self._operations.run(op, message.params, peer.principal, request_id)
            await hold_back(done, self._settings.simulated_symbol)
            replayed = REPLAYED in done.headers
            await peer.send(
                reply(op, req_id, done.body, status=done.status, replayed=replayed)
            )
        except Problem as problem:
            await peer.send(refusal(op, req_id, problem.document(request_id)))

    def _doubt(self, peer: Peer) -> Problem | None:
        """Close a connection whose key is not valid; return why that cannot be known."""
        if peer.principal is None:
            return None
        try:
            peer.check_key(self._authenticator.ring.current(), self._clock_us())
        except Problem as problem:
            return problem
        return None

    async def _login(self, peer: Peer, message: Message) -> None:
        params = message.read(requests.LoginParams)
        if peer.principal is not None:
            raise Problem("invalid_request", "This connection has already logged in.", field="op")
        headers = {
            name: value
            for name, value in (
                ("Authorization", f"Bearer {params.token}" if params.token else None),
                (KEY_HEADER, params.key),
                (TIMESTAMP_HEADER, params.timestamp),
                (SIGNATURE_HEADER, params.signature),
            )
            if value is not None
        }
        now_us = self._clock_us()
        remote = peer.connection.remote_address
        address = forwarded_for(
            str(remote[0]) if remote else "",
            peer.connection.request.headers.get_all("X-Forwarded-For")
            if peer.connection.request is not None
            else (),
            self._settings.api.proxies,
        )
        caller = self._authenticator.authenticate(
            headers, "GET", STREAM_PATH, b"", address, now_us
        )
        token = caller.token
        if token and not (
            self._logins.first(token, caller.valid_until, now_us)
            and (not self._settings.api.shared or await self._sessions.first_login(caller.origin()))
        ):
            raise Problem("unauthorized", "This signature was used before; sign a new login.")
        peer.principal = StreamPrincipal(key=caller.key, connection=peer.name)
        if isinstance(peer.connection, PacedConnection):
            peer.connection.logged_in()
        _log.info("login", peer=peer.name, key=caller.key.key)
        await peer.send(
            reply(
                message.op,
                message.req_id,
                {
                    "account": caller.account or None,
                    "scopes": sorted(caller.key.scopes),
                    "session": peer.principal.source,
                },
            )
        )

    async def _logout(self, peer: Peer, message: Message) -> None:
        params = message.read(requests.LogoutParams)
        principal = logged_in(peer.principal)
        await self._sessions.close(
            principal.source, clean=True, keep_orders=not params.cancel_orders
        )
        await peer.send(reply(message.op, message.req_id, {}))
        peer.fail(CLOSE_NORMAL, "logged out")

    async def _cancel_on_disconnect(self, peer: Peer, message: Message) -> None:
        params = message.read(requests.CancelOnDisconnectParams)
        principal = logged_in(peer.principal)
        require(principal, Thing.CANCEL_ON_DISCONNECT)
        if params.grace_s > self._settings.grace_s_max:
            raise Problem(
                "invalid_request",
                f"The field grace_s is at most {self._settings.grace_s_max}.",
                field="grace_s",
            )
        if params.account is not None and params.scope != "account":
            raise Problem(
                "invalid_request", "The field account is only for the scope account.",
                field="account",
            )  # fmt: skip
        if params.scope == "firm" and not speaks_for_firm(principal.account, principal.key.firm):
            raise Problem(
                "not_permitted",
                f"Only a key of the account {principal.key.firm} may act for the whole firm.",
            )
        account = await self._operations.account(
            principal, params.account, Thing.CANCEL_ON_DISCONNECT
        )
        terms = Terms(account, _SCOPES[params.scope], params.grace_s * 1_000_000)
        await self._sessions.open(principal.source, terms)
        data = {
            "scope": params.scope, "account": account, "grace_s": params.grace_s,
            "session": principal.source,
        }  # fmt: skip
        await peer.send(reply(message.op, message.req_id, data))

    async def _subscribe(self, peer: Peer, message: Message) -> None:
        params = message.read(requests.SubscribeParams)
        private, account, public = await self._wanted(peer, params)
        known = sum(map(len, peer.symbols.values())) + self._hub.private_channels(peer)
        if known + len(private) + len(public) > self._settings.subscriptions_max:
            raise Problem(
                "invalid_request",
                f"A connection has at most {self._settings.subscriptions_max} subscriptions.",
                field="channels",
            )
        if not private:
            await peer.send(reply(message.op, message.req_id, {"private": None}))
            await self._begin_public(peer, public)
            return
        if peer.loading >= self._settings.loading_max:
            raise Problem(
                "invalid_request", "Wait until your earlier subscriptions have started.",
                field="channels",
            )  # fmt: skip
        subscription, about, first = await self.loader.subscribe(
            peer, account, private, params.from_seq
        )
        data = {"private": {"account": account, "channels": sorted(private), **about}}
        await peer.send(reply(message.op, message.req_id, data))
        await self._begin_public(peer, public)
        peer.spawn(self._load(peer, subscription, first))

    async def _load(
        self, peer: Peer, subscription: PrivateSubscription, first: Loaded
    ) -> None:
        """Send the start of private channels at the peer's pace, beside its further requests.

        Only the answer keeps its order among answers: a cancel need not wait until ten thousand
        replayed events are read.
        """
        peer.loading += 1
        try:
            await send_loaded(subscription, first)
        finally:
            peer.loading -= 1

    async def _begin_public(self, peer: Peer, public: list[tuple[str, str]]) -> None:
        for channel, symbol in public:
            # Registered and written without a pause, so that no change is lost in between.
            peer.write(self._hub.add_public(channel, symbol, peer))
            await asyncio.sleep(0)

    async def _unsubscribe(self, peer: Peer, message: Message) -> None:
        params = message.read(requests.ChannelsParams)
        private, account, public = await self._wanted(peer, params)
        for channel, symbol in public:
            self._hub.remove_public(channel, symbol, peer)
        if private:
            self._hub.remove_private(peer, account, private)
        await peer.send(reply(message.op, message.req_id, {}))

    async def _snapshot(self, peer: Peer, message: Message) -> None:
        params = message.read(requests.ChannelsParams)
        private, account, public = await self._wanted(peer, params)
        texts: list[str] = []
        if private:
            texts = await self.loader.snapshot(account, private)
        await peer.send(reply(message.op, message.req_id, {}))
        for text in texts:
            await peer.send(text)
        for channel, symbol in public:
            await peer.send(self._hub.public_snapshot(channel, symbol))

    async def _ping(self, peer: Peer, message: Message) -> None:
        message.read(requests.NoParams)
        data: dict[str, Any] = {"time_ms": self._clock_us() // 1000}
        await peer.send(reply(message.op, message.req_id, data))

    async def _wanted(
        self, peer: Peer, params: requests.ChannelsParams
    ) -> tuple[frozenset[str], str, list[tuple[str, str]]]:
        """Return the private channels and their account, and the public ones with their symbols.

        The account is "" if there are no private channels. Raises Problem.
        """
        channels, symbols = params.channels, params.symbols
        private: frozenset[str] = frozenset(channels) - frozenset(PUBLIC_CHANNELS)
        public: list[str] = [name for name in PUBLIC_CHANNELS if name in channels]
        if bool(symbols) != bool(public):
            raise Problem(
                "invalid_request",
                "The channels book and trades need symbols, and the other channels take none.",
                field="symbols",
            )
        if params.account is not None and not private:
            raise Problem(
                "invalid_request",
                "The field account is only for private channels, not for book and trades.",
                field="account",
            )
        await self._state()
        for symbol in symbols:
            if symbol not in self._hub.catalogue.instruments:
                raise unknown_symbol(symbol, self._hub.catalogue.instruments, field="symbols")
        wanted = [(name, symbol) for name in public for symbol in dict.fromkeys(symbols)]
        if not private:
            return private, "", wanted
        principal = logged_in(peer.principal)
        if not principal.account:
            raise Problem("not_permitted", "An operator's key has no account of its own.")
        require(principal, Thing.STREAM_ACCOUNT)
        account = await self._operations.account(
            principal, params.account, Thing.STREAM_ACCOUNT
        )
        return private, account, wanted

    async def _state(self) -> None:
        """Wait, bounded, until the hub knows the venue's state. Raises Problem."""
        try:
            async with asyncio.timeout(self._settings.state_wait_s):
                await self._hub.ready.wait()
        except TimeoutError:
            raise Problem(
                "engine_unavailable", "The service is still loading the venue's state; try again.",
                outcome="not_applied",
            ) from None  # fmt: skip
