"""Which files are checked, how they are read, and what is kept of it."""
