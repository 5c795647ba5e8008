"""Benchmarks of planners on the same problems."""
