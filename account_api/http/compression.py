"""Responses compressed with gzip for who asks by Accept-Encoding.

Only responses 200 to GET are compressed, from a size on. What is compressed can be guessed at by
its length where one response mixes a secret with what an attacker chose (BREACH). Nothing here
does: the secret of a new API key is in the response to a POST, errors repeat the request but are
no 200, and a page of another origin cannot send a user's credentials, which are no cookies.

A compressed form has an ETag of its own, with ``-gzip`` at its end; a request that names it is
passed on with the plain one, so 304 works for both.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
Fields = list[tuple[str, str]]

LEVEL: Final = 1
"""Of what is made for one request: four fifths of what level 9 saves, in a third of the time."""
LEVEL_KEPT: Final = 9
KEPT_BYTES_MAX: Final = 16 << 20
"""What the compressed forms of files, which are kept by their ETag, may hold in one process."""
_MARK: Final = '-gzip"'
_TYPES: Final = (
    "application/json", "application/javascript", "application/xml", "application/yaml",
    "application/manifest+json", "image/svg+xml", "text/",
)  # fmt: skip
_LENGTH: Final = "content-length"
_REPLACED: Final = {_LENGTH, "etag", "vary", "accept-ranges"}


def compressed(application: Wsgi, bytes_min: int) -> Wsgi:
    """Wrap the application; ``bytes_min`` is the smallest body that is compressed, 0: none is."""
    if bytes_min == 0:
        return application
    kept = _Kept()

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET":
            return application(environ, start_response)
        wanted = accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        condition = environ.get("HTTP_IF_NONE_MATCH", "")
        if _MARK in condition:
            environ["HTTP_IF_NONE_MATCH"] = condition.replace(_MARK, '"')
        told: list[Any] = []

        def start(*arguments: Any) -> None:
            told[:] = arguments

        body = application(environ, start)
        status, fields, *more = told
        known = {name.lower(): value for name, value in fields}
        if status.startswith("304") and "etag" in known:
            tag = known["etag"]
            if wanted and marked(tag) in condition:
                tag = marked(tag)
            start_response(status, _changed(fields, known, tag), *more)
            return body
        size = int(known.get(_LENGTH, 0))
        if size < bytes_min or not status.startswith("200") or not _compressible(known):
            start_response(status, fields, *more)
            return body
        tag = known.get("etag", "")
        if not wanted:
            start_response(status, [*_changed(fields, known, tag), *_plain(known)], *more)
            return body
        found = kept.get(tag)
        data = _joined(body) if found is None else b""
        if found is None:
            found = gzip.compress(data, LEVEL_KEPT if tag else LEVEL, mtime=0)
            kept.put(tag, found)
        else:
            _close(body)
        gained = _changed(fields, known, marked(tag))
        gained += [("Content-Encoding", "gzip"), ("Content-Length", str(len(found)))]
        start_response(status, gained, *more)
        return (found,)

    return serve


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip; ``*`` stands for every coding."""
    qualities: dict[str, float] = {}
    for part in header.split(","):
        coding, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            quality = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            quality = 0.0
        qualities[coding.strip().lower()] = quality
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def marked(tag: str) -> str:
    """Return the ETag of the compressed form."""
    return f"{tag[:-1]}{_MARK}" if tag.endswith('"') else tag


def _compressible(known: dict[str, str]) -> bool:
    media_type = known.get("content-type", "")
    return media_type.startswith(_TYPES) and "content-encoding" not in known


def _changed(fields: Fields, known: dict[str, str], tag: str) -> Fields:
    """Return the fields with another ETag, and with Accept-Encoding in Vary."""
    kept = [field for field in fields if field[0].lower() not in _REPLACED]
    vary = ", ".join(filter(None, (known.get("vary"), "Accept-Encoding")))
    return [*kept, ("Vary", vary), *((("ETag", tag),) if tag else ())]


def _plain(known: dict[str, str]) -> Fields:
    """Return the fields that only the plain form has."""
    ranges = known.get("accept-ranges")
    return [("Content-Length", known[_LENGTH]), *((("Accept-Ranges", ranges),) if ranges else ())]


def _joined(body: Iterable[bytes]) -> bytes:
    try:
        return b"".join(body)
    finally:
        _close(body)


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


class _Kept:
    """Compressed forms by the ETag of the plain one, those that were not used for longest going
    first. Each step is one call, so threads need no lock; two may compress the same at once."""

    def __init__(self) -> None:
        self._forms: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, tag: str) -> bytes | None:
        """Return the form of a tag that was put, None if there is none; "" has none."""
        return self._forms.get(tag) if tag else None

    def put(self, tag: str, form: bytes) -> None:
        """Keep a form."""
        if not tag or len(form) > KEPT_BYTES_MAX // 4:
            return
        self._bytes += len(form) - len(self._forms.pop(tag, b""))
        self._forms[tag] = form
        while self._bytes > KEPT_BYTES_MAX:
            try:
                _, oldest = self._forms.popitem(last=False)
            except KeyError:
                self._bytes = 0
                return
            self._bytes -= len(oldest)
