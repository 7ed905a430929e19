"""The version of this package, which is that of the venue."""

__version__ = "0.2.0"
