"""Why a signature is wrong, for who tries a client on a venue that is not production.

The venue knows the lines that should have been signed, and the key. It signs variants of them, as
the usual mistakes of clients make them: if the signature fits one, the variant's line is what
differs. Only a holder of the secret can send a signature that fits any, so nobody else learns a
thing. The response repeats what the request said; it has no secret and no valid signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlencode

Verify = Callable[[bytes, str], bool]
"""Tells whether a signature in lower-case hex is that of a text."""
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
BODY_BYTES_MAX: Final = 4_096
"""A longer body is not written anew in other ways."""
_EMPTY: Final = hashlib.sha256(b"").hexdigest()


class Signed(NamedTuple):
    """What a client signs, as the venue received it."""

    timestamp: str
    method: str
    target: str
    body: bytes
    idempotency_key: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines to sign."""
        digest = hashlib.sha256(self.body).hexdigest()
        key = (self.idempotency_key,) if self.idempotency_key else ()
        return (self.timestamp, self.method, self.target, digest, *key)


class Variant(NamedTuple):
    """Lines with one mistake: which part it is in, and the mistake as the end of a sentence."""

    part: str
    lines: tuple[str, ...]
    mistake: str


def explain(signed: Signed, signature: str, host: str, verify: Verify) -> tuple[str, str | None]:
    """Return a sentence on what is wrong with a signature, and the part that differs if known."""
    lines = signed.lines
    for given, form in _forms(signature):
        if verify(_text(lines), given):
            return f"The signature is right but in {form}; send it as lower-case hex.", "signature"
        if verify(_text(lines) + b"\n", given):
            return "The signed text ends with a newline; it must end without one.", "newlines"
        for between, name in (("", "nothing"), ("\r\n", "a carriage return and a newline")):
            if verify(_text(lines, between), given):
                return f"The lines are joined by {name}; join them by a newline.", "newlines"
        for variant in _variants(signed, host):
            if verify(_text(variant.lines), given):
                return f"The {variant.part} that was signed is another: {variant.mistake}.", (
                    variant.part
                )
    return (
        "The signature does not fit the key and the text in `string_to_sign`, which is what the "
        "venue received; compare it with what the client signs, and check the secret.",
        None,
    )


def _text(lines: tuple[str, ...], between: str = "\n") -> bytes:
    return between.join(lines).encode("utf-8", "surrogateescape")


def _forms(signature: str) -> Iterator[tuple[str, str]]:
    """Yield the signature as lower-case hex, as it may have been meant."""
    yield signature, "another form"
    if not signature.islower():
        yield signature.lower(), "upper-case hex"
    try:
        yield base64.b64decode(signature, validate=True).hex(), "base64"
    except (binascii.Error, ValueError):
        pass


def _variants(signed: Signed, host: str) -> Iterator[Variant]:
    """Yield the lines with each of the usual mistakes."""
    stamp, method, target, digest, *rest = signed.lines
    for text, mistake in _timestamps(stamp):
        yield Variant("timestamp", (text, method, target, digest, *rest), mistake)
    for other in (*METHODS, method.lower()):
        if other != method:
            mistake = f"{other}, and the request's is {method}"
            yield Variant("method", (stamp, other, target, digest, *rest), mistake)
    for text, mistake in _targets(target, host):
        yield Variant("target", (stamp, method, text, digest, *rest), mistake)
    for text, mistake in _bodies(signed.body, digest):
        yield Variant("body", (stamp, method, target, text, *rest), mistake)
    if rest:
        mistake = "the header Idempotency-Key was sent, and its value was not signed as fifth line"
        yield Variant("idempotency_key", (stamp, method, target, digest), mistake)
    else:
        mistake = "an empty fifth line was signed, and the request has no Idempotency-Key"
        yield Variant("idempotency_key", (stamp, method, target, digest, ""), mistake)


def _timestamps(stamp: str) -> Iterator[tuple[str, str]]:
    for text, unit in ((stamp[:-3], "seconds"), (stamp + "000", "microseconds")):
        yield text, f"it is in {unit}, and X-Tandem-Timestamp has milliseconds"


def _targets(target: str, host: str) -> Iterator[tuple[str, str]]:
    """Yield the target as libraries write it anew, without repeats."""
    path, mark, query = target.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    rendered = "the query is encoded in another way than it is sent"
    found = [
        (path, "the query is missing; sign the target with it"),
        (f"{path}?", "it ends with a question mark"),
        (f"{path}/", "it ends with a slash"),
        (path.removeprefix("/v1") + mark + query, "the path is without /v1"),
        (target.lstrip("/"), "the first slash is missing"),
        (unquote(target), "it was signed decoded; sign it as it is sent"),
        (unquote_plus(target), "it was signed decoded; sign it as it is sent"),
        (path + mark + urlencode(pairs), rendered),
        (path + mark + urlencode(pairs, quote_via=quote), rendered),
        (path + mark + urlencode(pairs, quote_via=quote, safe=":,@/"), rendered),
        (path + mark + quote_plus(query, safe="=&"), rendered),
        (target.replace("'", "%27"), rendered),
        (quote(unquote(path)) + mark + query, "the path is encoded in another way"),
        (quote(unquote(path), safe="/:") + mark + query, "the path is encoded in another way"),
        (quote(path, safe="/") + mark + query, "the path was encoded twice"),
        (
            path + mark + urlencode(sorted(pairs)),
            "the parameters were sorted; sign them in the order in which they are sent",
        ),
    ]
    if host:
        found += [
            (f"{scheme}://{host}{target}", "it is the whole URL; sign from the first slash on")
            for scheme in ("http", "https")
        ]
    known = {target}
    for text, mistake in found:
        if text not in known:
            known.add(text)
            yield text, f"{text[:200]!r}, {mistake}"


def _bodies(body: bytes, digest: str) -> Iterator[tuple[str, str]]:
    """Yield the fourth line as clients get it wrong."""
    yield digest.upper(), "its hash is in upper case"
    raw = base64.b64encode(bytes.fromhex(digest)).decode()
    yield raw, "its hash is in base64; the fourth line is the hex SHA-256"
    if not body:
        yield "", "the fourth line is empty; it is the hex SHA-256 of nothing"
        for text in (b"{}", b"null", b'""'):
            mistake = f"{text.decode()} was hashed, and the request has no body"
            yield hashlib.sha256(text).hexdigest(), mistake
        return
    yield _EMPTY, "nothing was hashed, and the request has a body"
    yield body.decode("utf-8", "surrogateescape"), "the body itself was signed, not its SHA-256"
    for text in _written_anew(body):
        if text != body:
            mistake = "it was hashed before it was written as it is sent; hash the bytes sent"
            yield hashlib.sha256(text).hexdigest(), mistake


def _written_anew(body: bytes) -> Iterator[bytes]:
    """Yield a JSON body as the usual writers of JSON write it."""
    if len(body) > BODY_BYTES_MAX:
        return
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return
    for ordered in (False, True):
        for separators in ((",", ":"), (", ", ": ")):
            yield json.dumps(value, separators=separators, sort_keys=ordered).encode()
            yield json.dumps(
                value, separators=separators, sort_keys=ordered, ensure_ascii=False
            ).encode("utf-8", "surrogatepass")
    yield json.dumps(value, indent=2).encode()
    yield body.strip()
    yield body + b"\n"
