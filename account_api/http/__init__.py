"""HTTP: the application, its routing, its worker and its documents."""
