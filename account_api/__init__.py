"""The account API: HTTP for treasuries, trading systems and operators.

It holds no state of its own: commands go to the engine over its local socket, answers come
from the engine's committed state or from the SQL history. See README.md for the layer rule.
"""

from __future__ import annotations

from account_api.http.app import create_app
from account_api.settings import ApiKey, ApiSettings, RateLimit

__all__ = ["ApiKey", "ApiSettings", "RateLimit", "create_app"]
