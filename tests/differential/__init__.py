"""The real exchange against the naive one of tests/oracle.py, event by event."""
