"""What is in proportion to an arm (scenarios/proportions.py), by the name that it had here."""

from __future__ import annotations

from ..scenarios.proportions import Holding, Proportions, length, rounded_down

__all__ = ["Holding", "Proportions", "length", "rounded_down"]
