"""What the client sends, what it does on each answer, and what it raises; without a venue."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import tandem_client
from account_api.security.auth import sign_hmac
from tandem_client import (
    AnswerNotUnderstood,
    ApiError,
    AsyncClient,
    BearerToken,
    Client,
    ClockSkew,
    ConnectionFailed,
    Ed25519Key,
    Invalid,
    NoAnswer,
    RateLimited,
    Retry,
    signing_text,
)
from tandem_client.exchange import Clock, Pause, Response
from tandem_client.generated.operations import OPERATIONS

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "recorded.json").read_text(encoding="utf-8")
)
SDK = Path(tandem_client.__file__).parent.parent
FAST = Retry(attempts=4, first_s=0.001, longest_s=0.001)
ORDER = {"client_order_id": "a-1", "symbol": "BTC-USD", "side": "buy"}
Step = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Venue:
    """Answers requests by a list; the last answer is given again and again."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step(request) if callable(step) else step

    def client(self, **options: Any) -> Client:
        options = {"key": "k", "secret": "s", "retry": FAST} | options
        return Client("http://venue", transport=httpx.MockTransport(self), **options)

    def targets(self) -> list[str]:
        return [request.extensions["target"].decode() for request in self.seen]

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.seen]


def ok(name: str, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=RECORDED[name], headers=headers)


def problem(status: int, code: str, outcome: str = "not_applied", **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    body = {
        "type": f"/errors/{code}", "title": "t", "status": status, "detail": "So it is.",
        "code": code, "request_id": "r", "retryable": False, "outcome": outcome, **more,
    }  # fmt: skip
    return httpx.Response(status, json=body, headers=headers)


def test_amounts_are_written_without_an_exponent_and_never_taken_as_floats() -> None:
    venue = Venue(ok("get_order"))
    client = venue.client()
    client.create_order(**ORDER, quantity=Decimal("1E+3"), price=Decimal("0.00000001"))
    until = datetime(2030, 1, 2, tzinfo=UTC)
    client.create_order(**ORDER, quantity=2, price="0.5", expires_at=until)
    first, second = venue.bodies()
    assert (first["quantity"], first["price"]) == ("1000", "0.00000001")
    assert (second["quantity"], second["price"]) == ("2", "0.5")
    assert second["expires_at"] == "2030-01-02T00:00:00.000000Z"
    assert "stop_price" not in first
    wrong: list[Any] = [0.1, Decimal("NaN"), True]
    for value in wrong:
        with pytest.raises((TypeError, ValueError), match="quantity is .*"):
            client.create_order(**ORDER, quantity=value)
    with pytest.raises(TypeError, match=r"price is the float 0.1; give Decimal\(\"0.1\"\)"):
        client.submit_batch(operations=[{"op": "create", **ORDER, "price": 0.1}])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="has no time zone"):
        client.create_order(**ORDER, expires_at=datetime(2030, 1, 2))  # noqa: DTZ001
    assert len(venue.seen) == 2


def test_each_request_is_signed_as_the_venue_checks_it() -> None:
    venue = Venue(ok("get_order"), ok("get_order"), ok("quote_withdrawal"))
    client = venue.client()
    client.get_order("client:a/b?c d")
    client.create_order(**ORDER, quantity="1")
    client.quote_withdrawal(asset="ETH", amount=2)
    assert venue.targets()[0] == "/v1/orders/client:a%2Fb%3Fc%20d"
    for request, target in zip(venue.seen, venue.targets(), strict=True):
        key = request.headers.get("Idempotency-Key", "")
        stamp = request.headers["X-Tandem-Timestamp"]
        assert request.headers["X-Tandem-Signature"] == sign_hmac(
            b"s", stamp, request.method, target, request.content, key
        )
    assert "Idempotency-Key" not in venue.seen[1].headers
    assert venue.seen[2].headers["Idempotency-Key"]


def test_two_equal_requests_within_a_millisecond_are_two_requests() -> None:
    stamps = Clock(read_ms=lambda: 1000)
    assert [stamps.stamp(), stamps.stamp(), stamps.stamp(unique=False)] == [1000, 1001, 1000]


def test_other_kinds_of_keys_and_none_at_all() -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    venue = Venue(ok("get_balances"))
    venue.client(key="", secret="", credentials=Ed25519Key("e", pem)).get_balances(asset="BTC")
    request = venue.seen[-1]
    stamp = int(request.headers["X-Tandem-Timestamp"])
    text = signing_text(stamp, "GET", "/v1/balances?asset=BTC")
    private.public_key().verify(bytes.fromhex(request.headers["X-Tandem-Signature"]), text)
    token = BearerToken("secret-token")
    venue.client(key="", secret="", credentials=token).get_balances()
    assert venue.seen[-1].headers["Authorization"] == "Bearer secret-token"
    assert "secret" not in repr(token)
    with pytest.raises(ValueError, match="go together"):
        Client(key="k")
    with pytest.raises(ValueError, match="begins with http"):
        Client("venue:8080")


NOTHING = httpx.ReadTimeout("")
PASSES: list[Step] = [
    NOTHING, httpx.RemoteProtocolError("Server disconnected."), httpx.ConnectError("refused"),
    problem(503, "engine_unavailable", "unknown"), httpx.Response(502, text="<html>"),
]  # fmt: skip


@pytest.mark.parametrize("step", PASSES, ids=repr)
def test_an_order_without_an_answer_is_sent_again_under_its_own_id(step: Step) -> None:
    venue = Venue(step, ok("get_order", **{"Idempotent-Replayed": "true"}))
    order = venue.client().create_order(**ORDER, quantity="1")
    assert order.replayed
    first, second = venue.seen
    assert first.content == second.content
    # Signed anew: the first signature may have been used.
    assert first.headers["X-Tandem-Signature"] != second.headers["X-Tandem-Signature"]


def test_what_has_no_id_of_its_own_is_sent_again_under_one_idempotency_key() -> None:
    venue = Venue(NOTHING, NOTHING, ok("quote_withdrawal"))
    venue.client().quote_withdrawal(asset="ETH", amount="2")
    keys = {request.headers["Idempotency-Key"] for request in venue.seen}
    assert len(venue.seen) == 3 and len(keys) == 1


def test_without_a_key_it_is_not_sent_again_once_it_may_have_arrived() -> None:
    venue = Venue(httpx.ConnectError("refused"), NOTHING, ok("cancel_all"))
    with pytest.raises(NoAnswer, match="it may have been executed") as raised:
        venue.client(automatic_keys=False).cancel_all()
    assert (len(venue.seen), raised.value.outcome) == (2, "unknown")


def test_attempts_are_bounded_and_the_error_says_by_which_id_to_look() -> None:
    venue = Venue(NOTHING)
    with pytest.raises(NoAnswer, match="the time limit passed.*look it up by a-1") as raised:
        venue.client().create_order(**ORDER, quantity="1")
    assert (len(venue.seen), raised.value.natural_id) == (4, "a-1")
    venue = Venue(NOTHING, httpx.ConnectError("refused"))
    with pytest.raises(NoAnswer, match="an earlier one of which may have been executed") as raised:
        venue.client().create_order(**ORDER, quantity="1")
    assert raised.value.outcome == "unknown"
    venue = Venue(httpx.ConnectError("refused"))
    with pytest.raises(ConnectionFailed) as failed:
        venue.client().create_order(**ORDER, quantity="1")
    assert failed.value.outcome == "not_applied"


def test_a_limit_is_waited_for_as_long_as_the_venue_says_but_not_for_ever() -> None:
    limited = problem(429, "rate_limited", headers={"Retry-After": "1"})
    venue = Venue(limited, ok("get_balances", RateLimit='"read";r=7;t=3'))
    client = venue.client()
    # What is decided, without the wait.
    steps = client._exchange.call(OPERATIONS["get_balances"], {}, {}, None, None)
    next(steps)
    assert steps.send(Response(429, {"retry-after": "1"}, limited.content)) == Pause(1.0)
    with pytest.raises(RateLimited) as raised:
        venue.client(retry=Retry(total_s=0.5)).get_balances()
    assert raised.value.retry_after_s == 1.0
    client.get_balances()
    assert client.rate_limits["read"].remaining == 7


def test_a_refusal_is_an_exception_with_all_that_the_document_says() -> None:
    venue = Venue(problem(422, "insufficient_funds", retryable=False, available="3"))
    with pytest.raises(Invalid, match="insufficient_funds: So it is") as raised:
        venue.client().create_order(**ORDER, quantity="1")
    error = raised.value
    assert (error.status, error.outcome, error.retryable) == (422, "not_applied", False)
    assert error.members["available"] == "3" and error.field is None
    assert len(venue.seen) == 1
    venue = Venue(problem(409, "instrument_halted", retryable=True))
    with pytest.raises(ApiError) as halted:
        venue.client().create_order(**ORDER, quantity="1")
    assert halted.value.retryable and len(venue.seen) == 1, "it is for the program to decide"
    with pytest.raises(AnswerNotUnderstood, match="is this the venue's address"):
        Venue(httpx.Response(404, text="<html>")).client().get_balances()


def test_a_wrong_clock_is_told_plainly() -> None:
    def late(request: httpx.Request) -> httpx.Response:
        sent = int(request.headers["X-Tandem-Timestamp"])
        return problem(401, "outside_window", server_time_ms=sent + 7_200)

    with pytest.raises(ClockSkew, match=r"clock is 7\.2 s behind the venue's") as raised:
        Venue(late).client().get_balances()
    assert raised.value.skew_ms == -7_200


def pages() -> Iterator[httpx.Response]:
    (fill,) = RECORDED["get_fills"]["fills"]
    for number, cursor in ((1, "c1"), (2, "c2"), (3, None)):
        fills = [{**fill, "trade_id": number}]
        body = {**RECORDED["get_fills"], "fills": fills, "next_cursor": cursor}
        yield httpx.Response(200, json=body)


def test_an_iterator_goes_through_all_pages() -> None:
    venue = Venue(*pages())
    fills = list(venue.client().iter_fills(symbol="BTC-USD", limit=1))
    assert [fill.trade_id for fill in fills] == [1, 2, 3]
    assert venue.targets() == [
        "/v1/fills?symbol=BTC-USD&limit=1",
        "/v1/fills?symbol=BTC-USD&limit=1&cursor=c1",
        "/v1/fills?symbol=BTC-USD&limit=1&cursor=c2",
    ]


def test_asyncio_does_the_same() -> None:
    venue = Venue(NOTHING, ok("get_order"), *pages())

    async def main() -> list[int]:
        transport = httpx.MockTransport(venue)
        async with AsyncClient("http://venue", "k", "s", retry=FAST, transport=transport) as one:
            await one.create_order(**ORDER, quantity="1")
            with pytest.raises(TypeError):
                await one.create_order(**ORDER, quantity=0.5)  # type: ignore[arg-type]
            return [fill.trade_id async for fill in one.iter_fills(limit=1)]

    assert asyncio.run(main()) == [1, 2, 3]
    assert len(venue.seen) == 5


def test_a_raw_request_reaches_the_venue_byte_for_byte() -> None:
    target = "/v1/orders?symbol=BTC-USD&x=%c3%a4%7E/../y"
    venue = Venue(httpx.Response(201, json={"ok": True}))
    response = venue.client().request("post", target, b"{}")
    assert (response.status, venue.targets()) == (201, [target])
    refused = Venue(problem(503, "not_ready")).client().request("GET", "/readyz")
    assert refused.status == 503
    with pytest.raises(ConnectionFailed, match="no connection to http://venue: Connection refused"):
        Venue(httpx.ConnectError("[Errno 111] Connection refused")).client().request("GET", "/")


def test_every_name_of_the_package_is_there_and_signing_loads_no_library() -> None:
    assert tandem_client.__all__ == sorted(tandem_client.HOMES)
    for name in tandem_client.HOMES:
        assert getattr(tandem_client, name) is not None and name in dir(tandem_client)
    with pytest.raises(AttributeError, match="no 'Nothing'"):
        _ = tandem_client.Nothing
    text = "import sys, tandem_client.credentials; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": str(SDK)})  # fmt: skip
    assert done.stdout == "False\n"
