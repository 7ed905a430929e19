"""The engine: a deterministic exchange behind a durable log, served on a Unix socket."""
