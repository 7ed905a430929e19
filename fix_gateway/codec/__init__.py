"""FIX messages to commands and events to FIX messages: pure translation."""
