"""FIX sessions: their stores, epochs, numbers and limits."""
