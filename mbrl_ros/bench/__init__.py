"""Benchmarks: planners on the same problem, and the node as a whole."""
