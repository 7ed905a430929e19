"""How a request is written and signed, and how an error of the venue is raised."""

from __future__ import annotations

import base64
import hashlib

from ccxt.base.errors import ExchangeError

from tandem_ccxt.description import DESCRIPTION


class Signing:
    """What REST and the stream, sync and async, have in common on the wire."""

    def describe(self):
        return self.deep_extend(super().describe(), DESCRIPTION)

    def nonce(self):
        """Milliseconds that never repeat: a signed change is executed once."""
        now = self.milliseconds() - self.safe_integer(self.options, "timeDifference", 0)
        last = self.safe_integer(self.options, "lastNonce", 0)
        self.options["lastNonce"] = max(now, last + 1)
        return self.options["lastNonce"]

    def sign(self, path, api=("public",), method="GET", params={}, headers=None, body=None):
        group = api if isinstance(api, str) else api[0]
        target = ("/" if group == "root" else "/v1/") + self.quoted_path(path, params)
        query = self.omit(params, self.extract_params(path))
        if method in ("GET", "DELETE"):
            if query:
                target += "?" + self.urlencode(query)
        elif query:
            body = self.json(query)
        headers = {} if headers is None else headers
        if body:
            headers["Content-Type"] = "application/json"
        if group == "private":
            headers = self.extend(headers, self.credentials(method, target, body))
        return {
            "url": self.urls["api"][group] + target, "method": method, "body": body,
            "headers": headers,
        }  # fmt: skip

    def quoted_path(self, path, params):
        quoted = {
            name: self.encode_uri_component(str(params[name]))
            for name in self.extract_params(path)
        }
        return self.implode_params(path, quoted)

    def credentials(self, method, target, body=None):
        """Return the headers that say who asks; a ``token`` alone can read."""
        if self.token and not self.secret:
            return {"Authorization": "Bearer " + self.token}
        self.check_required_credentials()
        timestamp = str(self.nonce())
        return {
            "X-Tandem-Key": self.apiKey,
            "X-Tandem-Timestamp": timestamp,
            "X-Tandem-Signature": self.signature(timestamp, method, target, body),
        }

    def signature(self, timestamp, method, target, body=None):
        """Sign the four lines with HMAC-SHA256, or with Ed25519 if the secret is a PEM key."""
        content = self.hash(self.encode(body or ""), "sha256")
        text = self.encode("\n".join((timestamp, method, target, content)))
        if self.secret.startswith("-----BEGIN"):
            return base64.b64decode(self.eddsa(text, self.secret, "ed25519")).hex()
        return self.hmac(text, self.encode(self.secret), hashlib.sha256)

    def handle_errors(
        self, code, reason, url, method, headers, body, response, requestHeaders, requestBody
    ):
        if code is None or code < 400 or not isinstance(response, dict):
            return
        self.throw_problem(response)

    def throw_problem(self, problem):
        """Raise the exception of a problem document; the document is its message."""
        feedback = self.id + " " + self.json(problem)
        self.throw_exactly_matched_exception(
            self.exceptions["exact"], self.safe_string(problem, "code"), feedback
        )
        raise ExchangeError(feedback)
