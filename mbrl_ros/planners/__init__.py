"""Planners: a local controller for the next H stages from the state, the dynamics and the cost."""
