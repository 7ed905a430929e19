"""What a test-net does on demand, so that a client's error paths can be tried by hand."""

from __future__ import annotations
