"""The search of the site answers what people ask, with the right page among the first three."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.build import DECISIONS, pages
from docs.keywords import KEYWORDS
from tests.docs.blocks import ROOT
from tests.support import pace

pytestmark = pytest.mark.xdist_group("site")
QUESTIONS = {
    "QuickFIX/J": "clients",
    "fund an account": "treasury",
    "sandbox": "test-net",
    "glossary": "glossary",
    "FAQ": "faq",
    "webhook": "webhooks",
    "ccxt": "clients",
    "rate limit": "spec/REST",
    "rate limits": "faq",
    "cancel on disconnect": "trading-firm",
    "dead man's switch": "trading-firm",
    "signature": "spec/REST",
    "api key": "spec/REST",
    "error codes": "spec/ERRORS",
    "cheat sheet": "fix-card",
    "changelog": "changelog",
    "upgrade": "upgrade",
    "docker": "deployment",
    "backup": "runbooks",
    "postman": "clients",
    "websocket": "reference/websocket",
    "deposit": "treasury",
    "withdrawal": "treasury",
    "faucet": "test-net",
    "order book": "market-data",
    "prometheus": "operator",
    "tls": "tls",
    "swagger": "reference/rest",
}


def asked(site: Path, *questions: str) -> list[list[str]]:
    """The pages that the search of the site finds for each question, best first."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("the search of the site is not tested: there is no node (Debian: nodejs)")
    done = subprocess.run(
        [node, ROOT / "tests" / "docs" / "search.mjs", site, *questions], capture_output=True,
        text=True, timeout=pace.seconds(30), check=True,
    )  # fmt: skip
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_the_right_page_is_among_the_first_three(site: Path) -> None:
    found = asked(site, *QUESTIONS)
    wrong = {
        question: pages[:3]
        for (question, page), pages in zip(QUESTIONS.items(), found, strict=True)
        if page not in pages[:3]
    }
    assert not wrong


def test_what_nobody_looks_for_crowds_nothing_out(site: Path) -> None:
    for found in asked(site, "QuickFIX", "processor", "latency", "journal", "fees"):
        assert found and not [page for page in found if page.startswith(DECISIONS)]


def test_a_question_without_an_answer_finds_nothing(site: Path) -> None:
    assert asked(site, "gibberish zzyzx") == [[]]


def test_what_is_found_has_a_text_to_show(site: Path) -> None:
    """An entry that leads to an empty place makes the search stop at it."""
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    entries = text.partition('"indexentries":')[2].partition('"objects"')[0]
    assert '"sandbox"' in entries and '"index-' not in entries


def test_every_keyword_is_of_a_page_that_exists() -> None:
    assert KEYWORDS.keys() <= pages().keys()
    for phrases in KEYWORDS.values():
        assert all(phrase == phrase.lower() and ";" not in phrase for phrase in phrases)
