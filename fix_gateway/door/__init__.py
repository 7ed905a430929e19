"""The public port: what a connection must show before QuickFIX sees a byte."""
