"""The read model: history in SQL, derived from the journal's transactions and nothing else.

``projector`` writes (one process, exactly once), ``queries`` reads (any process). The engine
knows nothing of this package; whatever is here can be thrown away and rebuilt.
"""
