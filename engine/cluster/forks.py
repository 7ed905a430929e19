"""No thread of a member is inside OpenSSL while the process forks.

Snapshots and large queries are written by forked children, which have only the thread that
forked. A lock that another thread held at that moment stays locked in the child for ever. So what
the threads of this room do with TLS is done under ``LOCK``, and a fork takes it first.
"""

from __future__ import annotations

import os
import threading
from typing import Final

LOCK: Final = threading.Lock()

os.register_at_fork(
    before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release
)
