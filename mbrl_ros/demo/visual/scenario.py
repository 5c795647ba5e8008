"""The visual scenario: one target in the image, a camera that is bumped, and a marker that is hidden for a while.

Times are seconds since the start. The arm holds still for `HOLD` seconds; then the marker is to come to a place in the
image of a camera whose pose is drawn by the seed and told to nobody. At `BUMP_AT` the camera is turned by BUMP_ANGLE
about an axis that is drawn, and moved by BUMP_WAY; the target stays the same. At `HIDDEN_FROM` the marker is hidden for
half a second. The marker is a plate on the tool. Drawn are poses and targets for which the camera sees its front all
the way when the joints move as little as they can.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...config.sections.references import ReferenceSettings
from ...config.sections.simulation import CameraSettings
from ...exceptions import ConfigurationError
from ...references.workspace import DRAWS, Workspace
from ...robots import Robot
from ...robots.pose_kinematics import PoseKinematics
from ...robots.rotation import exponential
from ...scenarios.proportions import Holding, Proportions
from ...scenarios.scenario import HOLD, TURNED, Scenario, Slot, further_time
from ...simulation.camera import CameraPose, project, random_pose
from ...types import Array

BUMP_AT, HIDDEN_FROM, SHOWN_FROM, VISUAL_END = 6.0, 9.0, 9.5, 11.0  # [s]
BUMP_ANGLE, BUMP_WAY = np.radians(10.0), 0.05  # [rad], [m]
MARKER_SHARE = 0.14  # of the cameras' mean distance: the marker's edge
MARKER_IN_FRONT = 0.6  # of that edge: how far it stands out from the tool
MARKER_UPWARD = 0.5  # [rad] of the marker's normal, above the horizontal
SEEN_WITHIN = np.radians(45.0)  # from its normal, at most
LEAST_WAY, MOST_WAY = 0.25, 0.7  # of the target from where the marker is [half image widths]
WAY_STEPS, VISUAL_TRIES = 20, 20  # of a way in the image; draws of a target, and of a bump
IMAGE_MIDDLE = 0.6  # [half image widths] from the middle: targets, and the marker after the bump


@dataclass(frozen=True, eq=False, slots=True)
class Marker:
    """A marker on link `body`: center (3,) [m] and roll, pitch, yaw (3,) [rad] in its frame; its edge [m]."""

    body: str
    center: Array
    rotation: Array
    size: float


@dataclass(frozen=True, eq=False, slots=True)
class VisualScenario(Scenario):
    """One slot of kind "features"; the camera's poses `before` and `after` the bump at `bump` [s]; `hidden` [s, s]."""

    before: CameraPose = field(kw_only=True)
    after: CameraPose = field(kw_only=True)
    marker: Marker = field(kw_only=True)
    bump: float = field(kw_only=True)
    hidden: tuple[float, float] = field(kw_only=True)


def build_visual_scenario(
    robot: Robot,
    q_start: Array,
    seed: int,
    *,
    camera: CameraSettings | None,
    reference: ReferenceSettings | None = None,
    payload_kg: float | None = None,
    duration: float | None = None,
) -> VisualScenario:
    """Build the visual scenario of a seed.

    Parameters
    ----------
    robot
        Whose limits the target respects.
    q_start
        Joint position (n,) at the start.
    seed
        Of camera and target.
    camera
        Its size and opening angle.
    reference
        Settings of the joint reference; None: the defaults.
    payload_kg, duration
        None: this scenario has no payload and takes as long as it takes.

    Raises
    ------
    ConfigurationError
        A payload or a duration is asked for, the controller does not go to places in the image, or no camera is found
        that sees the marker and a target for it.
    """
    _refuse(payload=payload_kg, duration=duration)
    if camera is None:
        raise ConfigurationError("only control.controller: mpc goes to a place in the image", key="scenario")
    usual, rng = Proportions(robot), np.random.default_rng(seed)
    marker = place_marker(robot, q_start, round(MARKER_SHARE * float(np.mean(usual.distances)), 2))
    carrying = with_tool_at(robot, marker)
    work = Workspace(carrying, Holding(carrying), rng)
    kinematics = PoseKinematics(carrying)
    for _ in range(DRAWS):
        here, turn = kinematics.pose(q_start)
        before = random_pose(rng, here, distance=usual.distances, settings=camera)
        if not _seen(before, here, turn) or not _moves_in_image(before, work, q_start):
            continue
        target = _target(work, kinematics, q_start, before, camera)
        after = None if target is None else _bumped(work, kinematics, before, camera, target)
        if target is not None and after is not None:
            more = further_time(robot, reference or ReferenceSettings())
            return _timed(seed, target[0], more, usual.tolerance, before=before, after=after, marker=marker)
    raise ConfigurationError("no camera sees the marker on the tool, and a target near it", key="camera")


def _refuse(**options: float | None) -> None:
    for what, given in options.items():
        if given is not None:
            raise ConfigurationError(f"the visual scenario has no --{what}: leave it out", key=what, value=given)


def _timed(seed: int, target: Array, more: float, tolerance: float, **drawn: Any) -> VisualScenario:
    """Return the scenario of what was drawn; a slow arm gets `more` time [s] for each of its three parts."""
    slot = Slot("features", HOLD, VISUAL_END + 3.0 * more, target)
    hidden = HIDDEN_FROM + 2.0 * more, SHOWN_FROM + 2.0 * more
    return VisualScenario(seed, slot.end, (slot,), 0.0, None, tolerance, bump=BUMP_AT + more, hidden=hidden, **drawn)


def place_marker(robot: Robot, q: Array, size: float) -> Marker:
    """Place a marker of edge `size` [m] in front of the tool at q (n,), facing away from the base and up a little."""
    kinematics = PoseKinematics(robot)
    tip, turn = kinematics.pose(q)
    link = turn @ robot.tip_rotation.T
    away = np.arctan2(tip[1], tip[0]) if np.hypot(tip[0], tip[1]) > 0.05 else 0.0
    out = np.array([np.cos(MARKER_UPWARD) * np.cos(away), np.cos(MARKER_UPWARD) * np.sin(away), np.sin(MARKER_UPWARD)])
    right = np.array([-np.sin(away), np.cos(away), 0.0])
    axes = link.T @ np.column_stack((right, np.cross(out, right), out))
    center = robot.tip_offset + MARKER_IN_FRONT * size * axes[:, 2]
    return Marker(robot.tip, np.round(center, 4), np.round(roll_pitch_yaw(axes), 6), size)


def roll_pitch_yaw(R: Array) -> Array:
    """Return angles (3,) [rad] about the fixed x, y and z axes, one after the other, that make R (3, 3)."""
    pitch = np.arctan2(-R[2, 0], np.hypot(R[0, 0], R[1, 0]))
    if np.hypot(R[0, 0], R[1, 0]) < 1e-9:  # looking along z: roll and yaw turn about the same axis
        return np.array([0.0, pitch, np.arctan2(-R[0, 1], R[1, 1])])
    return np.array([np.arctan2(R[2, 1], R[2, 2]), pitch, np.arctan2(R[1, 0], R[0, 0])])


def rotation_of(angles: Array) -> Array:
    """Return the rotation (3, 3) that `roll_pitch_yaw` is the inverse of."""
    x, y, z = np.eye(3)
    turned: Array = exponential(angles[2] * z) @ exponential(angles[1] * y) @ exponential(angles[0] * x)
    return turned


def with_tool_at(robot: Robot, marker: Marker) -> Robot:
    """Return the robot with the marker's frame for its tool's."""
    return replace(robot, tip_offset=marker.center, tip_rotation=rotation_of(marker.rotation))


def _seen(pose: CameraPose, center: Array, turn: Array) -> bool:
    """Return whether a camera sees the front of a marker at `center` (3,) with axes `turn` (3, 3), not too flat."""
    way = pose.position - center
    return float(way @ turn[:, 2]) >= np.cos(SEEN_WITHIN) * float(np.linalg.norm(way))


def image_jacobian(center: Array, J: Array, pose: CameraPose, camera: CameraSettings) -> Array:
    """Return G (2, n) = ds/dq [half image widths/rad] of a point at `center` (3,) [m] with J = dp/dq (3, n).

    ds = f / Z [1 0 -s_x/f; 0 1 -s_y/f] R^T J dq with Z the point's depth (Chaumette, Hutchinson, IEEE RAM 2006).
    """
    x, y, z = (center - pose.position) @ pose.rotation
    f = 1.0 / np.tan(np.radians(camera.field_of_view) / 2.0)
    z = max(z, 0.05)
    G: Array = f / z * np.array([[1.0, 0.0, -x / z], [0.0, 1.0, -y / z]]) @ pose.rotation.T @ J
    return G


def _moves_in_image(pose: CameraPose, work: Workspace, q: Array) -> bool:
    J = work.kinematics.jacobian(q) * work.robot.velocity_limit
    slowest, fastest = np.linalg.svd(pose.rotation[:, :2].T @ J, compute_uv=False)[[-1, 0]]
    return bool(slowest >= TURNED * fastest)


def _arrive(
    work: Workspace, kinematics: PoseKinematics, q: Array, pose: CameraPose, camera: CameraSettings, goal: Array
) -> Array | None:
    """Return the joints (n,) after the straight way in the image from q to `goal` (2,), by the least joint motion.

    None where the camera loses the marker on the way, or the arm cannot hold itself there.
    """
    W = work.robot.velocity_limit**2
    for left in range(WAY_STEPS, 0, -1):
        center, turn = kinematics.pose(q)
        s = project(center[None], pose, camera)[0][0]
        if not _seen(pose, center, turn):
            return None
        G = image_jacobian(center, work.kinematics.jacobian(q), pose, camera)
        q = q + W * (G.T @ np.linalg.lstsq(G * W @ G.T, (goal - s) / left, rcond=None)[0])
    center, turn = kinematics.pose(q)
    return q if _seen(pose, center, turn) and work.usable(q) else None


def _target(
    work: Workspace, kinematics: PoseKinematics, q: Array, pose: CameraPose, camera: CameraSettings
) -> tuple[Array, Array] | None:
    """Draw a place s (2,) to which the marker can be brought from q in sight, and the joints (n,) there; None: none."""
    here = project(kinematics.pose(q)[0][None], pose, camera)[0][0]
    for _ in range(VISUAL_TRIES):
        angle = work.rng.uniform(-np.pi, np.pi)
        s = here + work.rng.uniform(LEAST_WAY, MOST_WAY) * np.array([np.cos(angle), np.sin(angle)])
        if np.abs(s).max() < IMAGE_MIDDLE and (there := _arrive(work, kinematics, q, pose, camera, s)) is not None:
            return s, there
    return None


def _bumped(
    work: Workspace,
    kinematics: PoseKinematics,
    pose: CameraPose,
    camera: CameraSettings,
    target: tuple[Array, Array],
) -> CameraPose | None:
    """Turn and move the camera so that the marker can be brought back to its target in sight; None: none was drawn."""
    for _ in range(VISUAL_TRIES):
        axis, way = (v / np.linalg.norm(v) for v in work.rng.standard_normal((2, 3)))
        after = CameraPose(pose.position + BUMP_WAY * way, pose.rotation @ exponential(BUMP_ANGLE * axis))
        s = project(kinematics.pose(target[1])[0][None], after, camera)[0][0]
        inside = np.abs(s).max() < IMAGE_MIDDLE
        if inside and _arrive(work, kinematics, target[1], after, camera, target[0]) is not None:
            return after
    return None
