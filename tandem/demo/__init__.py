"""A trading day on a temporary venue with every number checked."""
