"""The scenario of poses (scenarios/pose_scenario.py), by the name that it had here."""

from __future__ import annotations

from ..scenarios.pose_scenario import LARGEST_TURN, POSE_SLOT, SMALLEST_TURN, build_pose_scenario
from ..scenarios.scenario import REST

__all__ = ["LARGEST_TURN", "POSE_SLOT", "REST", "SMALLEST_TURN", "build_pose_scenario"]
