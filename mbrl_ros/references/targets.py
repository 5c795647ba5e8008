"""Targets: where to go, checked against the robot before anything moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..config.sections.references import ReferenceSettings
from ..exceptions import TargetError
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..robots.pose_kinematics import PoseKinematics
from ..robots.rotation import matrix_of, quaternion_of
from ..types import Array, JointVector, checked
from .segments import CLOSEST_POINTS, Piecewise, Waypoints, polynomials
from .tracking import check_range

LONGEST_TRAJECTORY = 500  # points of a trajectory
RESTING = 1e-6  # a velocity this small at the last point is rest [rad/s or m/s]
TURN = 2.0 * np.pi  # [rad]
UNIT = 1e-3  # by which the norm of a quaternion may differ from 1, rounded as messages are
FARTHEST = 1e4  # of a joint without limits [rad]


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """Where to go.

    kind "joints": value q (n,) [rad or m]; "point": value p (3,) [m] in the base frame, q (n,) a posture that reaches
    it; "pose": value [p; x, y, z, w] (7,) with the unit quaternion of the tool in the base frame, q (n,) likewise;
    "features": value s (m,) in image coordinates; "twist": value [v; w] (6,) [m/s, rad/s] of the tool in the axes of
    the link `frame`; "velocities": value qd (n,) [rad/s or m/s]. stamp [s]: from when on it holds. path: points of a
    trajectory to pass on the way, with times after the stamp. asked: whether somebody sent it; the arm's own are where
    it rests.
    """

    kind: str
    value: Array
    stamp: float = 0.0
    q: JointVector | None = None
    path: Waypoints | None = None
    asked: bool = True
    frame: str = ""


def joint_target(robot: Robot, q: ArrayLike, stamp: float = 0.0) -> Target:
    """Make a target for every joint; TargetError if it lies outside the limits."""
    q = checked("joint target", q, (len(robot.joints),))
    lower, upper = np.maximum(robot.position_lower, -FARTHEST), np.minimum(robot.position_upper, FARTHEST)
    for name, value, low, high in zip(robot.joints, q, lower, upper, strict=True):
        if not low <= value <= high:  # a NaN fails too
            raise TargetError(f"joint target of '{name}' must lie in [{low:.4f}, {high:.4f}], got {value:.6g}")
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
        nearest = np.round(kinematics.position(q), 4).tolist()
        raise TargetError(
            f"point target {np.round(p, 4).tolist()} is out of reach: the nearest point found within the joint limits, "
            f"{nearest} in the base frame, misses it by {1e3 * distance:.1f} mm (reference.reach_tolerance = "
            f"{1e3 * settings.reach_tolerance:g} mm)",
            kind="out of reach",
        )
    return Target("point", p, stamp, q)


def pose_target(
    kinematics: PoseKinematics, pose: ArrayLike, seed: JointVector, settings: ReferenceSettings, stamp: float = 0.0
) -> Target:
    """Make a target for the tool's pose [p; x, y, z, w] (7,) [m, base frame].

    The posture that reaches it is searched from `seed` (n,); TargetError if there is none within the limits, or if the
    quaternion is not one of a rotation.
    """
    pose = checked_pose(pose)
    R = matrix_of(pose[3:])
    q, distance, angle = kinematics.inverse_pose(pose[:3], R, seed, stop_distance=settings.stop_distance)
    if distance > settings.reach_tolerance or angle > settings.reach_angle:
        q = kinematics.nearest(pose[:3], R, q)
        distance, angle = kinematics.missed(pose[:3], R, q)
    if distance > settings.reach_tolerance or angle > settings.reach_angle:
        at, turned = kinematics.pose(q)
        nearest = np.round(np.concatenate((at, quaternion_of(turned))), 4).tolist()
        raise TargetError(
            f"pose target {np.round(pose, 4).tolist()} is out of reach: the nearest one found within the joint limits, "
            f"{nearest} in the base frame, misses it by {1e3 * distance:.1f} mm and {np.degrees(angle):.2f} degrees "
            f"(reference.reach_tolerance = {1e3 * settings.reach_tolerance:g} mm, reference.reach_angle = "
            f"{np.degrees(settings.reach_angle):.2f} degrees); reference.rotation_weights frees rotations",
            kind="out of reach",
        )
    return Target("pose", pose, stamp, q)


def checked_pose(pose: ArrayLike) -> Array:
    """Return [p; x, y, z, w] (7,) with a unit quaternion; TargetError if it is none."""
    pose = checked("pose target", pose, (7,))
    if not np.isfinite(pose).all():
        raise TargetError(f"pose target must be finite, got {pose.tolist()}")
    length = float(np.linalg.norm(pose[3:]))
    if abs(length - 1.0) > UNIT:
        what = "zero" if length < UNIT else f"not a unit quaternion: its norm is {length:.4g}"
        raise TargetError(f"pose target: the orientation (x, y, z, w) = {pose[3:].tolist()} is {what}")
    return np.concatenate((pose[:3], pose[3:] / length))


def feature_target(m: int, s: ArrayLike, stamp: float = 0.0) -> Target:
    """Make a target for the features, in image coordinates; TargetError if it lies outside the image."""
    if not m:
        raise TargetError("a feature target needs features: set features.points to the number of points")
    s = checked("feature target", s, (m,))
    if not np.isfinite(s).all() or np.abs(s).max(initial=0.0) > 1.0:
        raise TargetError(f"feature target must lie in the image, [-1, 1], got {s.tolist()}")
    return Target("features", s, stamp)


def trajectory_target(robot: Robot, points: Waypoints, stamp: float = 0.0) -> Target:
    """Make a target of points to pass, then to rest.

    It begins wherever the reference is then, which takes the place of a point at time 0. As in
    joint_trajectory_controller, velocities at the last point must be zero.

    Raises
    ------
    TargetError
        It is malformed, or a position at a point or between two points lies outside the limits.
    """
    times, Q = points.times, checked("trajectory target", points.Q, (None, len(robot.joints)))
    if not 0 < len(Q) <= LONGEST_TRAJECTORY:
        raise TargetError(f"a trajectory must have 1 to {LONGEST_TRAJECTORY} points, got {len(Q)}")
    if not (np.isfinite(times).all() and times[0] >= 0.0 and times[-1] > 0.0 and (np.diff(times) > 0.0).all()):
        raise TargetError("the times of a trajectory must be finite, rise, and end after 0")
    gaps = np.diff(times, prepend=0.0 if times[0] > 0.0 else -1.0)
    if gaps.min() < CLOSEST_POINTS:
        raise TargetError(
            f"the times of a trajectory must rise by at least {1e3 * CLOSEST_POINTS:g} ms, but point "
            f"{int(gaps.argmin())} comes {1e3 * gaps.min():.3g} ms after what is before it"
        )
    for name, values in (("velocities", points.V), ("accelerations", points.A)):
        partly = np.isfinite(values).any(axis=1) & ~np.isfinite(values).all(axis=1) | np.isinf(values).any(axis=1)
        if partly.any():
            raise TargetError(f"trajectory: the {name} of point {int(partly.argmax())} are not finite")
    for q in Q:
        joint_target(robot, q)
    ending = np.abs(np.nan_to_num(points.V[-1]))
    if ending.max() > RESTING:
        raise TargetError(
            f"trajectory: '{robot.joints[int(ending.argmax())]}' must rest at the last point, but its velocity there "
            f"is {ending.max():.4g}"
        )
    if len(Q) > 1:
        C, _ = polynomials(points)
        motion = Piecewise(C, np.diff(times))
        check_range(motion, robot, since=float(times[0]))
    return Target("joints", Q[-1], stamp, Q[-1], points)


def check_time(stamp: float, now: float, settings: ReferenceSettings, end: float | None = None) -> None:
    """Raise TargetError for a target whose `stamp` [s] (0: now) is too far from `now` [s].

    `end` [s] is when a trajectory ends: it may have begun long ago, and is refused once it has ended.
    """
    if stamp == 0.0:
        return
    ahead = stamp - now
    if ahead > settings.latest_target:
        raise TargetError(
            f"it is stamped {ahead:.3f} s in the future, more than {settings.latest_target:g} s "
            "(reference.latest_target)",
            kind="in the future",
        )
    if end is not None:
        if end <= now:
            raise TargetError(f"the trajectory ended {now - end:.3f} s ago, by its stamp", kind="over")
    elif -ahead > settings.oldest_target:
        raise TargetError(
            f"it is stamped {-ahead:.3f} s ago, more than {settings.oldest_target:g} s (reference.oldest_target)",
            kind="too old",
        )


def shortest_turns(robot: Robot, q: Array, start: Array) -> Array:
    """Return whole turns (n,) [rad] that bring q (n,) nearest to `start` (n,), 0 for joints that have stops.

    With position commands they must be able to reach the sum: turns that would lead outside their range are left out.
    """
    turns = np.where(robot.bounded, 0.0, TURN * np.round((start - q) / TURN))
    if robot.interface == "position":
        least, most = np.ceil((robot.command_lower - q) / TURN), np.floor((robot.command_upper - q) / TURN)
        turns = np.where(robot.bounded, 0.0, np.clip(turns, TURN * least, TURN * most))
    return turns
