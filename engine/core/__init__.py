"""The pure exchange: same commands in, same events out, byte for byte.

Nothing in this package reads a clock, a file, a socket or a random source; it imports a
subset of the standard library and sortedcontainers, which a test enforces.
"""
