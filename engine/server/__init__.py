"""The engine's process: sequencer, local socket, publication and queries."""
