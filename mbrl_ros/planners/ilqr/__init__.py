"""Iterative linear-quadratic regulator with limits, compiled and as readable specifications."""
