"""A trading day on a temporary venue, every figure of which is checked."""
