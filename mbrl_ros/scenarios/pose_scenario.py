"""The demo's scenario of poses: position and orientation of the tool, half of the targets with a payload.

The arm first holds still for `HOLD` seconds; each pose has a slot of `POSE_SLOT` seconds in which the reference moves
and then rests; the payload comes `POSE_LOADED_AFTER` seconds into the slot of the last pose before it, while the arm
rests. From one pose to the next the tool turns by up to LARGEST_TURN about an axis that is drawn. Poses are drawn from
what the arm can reach and hold with the payload (references/workspace.py).
"""

from __future__ import annotations

import numpy as np

from ..config.sections.references import ReferenceSettings
from ..exceptions import ConfigurationError
from ..references.trajectory import SmoothReference, joint_reference
from ..references.workspace import DRAWS, Workspace
from ..robots import Robot
from ..robots.pose_kinematics import PoseKinematics
from ..robots.rotation import exponential, quaternion_of
from ..types import Array
from .scenario import HOLD, REST, STUCK, SWING, Scenario, Slot, checked_duration, drawing

POSE_COUNT, POSES_BEFORE = 6, 3  # in all, and before the payload comes
POSE_SLOT, POSE_LOADED_AFTER = 5.0, 3.75
SMALLEST_TURN, LARGEST_TURN = 0.5, 2.5  # [rad] of the tool from one pose to the next
POSE_JOINTS = 6  # that a pose needs at least
POSE_CLOSE = 1e-5  # [m], [rad]: a posture misses a pose that is drawn by no more


def build_pose_scenario(
    robot: Robot,
    q_start: Array,
    seed: int,
    *,
    payload_kg: float | None = None,
    duration: float | None = None,
    reference: ReferenceSettings | None = None,
) -> Scenario:
    """Build the scenario of poses of a seed; parameters and errors as of scenario.build_scenario."""
    check_joints(robot)
    usual, load, work = drawing(robot, seed, payload_kg, duration)
    count = _poses_within(duration)
    poses = _poses(work, reference or ReferenceSettings(), q_start, count)
    slots = tuple(Slot("pose", HOLD + POSE_SLOT * i, HOLD + POSE_SLOT * (i + 1), pose) for i, pose in enumerate(poses))
    loaded = HOLD + POSE_SLOT * (min(POSES_BEFORE, count - 1) - 1) + POSE_LOADED_AFTER if load > 0.0 else None
    return Scenario(seed, slots[-1].end, slots, load, loaded, usual.tolerance)


def check_joints(robot: Robot) -> None:
    """Raise ConfigurationError for a robot with too few joints for any pose of its tool."""
    if robot.n < POSE_JOINTS:
        raise ConfigurationError(
            f"{robot.n} joints are too few for any pose of the tool: it takes {POSE_JOINTS}", key="scenario"
        )


def _poses_within(duration: float | None) -> int:
    """Return how many poses fit into `duration` [s]; None: all of them."""
    checked_duration(duration, POSE_SLOT)
    return POSE_COUNT if duration is None else min(POSE_COUNT, int((duration - HOLD) / POSE_SLOT + 1e-9))


def _poses(work: Workspace, settings: ReferenceSettings, q_start: Array, count: int) -> list[Array]:
    """Draw `count` poses (7,), one reachable from the other with REST seconds of its slot left.

    A pose is where the tip is when every joint moves by at most SWING, with the tool turned. A series that does not go
    on is drawn anew.
    """
    robot, seconds = work.robot, POSE_SLOT - REST
    kinematics, reference = PoseKinematics(robot), joint_reference(robot, settings, 0.01)
    swing = np.minimum(SWING, seconds * settings.velocity_fraction * robot.velocity_limit)
    poses: list[Array] = []
    q, tried = q_start, 0
    for _ in range(DRAWS):
        p = kinematics.position(
            np.clip(q + work.rng.uniform(-swing, swing), robot.position_lower, robot.position_upper)
        )
        axis = work.rng.standard_normal(3)
        turn = work.rng.uniform(SMALLEST_TURN, LARGEST_TURN) * axis / np.linalg.norm(axis)
        R = kinematics.pose(q)[1] @ exponential(turn)
        tried += 1
        there, distance, angle = kinematics.inverse_pose(p, R, q, restarts=0) if work.clear(p) else (q, np.inf, np.inf)
        if max(distance, angle) <= POSE_CLOSE and work.usable(there) and _lasts(reference, q, there) <= seconds:
            poses.append(np.concatenate((p, quaternion_of(R))))
            q, tried = there, 0
        elif tried == STUCK:
            poses, q, tried = [], q_start, 0
        if len(poses) == count:
            return poses
    raise ConfigurationError(
        f"no series of {count} poses was found, each within {seconds:g} s of the one before: the robot's limits are "
        "too tight for this scenario",
        key="reference.velocity_fraction",
    )


def _lasts(reference: SmoothReference, q: Array, there: Array) -> float:
    """Return how long [s] the reference takes from rest at q (n,) to rest at another posture (n,)."""
    reference.reset(q, 0.0)
    reference.go_to(there, 0.0)
    return float(reference.end)
