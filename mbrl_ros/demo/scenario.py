"""The scenario of points (scenarios/scenario.py), by the name that it had here."""

from __future__ import annotations

from ..scenarios.scenario import AFTER, BEFORE, CAMERAS, HOLD, SLOT, Scenario, Slot, build_scenario, full_duration

__all__ = ["AFTER", "BEFORE", "CAMERAS", "HOLD", "SLOT", "Scenario", "Slot", "build_scenario", "full_duration"]
