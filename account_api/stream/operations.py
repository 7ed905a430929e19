"""Orders over the socket: the handlers of REST, called by name.

An operation is a route of REST under another name: its parameters are the members of the route's
body or query and the variable parts of its path. So both check, do and answer the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog

from account_api.errors import Problem, internal_error
from account_api.http.routing import AnyCall, Call, Method, Route
from account_api.reply import Reply
from account_api.routes.common import own_account
from account_api.schema.requests import NoQuery
from account_api.security.auth import require
from account_api.services import Services
from account_api.stream.principal import StreamPrincipal, logged_in
from account_api.stream.requests import convert
from engine.core.authority import Thing

OPERATIONS: Final[dict[str, tuple[Method, str]]] = {
    "create_order": ("POST", "/v1/orders"),
    "replace_order": ("PATCH", "/v1/orders/{order}"),
    "cancel_order": ("DELETE", "/v1/orders/{order}"),
    "cancel_all": ("DELETE", "/v1/orders"),
    "batch": ("POST", "/v1/orders/batch"),
    "set_dead_mans_switch": ("PUT", "/v1/dead-man-switch"),
    "get_order": ("GET", "/v1/orders/{order}"),
    "get_orders": ("GET", "/v1/orders"),
    "get_fills": ("GET", "/v1/fills"),
    "get_balances": ("GET", "/v1/balances"),
    "get_holds": ("GET", "/v1/holds"),
    "get_ledger": ("GET", "/v1/ledger"),
    "get_fees": ("GET", "/v1/fees"),
    "get_limits": ("GET", "/v1/limits"),
    "get_instruments": ("GET", "/v1/instruments"),
    "get_assets": ("GET", "/v1/assets"),
    "get_book": ("GET", "/v1/books/{symbol}"),
    "get_trades": ("GET", "/v1/trades"),
    "get_candles": ("GET", "/v1/candles"),
    "get_tickers": ("GET", "/v1/tickers"),
    "get_accounts": ("GET", "/v1/accounts"),
}
"""Operation → method and path of its route."""

_PARTS: Final = re.compile(r"\{(\w+)\}")
_PART_LENGTH_MAX: Final = 128
_log: Final = structlog.get_logger("account_api.stream")


class Operations:
    """Serves the routes of the table to connections, on a bounded number of threads."""

    def __init__(self, routes: Iterable[Route], services: Services, workers: int) -> None:
        known = {(route.method, route.path): route for route in routes}
        self._routes: dict[str, Route] = {op: known[where] for op, where in OPERATIONS.items()}
        self._services = services
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="operations")

    async def run(
        self, op: str, params: dict[str, Any], caller: StreamPrincipal | None, request_id: str
    ) -> Reply:
        """Do an operation. Raises Problem."""
        route = self._routes.get(op)
        if route is None:
            raise Problem("invalid_request", f"There is no operation {op}.", field="op")
        if route.scope is not None:
            caller = logged_in(caller)
            verdict = self._services.limiter.take(caller.key.key, route.group, caller.key.slot)
            if verdict is not None and not verdict.allowed:
                raise verdict.problem(
                    caller.key.key, route.group, retry_after_s=verdict.retry_after_s
                )
            require(caller, route.thing)
        call = self._call(route, dict(params), caller, request_id)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _serve, route, call)

    async def account(self, caller: StreamPrincipal, named: str | None, thing: Thing) -> str:
        """Return the account for which the caller does a thing: its own, or one of its firm.

        Raises Problem.
        """
        call = Call(
            self._services, caller, {}, NoQuery(), None, self._services.clock_us(), "", thing
        )
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, own_account, call, named
        )

    def close(self) -> None:
        """Stop the threads; what they are doing is finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(
        self,
        route: Route,
        params: dict[str, Any],
        caller: StreamPrincipal | None,
        request_id: str,
    ) -> AnyCall:
        parts: dict[str, str] = {}
        for name in _PARTS.findall(route.path):
            value = params.pop(name, None)
            if not isinstance(value, str) or not 0 < len(value) <= _PART_LENGTH_MAX:
                raise Problem(
                    "invalid_request",
                    f"The operation needs the text parameter {name}.",
                    field=name,
                )
            parts[name] = value
        body = None if route.body is None else convert(params, route.body)
        return Call(
            services=self._services,
            caller=caller,
            parts=parts,
            query=convert(params if body is None else {}, route.query),
            body=body,
            now_us=self._services.clock_us(),
            request_id=request_id,
            thing=route.thing,
        )


def _serve(route: Route, call: AnyCall) -> Reply:
    try:
        return route.handler(call)
    except Problem as problem:
        if problem.status >= 500:
            _log.warning(
                "problem", code=problem.kind.code, request_id=call.request_id, op=route.name,
                cause=repr(problem.__cause__),
            )  # fmt: skip
        raise
    except Exception as error:
        _log.error("unexpected", request_id=call.request_id, op=route.name, exc_info=error)
        raise internal_error() from error
