"""``python -m account_api.webhooks``."""

from __future__ import annotations

import sys

from account_api.webhooks.main import main

if __name__ == "__main__":
    sys.exit(main())
