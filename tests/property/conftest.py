"""Databases for the history: SQLite in a file, and PostgreSQL where it can be started."""

from __future__ import annotations

from tests.support.databases import postgresql, url

__all__ = ("postgresql", "url")
