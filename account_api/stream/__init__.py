"""The WebSocket service: public market data, private streams, and orders, on one socket.

An asyncio process of its own. ``hub`` follows the engine and hands out what happened;
``peer`` is one connection; ``requests`` are what clients may say; ``private`` and ``market``
turn events into messages; ``operations`` serves order requests by the handlers of REST.
Everything is described in ``spec/asyncapi.yaml``.
"""
