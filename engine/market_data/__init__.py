"""Books, trades and day statistics built from events, for every door that shows them."""
