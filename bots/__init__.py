"""The market of a test-net: a market maker and takers, so that an order finds a counterparty.

They are clients like any other and do not use the engine directly: the maker sends signed
batches to the account API, one taker speaks FIX and one WebSocket, each for its own firm. Their
orders are random from a seed and bounded in rate and size, and they reconnect whichever process
of the venue ends. Only ``main`` reads the configuration.
"""
