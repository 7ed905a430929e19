"""Who may ask: keys, signatures, limits, and answers that are given once."""
