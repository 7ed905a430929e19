"""What people search for, by the page that answers: entries of the site's search index.

The search of the site finds the words that a page contains. It cannot know that a reader who looks
for a sandbox wants the test-net. Each phrase here leads to its page before any other result.
"""

from __future__ import annotations

from typing import Final

KEYWORDS: Final[dict[str, tuple[str, ...]]] = {
    "clients": (
        "quickfix", "quickfix/j", "quickfixj", "quickfix/n", "quickfix/go", "fix engine",
        "python client", "sdk", "client library", "java", "c++", "postman", "bruno", "insomnia",
        "curl", "data dictionary",
    ),
    "faq": ("questions", "help", "support", "401", "logon fails", "rate limit", "rate limits",
            "fund an account", "sandbox"),
    "first-trade": ("quick start", "quickstart", "getting started", "tutorial", "hello world"),
    "fix-card": ("cheat sheet", "fix tags", "fix messages", "message types", "quick reference"),
    "glossary": ("terms", "definitions", "vocabulary"),
    "test-net": ("sandbox", "testnet", "demo", "paper trading", "faucet", "test coins",
                 "fund an account", "bots", "simulate", "simulation"),
    "treasury": ("fund", "fund an account", "funding", "deposit", "deposits", "withdraw",
                 "withdrawal", "withdrawals", "transfer", "approval", "address book"),
    "webhooks": ("webhook", "callback", "callbacks", "notifications", "events", "svix",
                 "standard webhooks"),
    "trading-firm": ("disconnect", "cancel on disconnect", "dead man's switch", "kill switch",
                     "client order id", "idempotency"),
    "market-data": ("order book", "level 2", "checksum", "candles", "subscribe"),
    "spec/REST": ("signature", "signing", "authentication", "rate limit", "rate limits", "cors",
                  "scopes", "api key", "api keys", "pagination"),
    "reference/rest": ("endpoints", "openapi", "swagger", "api reference"),
    "reference/websocket": ("websocket", "streaming", "asyncapi", "channels"),
    "spec/ERRORS": ("error codes", "errors"),
    "spec/FIX": ("rules of engagement", "reject reasons", "throttle", "tags"),
    "operator": ("prometheus", "grafana", "metrics", "monitoring", "health check", "halt"),
    "deployment": ("docker", "container", "compose", "systemd", "nginx", "install"),
    "runbooks": ("backup", "restore", "upgrade", "alerts", "disaster recovery"),
    "upgrade": ("upgrade", "migration", "compatibility", "versions"),
    "changelog": ("release notes", "what's new", "versions"),
    "tls": ("certificate", "certificates", "encryption", "mtls", "stunnel", "haproxy"),
    "security": ("threat model", "audit", "vulnerability"),
    "proofs": ("tests", "fault injection"),
    "certification": ("conformance", "conformity", "go live", "onboarding"),
}  # fmt: skip
