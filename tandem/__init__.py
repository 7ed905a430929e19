"""The command line: starts, watches, shows and checks a venue. Composition only."""
