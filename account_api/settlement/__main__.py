"""``python -m account_api.settlement``."""

from __future__ import annotations

import sys

from account_api.settlement.main import main

if __name__ == "__main__":
    sys.exit(main())
