"""The real exchange against the naive one of tests/support/oracle.py, event by event."""
