"""Show a robot in a web browser: the arm in 3-D, its plan, its target, and what the controller says of itself."""
