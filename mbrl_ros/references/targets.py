"""Targets: where to go, checked against the robot before anything moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..config.sections.references import ReferenceSettings
from ..exceptions import TargetError
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..types import Array, JointVector, checked

LONGEST_TRAJECTORY = 500  # points of a trajectory


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """Where to go.

    kind "joints": value q (n,) [rad or m]; "point": value p (3,) [m] in the base frame, q (n,) a pose that reaches it;
    "features": value s (m,) in image coordinates. stamp [s]: from when on it holds. path: joint positions to pass on
    the way, (times (T,) [s] after the stamp, Q (T, n)).
    """

    kind: str
    value: Array
    stamp: float = 0.0
    q: JointVector | None = None
    path: tuple[Array, Array] | None = None


def joint_target(robot: Robot, q: ArrayLike, stamp: float = 0.0) -> Target:
    """Make a target for every joint; TargetError if it lies outside the limits."""
    q = checked("joint target", q, (len(robot.joints),))
    for name, value, low, high in zip(robot.joints, q, robot.position_lower, robot.position_upper, strict=True):
        if not low <= value <= high:  # a NaN fails too
            raise TargetError(f"joint target of '{name}' must lie in [{low:.4f}, {high:.4f}], got {value:.4f}")
    return Target("joints", q, stamp, q)


def point_target(
    kinematics: Kinematics, p: ArrayLike, seed: JointVector, settings: ReferenceSettings, stamp: float = 0.0
) -> Target:
    """Make a target for the end-effector point [m, base frame].

    The pose that reaches it is searched from `seed` (n,); TargetError if there is none within the limits.
    """
    p = checked("point target", p, (3,))
    if not np.isfinite(p).all():
        raise TargetError(f"point target must be finite, got {p.tolist()}")
    q, distance = kinematics.inverse(p, seed)
    if distance > settings.reach_tolerance:
        raise TargetError(
            f"point target {np.round(p, 4).tolist()} is out of reach: the nearest pose found within the "
            f"joint limits misses it by {1e3 * distance:.1f} mm (reference.reach_tolerance = "
            f"{1e3 * settings.reach_tolerance:g} mm)"
        )
    return Target("point", p, stamp, q)


def feature_target(m: int, s: ArrayLike, stamp: float = 0.0) -> Target:
    """Make a target for the features, in image coordinates; TargetError if it lies outside the image."""
    s = checked("feature target", s, (m,))
    if not np.isfinite(s).all() or np.abs(s).max(initial=0.0) > 1.0:
        raise TargetError(f"feature target must lie in the image, [-1, 1], got {s.tolist()}")
    return Target("features", s, stamp)


def trajectory_target(robot: Robot, times: ArrayLike, Q: ArrayLike, stamp: float = 0.0) -> Target:
    """Make a target of joint positions Q (T, n) to pass `times` (T,) [s] after `stamp`, then to rest.

    It begins wherever the reference is then, which takes the place of a point at time 0. TargetError if it is malformed
    or outside the limits.
    """
    Q = checked("trajectory target", Q, (None, len(robot.joints)))
    times = checked("times of a trajectory target", times, (len(Q),))
    if not 0 < len(Q) <= LONGEST_TRAJECTORY:
        raise TargetError(f"a trajectory must have 1 to {LONGEST_TRAJECTORY} points, got {len(Q)}")
    if not (np.isfinite(times).all() and times[0] >= 0.0 and times[-1] > 0.0 and (np.diff(times) > 0.0).all()):
        raise TargetError("the times of a trajectory must be finite, rise, and end after 0")
    for q in Q:
        joint_target(robot, q)
    keep = times > 0.0
    return Target("joints", Q[-1], stamp, Q[-1], (times[keep], Q[keep]))
