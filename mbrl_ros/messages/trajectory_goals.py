"""From goals of control_msgs/FollowJointTrajectory to values.

Of a tolerance 0 means the default, -1 none, as their messages say. What cannot be kept is refused and not passed over:
tolerances of accelerations, which are not measured, of joints that the robot does not have, and multi-DOF trajectories.
"""

from __future__ import annotations

import math

import numpy as np

from ..config.sections.action import ActionSettings
from ..exceptions import TargetError, nearest
from ..references.trajectory_goal import Tolerances, TrajectoryGoal
from ..robots import Robot
from .joint_order import JointOrder
from .readers import Message, seconds
from .targets import read_trajectory_target

AS_DEFAULT, NO_LIMIT = 0.0, -1.0  # what a tolerance may be besides a positive number


def read_trajectory_goal(message: Message, order: JointOrder, robot: Robot, settings: ActionSettings) -> TrajectoryGoal:
    """Return the goal of a FollowJointTrajectory.Goal; TargetError if it is malformed or cannot be kept."""
    if message.multi_dof_trajectory.points or message.multi_dof_trajectory.joint_names:
        raise TargetError("goal: multi_dof_trajectory is not supported; leave it empty")
    if message.component_path_tolerance or message.component_goal_tolerance:
        raise TargetError("goal: tolerances of components belong to multi_dof_trajectory; leave them empty")
    points = read_trajectory_target(message.trajectory, order)
    path = Tolerances.of(robot, settings.path_tolerance or math.inf, math.inf)
    goal = Tolerances.of(robot, settings.goal_tolerance, settings.stopped_velocity)
    _override(path, message.path_tolerance, robot, "path_tolerance")
    _override(goal, message.goal_tolerance, robot, "goal_tolerance")
    time = seconds(message.goal_time_tolerance)
    if time < 0.0 and time != NO_LIMIT:
        raise TargetError(f"goal: goal_time_tolerance must be positive, 0 (the default) or -1 (none), got {time:g} s")
    return TrajectoryGoal(
        points,
        seconds(message.trajectory.header.stamp),
        path,
        goal,
        {AS_DEFAULT: None, NO_LIMIT: math.inf}.get(time, time),
        settings.goal_time or math.inf,
    )


def _override(tolerances: Tolerances, given: list[Message], robot: Robot, field: str) -> None:
    """Let the tolerances `given` in a `field` of a goal take the place of the defaults."""
    seen: set[str] = set()
    for tolerance in given:
        name = tolerance.name
        if name not in robot.joints:
            hint = nearest(name, robot.joints)
            raise TargetError(f"goal: {field} names '{name}', which is no controlled joint; did you mean '{hint}'?")
        if name in seen:
            raise TargetError(f"goal: {field} names '{name}' twice")
        seen.add(name)
        j = robot.joints.index(name)
        for what, values in (("position", tolerances.position), ("velocity", tolerances.velocity)):
            values[j] = _read(float(getattr(tolerance, what)), values[j], f"goal: {field}: the {what} of '{name}'")
        if tolerance.acceleration not in (AS_DEFAULT, NO_LIMIT):
            raise TargetError(
                f"goal: {field}: the acceleration of '{name}' cannot be kept within {tolerance.acceleration:g}: it is "
                "not measured; leave it 0 or -1"
            )


def _read(value: float, default: float, what: str) -> float:
    if value == AS_DEFAULT:
        return default
    if value == NO_LIMIT:
        return np.inf
    if not 0.0 < value < np.inf:
        raise TargetError(f"{what} must be positive, 0 (the default) or -1 (none), got {value:g}")
    return value
