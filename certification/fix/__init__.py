"""Certification over FIX: clients under test, and acceptors (conform)."""
