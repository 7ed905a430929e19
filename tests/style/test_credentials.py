"""Credentials are compared in constant time: by hmac.compare_digest or by argon2, never by ==."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.style.trees import ROOT, tree

OURS = ("fix_gateway", "account_api", "config", "tandem")
CREDENTIAL = re.compile(r"passw|secret|signature|signed|digest|token|hash|hmac|credential", re.I)
LOOSE = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
ALLOWED = {
    "remembered[0] == password_hash": "two hashes of our own configuration",
    "len(signature) != SIGNATURE_BYTES": "a length, which everyone may know",
    "digest in used": "digests of signatures that were verified before: replays",
    "token in self._recent": "digests of signatures that were verified before: replays",
    "key.secret == f'{key.key}-secret'": "our configuration, at start: is it a demo secret?",
    "key.secret in _SECRETS": "our configuration, at start",
    "session.password_hash in _shown_hashes()": "our configuration, at start",
    "key.token_sha256 in {hashlib.sha256(token.encode()).hexdigest() for token in tokens}": (
        "our configuration, at start"
    ),
    "getpass.getpass('Again: ') != password": "one person typing one password twice",
}
PATHS = [
    str(path.relative_to(ROOT))
    for package in OURS
    for path in sorted((ROOT / package).rglob("*.py"))
]


def loose_comparisons(module: ast.Module) -> list[str]:
    """Comparisons of something that is called like a credential, by == or in."""
    found = []
    for node in ast.walk(module):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], LOOSE):
            continue
        names = [
            part.id if isinstance(part, ast.Name) else part.attr
            for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute)
        ]  # fmt: skip
        if any(CREDENTIAL.search(name) for name in names):
            found.append(ast.unparse(node))
    return found


def test_loose_comparisons_are_recognised() -> None:
    for text in ("given == self.secret", "password != other", "token in known_tokens"):
        assert loose_comparisons(ast.parse(text)) == [text]
    assert not loose_comparisons(ast.parse("hmac.compare_digest(expected_digest, given)"))


@cache
def in_file(path: str) -> list[str]:
    return loose_comparisons(tree(path))


def test_credentials_are_compared_in_constant_time() -> None:
    for path in PATHS:
        for text in in_file(path):
            assert text in ALLOWED, f"{path}: {text}"


def test_every_exception_is_still_needed() -> None:
    found = {text for path in PATHS for text in in_file(path)}
    assert ALLOWED.keys() <= found
