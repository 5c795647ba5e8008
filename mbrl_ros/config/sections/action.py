"""Settings of the action server of joint trajectories: what holds where a goal does not say it."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class ActionSettings(Section):
    """The tolerances of goals of ~/follow_joint_trajectory that carry 0 for one, or none."""

    goal_tolerance: float = setting(
        0.01,
        "how far each joint may be from the last point of its trajectory for a goal to have succeeded, unless the goal "
        "says it",
        unit="rad or m",
        low=1e-6,
        dynamic=True,
    )
    stopped_velocity: float = setting(
        0.05, "how fast each joint may be there, unless the goal says it", unit="rad/s or m/s", low=1e-4, dynamic=True
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
        "for how long after the end of the motion the arm may be outside the goal's tolerances before the goal is "
        "aborted, unless the goal carries goal_time_tolerance; 0: without end",
        unit="s",
        low=0.0,
        dynamic=True,
    )
