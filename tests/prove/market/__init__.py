"""Market data by FIX held to the engine's own books, at every sequence that a message names.

Clients with QuickFIX and the dictionary that it brings subscribe at random moments while orders
flow; what they rebuild is compared with an exchange that replays the same transactions.
"""
