"""Scenarios: the data of spec/certification, read and checked."""
