"""One control thread: states in, commands out, at a fixed rate."""
