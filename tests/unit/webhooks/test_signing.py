"""Signatures are those of the Standard Webhooks specification, and pauses grow as they should."""

from __future__ import annotations

import base64
from random import Random

import pytest

from account_api.webhooks.backoff import Backoff
from account_api.webhooks.kinds import EVENT_TYPES, chosen
from account_api.webhooks.signing import (
    new_secret,
    secret_text,
    signature,
    signed_headers,
)
from engine.core.types import WithdrawalState

VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = (
    "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}',
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
)  # fmt: skip
"""The example that the published libraries test themselves with."""


def test_the_published_example_has_the_published_signature() -> None:
    name, at, body, expected = VECTOR
    secret = base64.b64decode(VECTOR_SECRET.removeprefix("whsec_"))
    assert signature(secret, name, at, body) == expected
    assert secret_text(secret) == VECTOR_SECRET


def test_every_valid_secret_signs_the_same_id_and_timestamp() -> None:
    old, new = b"o" * 32, b"n" * 32
    headers = dict(signed_headers([new, old], "evt_7_0", 1_900_000_000, b"{}"))
    assert headers["webhook-id"] == "evt_7_0"
    assert headers["webhook-timestamp"] == "1900000000"
    assert headers["webhook-signature"].split(" ") == [
        signature(one, "evt_7_0", 1_900_000_000, b"{}") for one in (new, old)
    ]


def test_a_secret_has_the_length_that_the_specification_asks_for() -> None:
    assert 24 <= len(new_secret()) <= 64 and new_secret() != new_secret()


def test_the_types_of_withdrawals_are_all_states_and_a_star_is_all_of_a_subject() -> None:
    states = {f"withdrawal.{state.name.lower()}" for state in WithdrawalState}
    assert set(chosen(["withdrawal.*"])) == states
    assert chosen(["*"]) == EVENT_TYPES == chosen(["withdrawal.*", "deposit.*", "fill.*"])
    assert chosen(["fill.created", "deposit.credited"]) == ("deposit.credited", "fill.created")


@pytest.mark.parametrize(("failures", "longest"), [(1, 1), (2, 2), (5, 16), (11, 600), (500, 600)])
def test_pauses_double_up_to_a_bound_and_are_shortened_at_random(
    failures: int, longest: float
) -> None:
    random = Random(failures)
    pauses = [Backoff(draw=random.uniform).pause_s(failures) for _ in range(200)]
    assert longest / 2 <= min(pauses) < longest * 0.6
    assert longest * 0.9 < max(pauses) <= longest


def test_a_receiver_may_ask_for_a_longer_pause_within_the_bound() -> None:
    backoff = Backoff(draw=lambda low, high: high)
    assert backoff.pause_s(1, 30) == 30
    assert backoff.pause_s(6, 30) == 32
    assert backoff.pause_s(1, 86_400) == 600
