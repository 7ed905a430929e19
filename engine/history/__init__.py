"""The read model: history in SQL, derived from the journal's transactions and nothing else.

``projector`` writes (one process, exactly once), ``queries`` reads (any process). The engine
does not depend on this package; its data can be deleted and rebuilt.
"""
