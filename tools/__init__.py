"""Programs for development; the venue does not need them at run time."""
