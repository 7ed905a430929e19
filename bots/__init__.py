"""The market of a test-net: a market maker and takers, so that an order finds a partner.

They are clients like any other. They know nothing of the engine: the maker sends signed
batches to the account API, one taker speaks FIX and one WebSocket, each for a firm of its
own. What they do is drawn from a seed and bounded in rate and size, and whatever process of
the venue ends, they come back to it. Only ``main`` reads the configuration.
"""
