"""Settings of what is told of targets and of goals of the action server: when one is reached, and when missed."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class ActionSettings(Section):
    """The tolerances of targets, and of goals of ~/follow_joint_trajectory that carry 0 for one, or none."""

    goal_tolerance: float = setting(
        0.01,
        "how far each joint may be from its target, or from the last point of its trajectory, for it to be reached, "
        "unless a goal says it",
        unit="rad or m",
        low=1e-6,
        dynamic=True,
    )
    stopped_velocity: float = setting(
        0.05, "how fast each joint may be there, unless a goal says it", unit="rad/s or m/s", low=1e-4, dynamic=True
    )
    path_tolerance: float = setting(
        0.0,
        "how far each joint may be from its trajectory on the way, or the goal is aborted, unless the goal says it; 0: "
        "anywhere",
        unit="rad or m",
        low=0.0,
        dynamic=True,
    )
    goal_time: float = setting(
        5.0,
        "for how long after the end of the motion the arm may be outside the tolerances before a goal is aborted, "
        "unless it carries goal_time_tolerance, and a target is said to be missed; 0: without end",
        unit="s",
        low=0.0,
        dynamic=True,
    )
    point_tolerance: float = setting(
        0.002,
        "how far the end effector may be from the target of a point or pose for it to be reached",
        unit="m",
        low=1e-6,
        dynamic=True,
    )
    angle_tolerance: float = setting(
        0.01,
        "how far the tool may be turned from the target's orientation, about the axes that count",
        unit="rad",
        low=1e-6,
        dynamic=True,
    )
