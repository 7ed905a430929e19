"""Settings of FIX sessions as tests need them: what is not named is as for Alice."""

from __future__ import annotations

from typing import Any

from config.model import SessionSettings


def session_settings(
    comp_id: str = "ALICE",
    account: str = "alice",
    firm: str = "",
    accounts: frozenset[str] = frozenset(),
    **more: Any,
) -> SessionSettings:
    """Settings of a session of ``account``, which is its own firm and all of it unless named."""
    firm = firm or account
    return SessionSettings(
        comp_id=comp_id, account=account, firm=firm,
        accounts=accounts or frozenset((account,)), **({"username": account} | more),
    )  # fmt: skip
