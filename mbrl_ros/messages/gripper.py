"""The commands of a gripper, which go beside the arm's: read, kept within the joints' limits, counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from ..exceptions import ConfigurationError, DataError, nearest
from ..robots import Robot, urdf
from ..types import Array


class GripperReader:
    """Positions (k,) [rad or m] of the joints `names` of the robot's description.

    Attributes
    ----------
    passed, limited, refused : how many commands went on, how many of those were outside of the limits, and how many did
        not
    last : the last one that went on (k,), None before

    Raises
    ------
    ConfigurationError
        A joint is not in the description, cannot move by itself, has no range, or is one of the arm's.
    """

    def __init__(self, robot: Robot, names: Sequence[str]):
        self.names, self.last = tuple(names), cast("Array | None", None)
        self.passed = self.limited = self.refused = 0
        ranges = np.array([_range(robot, name) for name in self.names]).reshape(-1, 2)
        if len(set(self.names)) != len(self.names):
            raise ConfigurationError(f"'gripper_joints' names a joint twice: {list(self.names)}", key="gripper_joints")
        self.lower, self.upper = ranges.T

    def read(self, data: Sequence[float]) -> Array:
        """Return the positions within their limits; DataError for what is no command of this gripper."""
        positions = np.array(data, dtype=float)
        if positions.shape != self.lower.shape:
            raise DataError(f"{positions.size} positions for the gripper's {len(self.names)} joints {list(self.names)}")
        if not np.isfinite(positions).all():
            raise DataError(f"a position that is not finite: {positions.tolist()}")
        inside: Array = np.clip(positions, self.lower, self.upper)
        self.limited += bool((inside != positions).any())
        self.passed, self.last = self.passed + 1, inside
        return inside


def _range(robot: Robot, name: str) -> tuple[float, float]:
    joints = {joint.name: joint for joint in urdf.parse(robot.urdf).joints}
    movable = [joint.name for joint in joints.values() if joint.movable and joint.name not in robot.joints]
    if name not in movable:
        why = {
            name in robot.joints: "is one of the arm's, which this node commands",
            name not in joints: "is not in the robot description",
        }.get(True, "does not move, or follows another one")
        hint = f"; did you mean '{nearest(name, movable)}'?" if movable else ""
        raise ConfigurationError(f"'gripper_joints': '{name}' {why}{hint}", key="gripper_joints", value=name)
    limit = joints[name].limit
    lower, upper = limit.get("lower", 0.0), limit.get("upper", 0.0)
    if joints[name].kind == "continuous" or not (np.isfinite([lower, upper]).all() and lower < upper):
        raise ConfigurationError(
            f"'gripper_joints': '{name}' has no range; write lower and upper into its <limit>",
            key="gripper_joints",
            value=name,
        )
    return lower, upper
