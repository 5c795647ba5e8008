"""Targets and the references that lead to them."""
