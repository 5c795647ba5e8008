"""Compute the numbers of the pose targets of a run from what the plant and the controller recorded.

The error of a pose is the distance [m] of the true end effector to it, and the angle [rad] of the rotation from the
true orientation of the tool to it; at rest, the median over the last `REST_WINDOW` seconds of its slot. The posture
error is the largest distance of a joint from its reference, at any time of the slot, motion included; the speed ratio
is that of the fastest joint to the fastest reference, both over the joints' velocity limits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..robots import Robot
from ..robots.pose_kinematics import PoseKinematics
from ..robots.rotation import logarithm, matrix_of
from ..scenarios.scenario import Scenario, Slot
from ..types import Array
from .metrics import REST_WINDOW, Log, lasted


def pose_targets(scenario: Scenario, robot: Robot, truth: Log, control: Log) -> list[dict[str, Any]]:
    """Return the entries `poses` of summary.json; numbers are None where the run ended before."""
    kinematics = PoseKinematics(robot)
    return [_pose(slot, scenario, kinematics, robot, truth, control) for slot in scenario.slots_of("pose")]


def pose_error(slot: Slot, kinematics: PoseKinematics, q: Array) -> tuple[Array, Array]:
    """Return the distances (T,) [m] and angles (T,) [rad] of the tool at q (T, n) from the pose of a slot."""
    p, R = slot.value[:3], matrix_of(slot.value[3:])
    poses = [kinematics.pose(row) for row in q]
    angles = np.array([np.linalg.norm(logarithm(turned.T @ R)) for _, turned in poses])
    return np.array([np.linalg.norm(at - p) for at, _ in poses]), angles


def posture_error(stamps: Array, q: Array, control: Log) -> Array:
    """Return the largest distance (T,) [rad or m] of a joint of q (T, n) from its reference at `stamps` (T,) [s]."""
    reference = _at(stamps, control["stamp"], control["reference_q"])
    return np.asarray(np.abs(q - reference).max(axis=1))


def _at(stamps: Array, known: Array, values: Array) -> Array:
    """Return the columns of `values` (K, n), given at the stamps `known` (K,), linearly in between, at `stamps`."""
    return np.stack([np.interp(stamps, known, column) for column in values.T], axis=1)


def _pose(
    slot: Slot, scenario: Scenario, kinematics: PoseKinematics, robot: Robot, truth: Log, control: Log
) -> dict[str, Any]:
    load = scenario.payload_time
    end = load if load is not None and slot.start < load < slot.end else slot.end
    loaded = load is not None and slot.start >= load
    entry: dict[str, Any] = {"start_s": slot.start, "payload_kg": scenario.payload_kg if loaded else 0.0}
    if not lasted(end, truth):
        return {**entry, "rest_mm": None, "rest_deg": None, "posture_rad": None, "speed_ratio": None}
    during = (truth["stamp"] >= slot.start) & (truth["stamp"] < end)
    stamps, q = truth["stamp"][during], truth["q"][during]
    resting = stamps >= stamps[-1] - REST_WINDOW
    distance, angle = pose_error(slot, kinematics, q[resting])
    wanted = np.diff(_at(stamps, control["stamp"], control["reference_q"]), axis=0) / np.diff(stamps)[:, None]
    fastest = float((np.abs(truth["qd"][during]) / robot.velocity_limit).max())
    asked = float((np.abs(wanted) / robot.velocity_limit).max())
    return {
        **entry,
        "rest_mm": 1e3 * float(np.median(distance)),
        "rest_deg": float(np.degrees(np.median(angle))),
        "posture_rad": float(posture_error(stamps, q, control).max()),
        "speed_ratio": fastest / asked if asked > 0.0 else None,
    }
