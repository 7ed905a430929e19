"""The FIX 4.4 order-entry gateway: front door, QuickFIX acceptor, pure translation."""
