"""``python -m account_api.stream``."""

import sys

from account_api.stream.main import main

sys.exit(main())
