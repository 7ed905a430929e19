"""Public books, trades and day statistics, built from the engine's events."""
