"""Recordings of real or simulated robots, whatever file they come in."""

from .recording import Recording
from .sources import ReadOptions, load

__all__ = ["ReadOptions", "Recording", "load"]
