"""A faulty disk below real processes: calls that fail or tear, and what a power loss leaves."""
