"""The WebSocket service: public market data, private streams, and orders, on one socket.

An asyncio process of its own. ``hub`` follows the engine and distributes its events; ``peer`` is
one connection; ``requests`` are the messages of clients; ``private_channels`` and
``public_channels`` turn events into messages; ``operations`` serves order requests with the
handlers of REST. ``spec/asyncapi.yaml`` describes the service.
"""
