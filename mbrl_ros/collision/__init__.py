"""Room to move in: a robot's links as capsules, obstacles, and the signed distances between them."""
