"""The engine's shell on a simulated clock, network and disk, driven by one seed.

What runs is the real code of the sequencer, the publisher, the server's framing and queues,
the queries and the exchange; what is simulated is what they stand on. ``run.simulate(seed)``
does the same again for the same seed, so a failing interleaving is replayed by its number.
"""
