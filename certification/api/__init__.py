"""Certification of clients of the account API, by REST and WebSocket."""
