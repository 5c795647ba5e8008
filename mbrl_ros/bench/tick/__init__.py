"""The bench of a whole tick: what its parts cost in instructions, and how long a tick takes."""
