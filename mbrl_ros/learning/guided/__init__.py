"""Guided policy search in parts: local dynamics, local controllers, and the policy that is fitted to them."""
