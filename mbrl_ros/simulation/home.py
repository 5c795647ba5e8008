"""Where a simulated robot starts."""

from __future__ import annotations

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..exceptions import ConfigurationError
from ..robots import Robot
from ..types import Array


def initial_position(settings: PlantSettings, robot: Robot) -> Array:
    """Return the joint positions (n,) at reset; ConfigurationError if they lie outside of the limits."""
    given = settings.initial_position
    if not given:
        return robot.middle
    home: Array = per_joint(given, robot.n, "initial_position")
    outside = [
        name
        for name, q, low, high in zip(robot.joints, home, robot.position_lower, robot.position_upper, strict=True)
        if not low <= q <= high
    ]
    if outside:
        raise ConfigurationError(
            f"'initial_position' is outside the limits of {outside}: lower "
            f"{robot.position_lower.tolist()}, upper {robot.position_upper.tolist()}",
            key="initial_position",
            value=given,
        )
    return home
