"""The OpenAPI document held against the service by schemathesis, case by case and along links.

Short by default. ``TANDEM_FUZZ_EXAMPLES`` is the number of cases for each operation (and of
walks along the links); 1000 is a long run.
"""

from __future__ import annotations

import io
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from account_api.configuration import api_settings
from account_api.crypto_addresses import simulated_deposit_address
from account_api.http.app import create_app
from account_api.http.openapi import _LINKS, document
from account_api.routes import ROUTES
from account_api.security.auth import sign_hmac
from account_api.settings import ApiKey
from config.settings import DEMO_FILE, load
from engine.core.invariants import violations
from engine.history.queries import open_reader
from tests.api.inprocess import Clock, InProcessEngine

pytestmark = [pytest.mark.timeout(3600), pytest.mark.xdist_group("schemathesis")]

EXAMPLES: Final = int(os.environ.get("TANDEM_FUZZ_EXAMPLES", "4"))
BOUNDED: Final = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES < 100,
    suppress_health_check=list(HealthCheck), stateful_step_count=6,
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
FOLLOWERS_MAX: Final = 4
"""Links that one walk may choose from: of many some would not be followed for long."""
SECRET: Final = b"a secret of the fuzzer"
OPERATORS: Final = ("PUT /v1/instruments", "POST /v1/deposits")


def _key(name: str, account: str, *scopes: Any) -> ApiKey:
    firm = "alice" if account else ""
    return ApiKey(name, "hmac", account, firm, f"user-{name}", frozenset(scopes), SECRET)


KEYS: Final = (
    _key("acts", "alice", "read", "trade", "withdraw", "address", "keys"),
    _key("approves", "alice", "read", "approve"),
    _key("operates", "", "operator"),
)


REAL: Final[dict[str, dict[str, Any]]] = {
    "POST /v1/orders": {
        "client_order_id": "", "symbol": "BTC-USD", "side": "buy", "quantity": "1", "price": "1",
    },
    "POST /v1/withdrawals": {
        "client_withdrawal_id": "", "asset": "BTC", "amount": "1",
        "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    },
    "POST /v1/api-keys": {"name": "walk", "kind": "hmac", "scopes": ["withdraw"]},
    "POST /v1/addresses": {
        "asset": "BTC", "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    },
}  # fmt: skip


class Signing:
    """A WSGI application that signs what it is handed, as a client would, and passes it on.

    Its document says nothing of signatures, so that nobody expects one to be missed.
    """

    application: Any
    clock: Clock

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        method, target = environ["REQUEST_METHOD"], environ["RAW_URI"]
        if target == "/openapi.json":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(unsigned(document(ROUTES))).encode()]
        key = "acts"
        if f"{method} {target}".startswith(OPERATORS):
            key = "operates"
        elif target.partition("?")[0].endswith(("/approve", "/reject")):
            key = "approves"
        self.clock.now_us += 1000
        stamp = str(self.clock.now_us // 1000)
        environ["HTTP_X_TANDEM_KEY"], environ["HTTP_X_TANDEM_TIMESTAMP"] = key, stamp
        environ["HTTP_X_TANDEM_SIGNATURE"] = sign_hmac(
            SECRET, stamp, method, target, body, environ.get("HTTP_IDEMPOTENCY_KEY", "")
        )
        environ.pop("HTTP_AUTHORIZATION", None)
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer


def unsigned(value: Any) -> Any:
    """The document without what it says of credentials."""
    if isinstance(value, dict):
        kept = {name: unsigned(part) for name, part in value.items()}
        return {name: part for name, part in kept.items() if not name.startswith("security")}
    return [unsigned(part) for part in value] if isinstance(value, list) else value


class Held:
    """The document, and a venue behind it that can be begun anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.venues = itertools.count()
        self.signing = Signing()
        self.begin()
        self.schema = schemathesis.openapi.from_wsgi("/openapi.json", self.signing)
        # Walks go along the links of the document, not along those that names suggest.
        self.schema.config.phases.stateful.inference.algorithms = []

    def begin(self) -> None:
        """A venue on which nothing has happened: walks must not depend on those before."""
        folder = self.folder / str(next(self.venues))
        folder.mkdir()
        clock = self.signing.clock = Clock()
        engine = self.engine = InProcessEngine(folder, clock)
        found = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(folder)}))
        formats = {(asset, network): form for asset, network, form in found.address_formats}
        self.signing.application = create_app(
            replace(found, keys=KEYS, rate_limits=()),
            lambda: engine,
            lambda: open_reader(engine.history_url),
            clock,
            simulated_deposit_address(formats),
        )


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return Held(tmp_path_factory.mktemp("schemathesis"))


# Every request is signed here, and what needs money or an open order may be refused although
# the document allows it: the rules of the venue are no part of a schema.
NOT_HELD: Final = (
    "ignored_auth", "missing_required_header", "positive_data_acceptance", "unsupported_method",
    "use_after_free", "ensure_resource_availability",
)  # fmt: skip


def excluded(*more: str) -> list[Any]:
    known = schemathesis.checks.CHECKS
    names = known.get_all_names()
    return [known.get_one(name) for name in (*NOT_HELD, *more) if name in names]


def test_every_operation_keeps_to_its_document(held: Held) -> None:
    """Statuses, media types and bodies as documented, and never an error of the server."""
    labels = set()
    for result in held.schema.get_all_operations():
        operation = result.ok()
        labels.add(operation.label)

        @BOUNDED
        @given(case=operation.as_strategy())
        def run(case: Any) -> None:
            case.call_and_validate(excluded_checks=excluded())

        run()
    assert len(labels) > 30
    assert violations(held.engine.exchange) == []


WALKS: Final = [
    (source, followers[first : first + FOLLOWERS_MAX])
    for source, (_, _, followers) in sorted(_LINKS.items())
    for first in range(0, len(followers), FOLLOWERS_MAX)
]


@pytest.mark.parametrize(("source", "followers"), WALKS)
def test_walks_along_the_links_keep_to_the_document(
    held: Held, source: str, followers: tuple[str, ...]
) -> None:
    """What one answer names is asked for by the next request; the links are really followed."""
    followed: Counter[str] = Counter()
    machine: Any = held.schema.include(operation_id=[source, *followers]).as_state_machine()

    class Walk(machine):  # type: ignore[misc]
        def setup(self) -> None:
            held.begin()
            self.numbers = itertools.count()

        def teardown(self) -> None:
            assert violations(held.engine.exchange) == []

        def before_call(self, case: Any) -> None:
            # Texts at random name no instrument; what can be followed must first succeed.
            real = REAL.get(case.operation.label)
            if real is not None:
                number = next(self.numbers)
                own = {name: f"w{number}" for name in real if name.startswith("client")}
                case.body = real | own
                case.media_type = "application/json"

        def step(self, input: Any) -> Any:
            output = super().step(input)
            if input.transition is not None and output is not None:
                followed[str(input.transition.id)] += 1
            return output

        def validate_response(self, response: Any, case: Any, *args: Any, **named: Any) -> None:
            # A body that was replaced is no longer the invalid one that was to be refused.
            case.validate_response(
                response, excluded_checks=excluded("negative_data_rejection")
            )

    # Which links the walks take is drawn, also from what other modules have loaded before: more
    # walks are made while a link was not followed.
    for more in (1, 2, 4, 8, 16, 32):
        Walk.run(settings=settings(BOUNDED, max_examples=max(8, EXAMPLES) * more))
        left = [name for name in followers if not any(name in link for link in followed)]
        if not left:
            break
    assert not left, (left, followed)
