"""What is believed about a robot before any data: one prior per file."""

from .base import FixedPrior, Prior

__all__ = ["FixedPrior", "Prior"]
