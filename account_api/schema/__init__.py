"""Requests and responses as typed structs, and their translation."""
