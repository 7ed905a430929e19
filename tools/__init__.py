"""Programs for those who build the venue; nothing that it needs to run."""
