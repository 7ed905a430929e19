"""Certification: scenarios as data, played against a venue or against a client."""
