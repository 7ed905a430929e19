"""The command line: starts, supervises, inspects and checks a venue. Composition only."""
