"""kill -9 of any process of a venue under load, at moments that the load chooses."""
