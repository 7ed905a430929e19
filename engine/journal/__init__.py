"""The durable log of the engine: the protocol, the local store, snapshots and their audit."""
