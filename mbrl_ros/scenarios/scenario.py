"""The scenario of points: end-effector targets, a payload, then image targets under cameras of unknown pose.

Times are seconds since the start. The arm first holds still for `HOLD` seconds; each end-effector target has a slot of
`SLOT` seconds in which the reference moves and then rests; the payload comes `PAYLOAD_AFTER` seconds into the slot of
the last target before it, while the arm rests. Before every image slot the arm returns to its last end-effector target;
then the camera jumps to a new pose, and the controller learns how the image moves and brings the marker to a place in
the image that some joint position reaches. A slow arm gets more time for both.

Targets are drawn from what the arm can reach and hold with the payload (references/workspace.py); the payload, the
tolerance and the cameras' distance are in proportion to the arm (proportions.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..collision.obstacles import Box
from ..config.sections.references import ReferenceSettings
from ..config.sections.simulation import CameraSettings
from ..exceptions import ConfigurationError
from ..references.segments import Waypoints
from ..references.trajectory import joint_reference
from ..references.workspace import DRAWS, Workspace
from ..robots import Robot
from ..simulation.camera import CameraPose, project, random_pose
from ..types import Array
from .proportions import TOLERANCE, Holding, Proportions, rounded_down

HOLD, SLOT, PAYLOAD_AFTER = 1.0, 3.5, 2.25
RETURN_SLOT, IMAGE_SLOT = 2.0, 5.0
BEFORE, AFTER, CAMERAS = 4, 2, 5
REST = 1.6  # [s] of its slot in which the reference of a target rests, at least
SWING = 1.2  # [rad or m] by which a joint is moved at most to draw the next target
STUCK = 400  # draws without a next target until all targets are drawn anew
EASY, AS_AT_START = 0.35, 0.8  # of the Jacobian's singular values, the least over the largest; of that at the start
TURNED = 0.1  # of the tip's largest speed in the image: the least one, in any direction
IMAGE_SWING, IMAGE_MOTION = 0.4, 2.0  # [rad or m] the same for an image target, and in this time [s]
RETURN_WAY, RETURN_REST = 0.9, 1.0  # [rad or m] by which an image target may have moved a joint; [s]


@dataclass(frozen=True, eq=False, slots=True)
class Slot:
    """One target, valid in [start, end) [s].

    Kinds: "point" or "return" (value p (3,) [m]), "pose" (value [p; x, y, z, w] (7,)), "joints" (value q (n,) [rad]) or
    "features" (value s (m,)), and "twist" (value [v; w] (6,) [m/s, rad/s]) and "velocities" (value qd (n,)) of streams
    (jog_scenario.py). In an image slot the camera is at `camera`, which only the simulation knows. A pose with
    a `path` is reached along these points of a joint trajectory, whose times count from the start of the slot.
    """

    kind: str
    start: float
    end: float
    value: Array
    camera: CameraPose | None = None
    path: Waypoints | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Scenario:
    """The slots in the order of time; payload_time [s] is None without a payload.

    An end-effector target is reached within `tolerance` [m]. obstacles: boxes around the arm; with_plan: whether a path
    around them is known from each target to the next.
    """

    seed: int
    duration: float
    slots: tuple[Slot, ...]
    payload_kg: float
    payload_time: float | None
    tolerance: float = TOLERANCE
    obstacles: tuple[Box, ...] = ()
    with_plan: bool = True

    def slots_of(self, kind: str) -> list[Slot]:
        """Return the slots of one kind."""
        return [slot for slot in self.slots if slot.kind == kind]


class Drawing(NamedTuple):
    """What the targets of a seed are drawn from: the arm's proportions, its load [kg], and its workspace with it."""

    usual: Proportions
    load: float
    work: Workspace


def drawing(robot: Robot, seed: int, payload_kg: float | None, duration: float | None, share: float = 1.0) -> Drawing:
    """Return what a scenario draws from; parameters and errors as of `build_scenario`.

    share: of the payload that is in proportion to the arm, rounded down.
    """
    for what, given in (("payload", payload_kg), ("duration", duration)):
        if given is not None and not 0.0 <= given < np.inf:
            raise ConfigurationError(f"the {what} must be a finite number of at least 0, got {given:g}", key=what)
    usual = Proportions(robot)
    load = rounded_down(share * usual.payload_kg) if payload_kg is None else payload_kg
    return Drawing(usual, load, Workspace(robot, Holding(robot, load), np.random.default_rng(seed)))


def checked_duration(duration: float | None, slot: float) -> None:
    """Raise ConfigurationError for a duration [s] without a slot of `slot` [s] before and one after the payload."""
    shortest = HOLD + 2 * slot
    if duration is not None and duration < shortest:
        raise ConfigurationError(
            f"the demo needs at least {shortest:g} s for one target before and one after the payload, got "
            f"{duration:g} s",
            key="duration",
            value=duration,
        )


def full_duration() -> float:
    """Return how long the whole scenario takes [s] for an arm that is not slow (further_time)."""
    return HOLD + SLOT * (BEFORE + AFTER) + (RETURN_SLOT + IMAGE_SLOT) * CAMERAS


def further_time(robot: Robot, settings: ReferenceSettings) -> float:
    """Return how much more time [s] than usual an arm gets for an image target, and for the way back from one.

    After that way it rests. A joint cannot have gone farther than a reference takes it within IMAGE_SLOT.
    """
    slowest = float((settings.velocity_fraction * robot.velocity_limit).min())
    return max(0.0, RETURN_REST + min(RETURN_WAY / slowest, IMAGE_SLOT) - RETURN_SLOT)


def build_scenario(
    robot: Robot,
    q_start: Array,
    seed: int,
    *,
    payload_kg: float | None = None,
    duration: float | None = None,
    reference: ReferenceSettings | None = None,
    camera: CameraSettings | None = None,
) -> Scenario:
    """Build the scenario of a seed.

    Parameters
    ----------
    robot
        Whose limits the targets respect.
    q_start
        Joint position (n,) at the start.
    seed
        Of targets and cameras.
    payload_kg
        Mass added to the hand; 0: none, None: in proportion to the arm.
    duration
        Longest duration [s]: whole slots only, at least one target before and after the payload; None: everything.
    reference
        Settings of the joint reference; None: the defaults.
    camera
        Camera that sees the end effector; None: no image targets.

    Raises
    ------
    ConfigurationError
        `payload_kg` or `duration` is negative or not finite, `duration` is too short, or the limits of the robot are
        too tight for the scenario.
    """
    usual, load, work = drawing(robot, seed, payload_kg, duration)
    settings = reference or ReferenceSettings()
    more = further_time(robot, settings)
    before, after, cameras = _slots_within(duration, more, camera is not None)
    points, q = _points(work, settings, q_start, before + after)
    slots = [Slot("point", HOLD + SLOT * i, HOLD + SLOT * (i + 1), p) for i, p in enumerate(points)]
    p, t = points[-1], slots[-1].end
    if camera is not None:
        for _ in range(cameras):
            pose = _camera_pose(work, q, usual.distances, camera)
            slots.append(Slot("return", t, t + RETURN_SLOT + more, p))
            t = slots[-1].end
            target = _image_target(work, settings, q, pose, camera)
            slots.append(Slot("features", t, t + IMAGE_SLOT + more, target, pose))
            t = slots[-1].end
    payload_time = HOLD + SLOT * (before - 1) + PAYLOAD_AFTER if load > 0.0 else None
    return Scenario(seed, t, tuple(slots), load, payload_time, usual.tolerance)


def _slots_within(duration: float | None, more: float, images: bool) -> tuple[int, int, int]:
    """Return how many targets before and after the payload, and how many cameras, fit into `duration` [s].

    `more` [s] as of further_time. None: all of them.
    """
    if duration is None:
        return BEFORE, AFTER, CAMERAS if images else 0
    checked_duration(duration, SLOT)
    points = min(BEFORE + AFTER, int((duration - HOLD) / SLOT + 1e-9))
    after = min(AFTER, max(1, points - BEFORE))
    cameras = int((duration - HOLD - SLOT * points) / (RETURN_SLOT + IMAGE_SLOT + 2.0 * more) + 1e-9) if images else 0
    return points - after, after, min(CAMERAS, cameras)


def _points(work: Workspace, settings: ReferenceSettings, q_start: Array, count: int) -> tuple[list[Array], Array]:
    """Draw `count` points (3,), one reachable from the other, and return them and q (n,) at the last.

    A point is where the tip is when every joint moves by at most SWING, and the reference reaches it with REST seconds
    of its slot left. At the last one, from which the arm goes to places in the image, the tip moves about as easily in
    every direction as at the start, or by EASY. A series that does not go on is drawn anew.
    """
    robot, seconds = work.robot, SLOT - REST
    reference = joint_reference(robot, settings, 0.01)
    swing = np.minimum(SWING, seconds * settings.velocity_fraction * robot.velocity_limit)
    needed = min(EASY, AS_AT_START * _ease(work, q_start))
    points: list[Array] = []
    q, tried = q_start, 0
    for _ in range(DRAWS):
        p = work.kinematics.position(
            np.clip(q + work.rng.uniform(-swing, swing), robot.position_lower, robot.position_upper)
        )
        there = work.go(q, p, reference, seconds) if work.clear(p) else None
        tried += 1
        if there is not None and (len(points) < count - 1 or _ease(work, there) >= needed):
            points.append(p)
            q, tried = there, 0
        elif tried == STUCK:
            points, q, tried = [], q_start, 0
        if len(points) == count:
            return points, q
    here = np.round(work.kinematics.position(q), 3).tolist()
    raise ConfigurationError(
        f"no target within {seconds:g} s of {here}: the robot's limits are too tight for this scenario"
        + (f" ({work.redrawn} draws need too much effort to hold: a smaller --payload)" if work.redrawn else ""),
        key="reference.velocity_fraction",
    )


def _ease(work: Workspace, q: Array) -> float:
    """Return how evenly the tip moves at q (n,): the least over the largest singular value of dp/dq."""
    values = np.linalg.svd(work.kinematics.jacobian(q), compute_uv=False)
    return float(values[-1] / values[0])


def _camera_pose(work: Workspace, q: Array, distances: tuple[float, float], camera: CameraSettings) -> CameraPose:
    """Draw the pose of a camera in whose image the arm at q (n,) can move its tip up and down as well as sideways.

    That is, in every direction of the image at least TURNED as fast as in the fastest. An arm that moves in a plane is
    not watched along it.
    """
    here, J = work.kinematics.position(q), work.kinematics.jacobian(q) * work.robot.velocity_limit
    for _ in range(DRAWS):
        pose = random_pose(work.rng, here, distance=distances, settings=camera)
        slowest, fastest = np.linalg.svd(pose.rotation[:, :2].T @ J, compute_uv=False)[[-1, 0]]
        if slowest >= TURNED * fastest:
            return pose
    raise ConfigurationError("no camera sees the arm move in every direction of its image", key="camera")


def _image_target(
    work: Workspace, settings: ReferenceSettings, q: Array, pose: CameraPose, camera: CameraSettings
) -> Array:
    """Draw a place (2,) in the image where the camera would see the tip after a small joint motion from q (n,).

    A quarter of half the image's width away or more; nearer where no such place is found.
    """
    robot = work.robot

    def image(q: Array) -> Array:
        return project(work.kinematics.position(q)[None], pose, camera)[0].ravel()

    here = image(q)
    swing = np.minimum(IMAGE_SWING, IMAGE_MOTION * settings.velocity_fraction * robot.velocity_limit)
    for i in range(DRAWS):
        there = np.clip(q + work.rng.uniform(-swing, swing, q.size), robot.position_lower, robot.position_upper)
        s, nearest = image(there), 0.25 / (1 + i // STUCK)
        if np.abs(s).max() < 0.6 and nearest < np.linalg.norm(s - here) < 0.7 and work.usable(there):
            return s
    raise ConfigurationError("the camera sees no target near the arm", key="camera")
