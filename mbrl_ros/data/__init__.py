"""Recordings of real or simulated robots, whatever file they come in."""

from .recording import ReadOptions, Recording
from .sources import load

__all__ = ["ReadOptions", "Recording", "load"]
