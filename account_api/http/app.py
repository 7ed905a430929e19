"""``create_app``: the Flask application, and the path of a request through it."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from account_api.crypto_addresses import DepositAddressSource
from account_api.errors import PROBLEM_TYPE, Problem, internal_error
from account_api.http import cors
from account_api.http.answer import Answer
from account_api.http.bad_request import BODY_UNREADABLE
from account_api.http.compression import compressed
from account_api.http.docs import add_docs, add_errors
from account_api.http.downloads import add_downloads
from account_api.http.missing_page import asked_for, missing_page
from account_api.http.openapi import document
from account_api.http.plain_reference import page
from account_api.http.request_ids import RequestIds
from account_api.http.routing import AnyCall, Call, Route
from account_api.http.web_page import add_page
from account_api.ports import ClockUs, EngineFactory, PartsSource
from account_api.reply import Reply
from account_api.routes import ROUTES
from account_api.schema import decode
from account_api.security import auth
from account_api.security.idempotency import KEY_FORM, fingerprint
from account_api.services import HistoryOpener, Services
from account_api.settings import ApiKey, ApiSettings

_REQUEST_ID_KEY: Final = "tandem.request_id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_JSON_TYPE: Final = "application/json"
_JSON_FIELD: Final = ("Content-Type", _JSON_TYPE)
_NO_STORE: Final = ("Cache-Control", "no-store")
_encoder: Final = msgspec.json.Encoder()
_ids: Final = RequestIds()
_log: Final = structlog.get_logger("account_api")
_FIELD_NAMES: Final = {
    name: "HTTP_" + name.upper().replace("-", "_")
    for name in (
        "Authorization", "Host", auth.KEY_HEADER, auth.TIMESTAMP_HEADER, auth.SIGNATURE_HEADER,
        auth.IDEMPOTENCY_HEADER,
    )
}  # fmt: skip

_HTTP_CODES: Final = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


def create_app(
    settings: ApiSettings,
    engine_factory: EngineFactory,
    history: HistoryOpener | None = None,
    clock_us: ClockUs = lambda: time.time_ns() // 1000,
    deposit_address: DepositAddressSource | None = None,
    parts: PartsSource = lambda seq: (),
) -> Flask:
    """Make the WSGI application.

    ``engine_factory`` and ``history`` are called once in each worker process, at the first
    request that needs them; ``clock_us`` is the clock of windows and rate limits.
    ``deposit_address`` assigns deposit addresses; None: there are none. ``parts`` reports the
    state of the other parts of the venue, for /readyz.
    """
    app = Flask("account_api", static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.converters |= {"order": _OrderName, "withdrawal": _WithdrawalName}
    app.config["MAX_CONTENT_LENGTH"] = settings.body_bytes_max
    services = Services(settings, engine_factory, history, clock_us, deposit_address, parts)
    server = _Server(services)
    paths: dict[str, list[Route]] = {}
    for route in ROUTES:
        rule = re.sub(r"\{(order|withdrawal)\}", r"<\1:\1>", route.path)
        rule = re.sub(r"\{(\w+)\}", r"<\1>", rule)
        paths.setdefault(rule, []).append(route)
        app.add_url_rule(
            rule, f"{route.method} {route.path}", server.view(route), methods=[route.method],
            provide_automatic_options=False,
        )  # fmt: skip
    for rule, routes in paths.items():
        view = cors.options(
            [route.method for route in routes], any(map(_public, routes)), _finished
        )
        app.add_url_rule(rule, f"OPTIONS {rule}", view, methods=["OPTIONS"])
    add_docs(
        app, lambda: document(ROUTES), page, settings.docs, settings.page.demo_keys, _finished
    )
    add_downloads(app, settings.downloads, _finished)
    add_errors(app, _finished, lambda: _missing(_no_such_error()))
    add_page(app, settings.page, settings.faucet, services)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    app.extensions["tandem"] = services
    shared = cors.for_origins(app.wsgi_app, settings.cors_origins)
    outer: Any = compressed(shared, settings.gzip_bytes_min)
    app.wsgi_app = outer  # type: ignore[method-assign]
    return app


def _public(route: Route) -> bool:
    """Return whether a page of any origin may call the route."""
    return route.scope is None and route.method == "GET"


class _OrderName(BaseConverter):
    """An order in a path; a client order id may hold slashes. ``batch`` is a path of its own."""

    regex = "(?!batch\\Z).+"
    part_isolating = False


class _WithdrawalName(BaseConverter):
    """A withdrawal in a path; ``quotes`` is a path of its own."""

    regex = "(?!quotes\\Z)[^/]+"
    part_isolating = False


class _Server:
    """Serves the routes of the table."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def view(self, route: Route) -> Callable[..., Response]:
        """Make the view function of a route."""
        always = cors.PUBLIC if _public(route) else ()

        def serve(**parts: str) -> Response:
            # Flask's ``request`` looks the request up at every use; this is the request itself.
            incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
            request_id = _request_id(incoming.environ)
            headers: list[tuple[str, str]] = [*always]
            try:
                reply = self._serve(route, incoming, parts, headers)
            except Problem as problem:
                _log_change(route, problem.status, problem.kind.code)
                return _problem(problem, headers)
            if route.method != "GET":
                _log_change(route, reply.status, "")
            return Answer(
                _encoder.encode(reply.body),
                reply.status,
                [_JSON_FIELD, *headers, *reply.headers, ("X-Request-Id", request_id), _NO_STORE],
            )

        return serve

    def _serve(
        self,
        route: Route,
        incoming: Request,
        parts: dict[str, str],
        headers: list[tuple[str, str]],
    ) -> Reply:
        now_us = self._services.clock_us()
        environ = incoming.environ
        body = _read_body(incoming, self._services.settings.body_bytes_max)
        caller = None
        if route.scope is not None:
            caller = self._services.authenticator.authenticate(
                _Fields(environ),
                incoming.method,
                _target(incoming),
                body,
                environ.get("REMOTE_ADDR") or "",
                now_us,
            )
            self._limit(caller.key, route.group, headers)
            auth.require(caller, route.thing)
        call: AnyCall = Call(
            services=self._services,
            caller=caller,
            parts=parts,
            query=decode.query_of(_query_pairs(incoming), route.query),
            body=_parse_body(route, incoming, body),
            now_us=now_us,
            request_id=_request_id(environ),
            thing=route.thing,
        )
        if caller is None or route.method == "GET":
            return route.handler(call)
        key = _idempotency_key(route)
        if not key:
            return route.handler(call)
        owner = caller.account or f"operator {caller.key.key}"
        same = fingerprint(route.method, _target(incoming), body)
        return self._services.idempotency.once(
            owner, key, same, lambda token: route.handler(call.under(token)), caller.token,
            money=route.group == "money", find=call.find, repeatable=route.repeatable,
        )  # fmt: skip

    def _limit(self, key: ApiKey, group: str, headers: list[tuple[str, str]]) -> None:
        verdict = self._services.limiter.take(key.key, group, key.slot)
        if verdict is None:
            return
        headers.extend(verdict.headers)
        if not verdict.allowed:
            retry = ("Retry-After", str(verdict.retry_after_s))
            raise verdict.problem(key.key, group, headers=(retry,))


def _log_change(route: Route, status: int, code: str) -> None:
    """Log every request that could change something, whatever its outcome."""
    if route.method != "GET":
        _log.info(
            "request",
            operation=route.name,
            status=status,
            code=code,
            # A header that did not authenticate might contain anything, a secret for instance.
            key="" if code == "unauthorized" else request.headers.get(auth.KEY_HEADER, "")[:64],
            request_id=_request_id(),
        )


class _Fields:
    """WSGI header fields by the names that authentication uses."""

    __slots__ = ("_environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ

    def get(self, key: str, default: str, /) -> str:
        """Return the value of a header, or the default."""
        value: str = self._environ.get(_FIELD_NAMES[key], default)
        return value


def _request_id(environ: dict[str, Any] | None = None) -> str:
    """Return the id of this request: the caller's if it is well-formed, otherwise a new one."""
    if environ is None:
        environ = request.environ
    known: str | None = environ.get(_REQUEST_ID_KEY)
    if known is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known = given if _REQUEST_ID.match(given) else _ids.next()
        environ[_REQUEST_ID_KEY] = known
    return known


def _target(incoming: Request) -> str:
    """Return the request target as it stood in the request line."""
    target = incoming.environ.get("RAW_URI") or incoming.environ.get("REQUEST_URI")
    return str(target) if target is not None else incoming.full_path


def _idempotency_key(route: Route) -> str:
    """Return the Idempotency-Key of a request, "" for none. Raises Problem."""
    key = request.headers.get(auth.IDEMPOTENCY_HEADER, "")
    if key and KEY_FORM.match(key) is None:
        raise Problem(
            "invalid_request",
            "The header Idempotency-Key must be 1 to 64 visible ASCII characters without spaces.",
            field=auth.IDEMPOTENCY_HEADER,
        )
    if not key and route.needs_key:
        raise Problem(
            "idempotency_key_missing",
            f"{route.method} {route.path} needs the header Idempotency-Key, any text of your own "
            "that no other request has.",
            field=auth.IDEMPOTENCY_HEADER,
        )
    return key


def _query_pairs(incoming: Request) -> list[tuple[str, str]]:
    return list(incoming.args.items(multi=True)) if incoming.query_string else []


def _read_body(incoming: Request, limit: int) -> bytes:
    environ = incoming.environ
    if not environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
        return b""  # No body is announced; reading none would still cost a stream.
    try:
        if "HTTP_TRANSFER_ENCODING" not in environ:
            return incoming.get_data(cache=False, parse_form_data=False)
        # Flask silently cuts a body without a stated length at the limit.
        chunks: bytes = environ["wsgi.input"].read(limit + 1)
        if len(chunks) > limit:
            raise _too_large(limit)
        return chunks
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except BODY_UNREADABLE:
        raise Problem(
            "malformed_http",
            "The body ends too early, or its chunked encoding is malformed.",
            status=400,
            headers=(("Connection", "close"),),
        ) from None


def _too_large(limit: int) -> Problem:
    return Problem(
        "body_too_large",
        f"The body is larger than {limit} bytes.",
        headers=(("Connection", "close"),),
        limit_bytes=limit,
    )


def _parse_body(route: Route, incoming: Request, body: bytes) -> Any:
    if route.body is None:
        if body:
            raise Problem(
                "body_not_allowed", f"{route.method} {route.path} takes no body; send none."
            )
        return None
    if not body and not route.body_required:
        return route.body()
    coding = incoming.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise Problem(
            "unsupported_media_type",
            f"The body must not be encoded; the Content-Encoding {coding[:20]!r} is not supported.",
            headers=(("Accept-Encoding", "identity"),),
        )
    media_type = incoming.mimetype
    if media_type not in ("", _JSON_TYPE):
        raise Problem(
            "unsupported_media_type",
            "The body must be application/json, but the Content-Type header says otherwise.",
        )
    return decode.body_of(body, route.body)


def _finish(response: Response, headers: list[tuple[str, str]]) -> Response:
    for name, value in (*headers, *_common_headers()):
        response.headers[name] = value
    return response


def _finished(response: Response) -> Response:
    return _finish(response, [])


def _no_such_error() -> Problem:
    return Problem("not_found", "There is no error with this code.")


def _common_headers() -> tuple[tuple[str, str], ...]:
    """Return the headers that every response carries."""
    return ("X-Request-Id", _request_id()), _NO_STORE


def _problem(problem: Problem, headers: list[tuple[str, str]]) -> Response:
    request_id = _request_id()
    if problem.status >= 500:
        _log.warning(
            "problem",
            code=problem.kind.code,
            request_id=request_id,
            method=request.method,
            rule=str(request.url_rule or ""),
            cause=repr(problem.__cause__) if problem.__cause__ is not None else None,
        )
    response = Response(problem.encode(request_id), problem.status, content_type=PROBLEM_TYPE)
    return _finish(response, [*headers, *problem.headers])


def _http_error(error: HTTPException) -> Response:
    """Render the errors that Flask finds before a route does, in the same form as all others."""
    if error.response is not None:
        return _finish(Response(status=error.code or 500), [])
    code = _HTTP_CODES.get(error.code or 500)
    if code == "not_found":
        detail = f"There is nothing at this path.{_without_slash(request.path)}"
        return _missing(Problem(code, detail))
    if code == "method_not_allowed":
        valid = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        problem = Problem(
            code,
            f"The path does not support the method {request.method[:20]!r}; it supports {valid}.",
            headers=(("Allow", valid),),
        )
    elif code is not None:
        problem = Problem(code, f"{error.description or 'The request cannot be read.'}")
    elif error.code is not None and error.code < 500:
        problem = Problem("malformed_http", "The request is not valid HTTP.", status=400)
    else:
        return _unexpected(error)
    return _problem(problem, [])


def _missing(problem: Problem) -> Response:
    """Answer at a path where there is nothing: a page for people, the problem for programs."""
    response = _finished(missing_page(problem)) if asked_for() else _problem(problem, [])
    response.headers["Vary"] = "Accept"
    return response


def _without_slash(path: str) -> str:
    """Return what helps whoever ended a path with a slash, to follow a sentence."""
    shown = re.fullmatch(r"(/v1/[\w/.-]{1,80}?)/+", path)
    return f" Paths end without a slash: {shown[1]}." if shown else ""


def _unexpected(error: Exception) -> Response:
    """Answer an exception that no rule foresees: log its traceback and show nothing of it."""
    _log.error(
        "unexpected",
        request_id=_request_id(),
        method=request.method,
        rule=str(request.url_rule or ""),
        trace="".join(traceback.format_exception(error)),
    )
    return _problem(internal_error(), [])
