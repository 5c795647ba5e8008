"""The demo's scenario: end-effector targets, a payload, then image targets under cameras of unknown pose.

Times are seconds since the start. The arm first holds still for `HOLD` seconds; each end-effector target has a slot of
`SLOT` seconds in which the reference moves and then rests; the payload comes `PAYLOAD_AFTER` seconds into the slot of
the last target before it, while the arm rests. Before every image slot the arm returns to its last end-effector target;
then the camera jumps to a new pose, and the controller learns how the image moves and brings the marker to a place in
the image that some joint position reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config.sections.references import ReferenceSettings
from ..config.sections.simulation import CameraSettings
from ..exceptions import ConfigurationError
from ..references.trajectory import SmoothReference, joint_reference
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..simulation.camera import CameraPose, project, random_pose
from ..types import Array

HOLD, SLOT, PAYLOAD_AFTER = 1.0, 3.5, 2.25
RETURN_SLOT, IMAGE_SLOT = 2.0, 5.0
BEFORE, AFTER, CAMERAS = 4, 2, 5
# End-effector targets are drawn from this box in front of the arm [m, base frame].
WORKSPACE = np.array([[0.32, -0.35, 0.25], [0.58, 0.35, 0.65]])
REST = 1.6  # [s] of its slot in which the reference of a target rests, at least


@dataclass(frozen=True, eq=False, slots=True)
class Slot:
    """One target, valid in [start, end) [s].

    Kinds: "point" or "return" (value p (3,) [m]), "joints" (value q (n,) [rad]) or "features" (value s (m,)). In an
    image slot the camera is at `camera`, which only the simulation knows.
    """

    kind: str
    start: float
    end: float
    value: Array
    camera: CameraPose | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Scenario:
    """The slots in the order of time; payload_time [s] is None without a payload."""

    seed: int
    duration: float
    slots: tuple[Slot, ...]
    payload_kg: float
    payload_time: float | None

    def slots_of(self, kind: str) -> list[Slot]:
        """Return the slots of one kind."""
        return [slot for slot in self.slots if slot.kind == kind]


def full_duration() -> float:
    """Return how long the whole scenario takes [s]."""
    return HOLD + SLOT * (BEFORE + AFTER) + (RETURN_SLOT + IMAGE_SLOT) * CAMERAS


def build_scenario(
    robot: Robot,
    q_start: Array,
    seed: int,
    *,
    payload_kg: float = 1.5,
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
        Mass added to the hand; 0: none.
    duration
        Longest duration [s]: whole slots only, at least one target before and after the payload; None: everything.
    reference
        Settings of the joint reference; None: the defaults.
    camera
        Camera that sees the end effector; None: no image targets.

    Raises
    ------
    ConfigurationError
        `duration` is too short, or the limits of the robot are too tight for the scenario.
    """
    rng = np.random.default_rng(seed)
    before, after, cameras = _slots_within(full_duration() if duration is None else duration, camera is not None)
    kinematics = Kinematics(robot)
    smooth = joint_reference(robot, reference or ReferenceSettings(), 0.01)
    slots, q, t = [], q_start, HOLD
    for _ in range(before + after):
        p, q = _reachable_point(kinematics, smooth, q, rng, SLOT - REST)
        slots.append(Slot("point", t, t + SLOT, p))
        t += SLOT
    if camera is not None:
        for _ in range(cameras):
            pose = random_pose(rng, kinematics.position(q), settings=camera)
            slots.append(Slot("return", t, t + RETURN_SLOT, p))
            t += RETURN_SLOT
            slots.append(
                Slot("features", t, t + IMAGE_SLOT, _image_target(kinematics, robot, q, rng, pose, camera), pose)
            )
            t += IMAGE_SLOT
    payload_time = HOLD + SLOT * (before - 1) + PAYLOAD_AFTER if payload_kg > 0.0 else None
    return Scenario(seed, t, tuple(slots), payload_kg, payload_time)


def _slots_within(duration: float, images: bool) -> tuple[int, int, int]:
    """Return how many targets before and after the payload, and how many cameras, fit into `duration` [s]."""
    shortest = HOLD + 2 * SLOT
    if duration < shortest:
        raise ConfigurationError(
            f"the demo needs at least {shortest:g} s for one target before and one after the "
            f"payload, got {duration:g} s",
            key="duration",
            value=duration,
        )
    points = min(BEFORE + AFTER, int((duration - HOLD) / SLOT + 1e-9))
    after = min(AFTER, max(1, points - BEFORE))
    cameras = int((duration - HOLD - SLOT * points) / (RETURN_SLOT + IMAGE_SLOT) + 1e-9) if images else 0
    return points - after, after, min(CAMERAS, cameras)


def _reachable_point(
    kinematics: Kinematics, reference: SmoothReference, q_from: Array, rng: np.random.Generator, seconds: float
) -> tuple[Array, Array]:
    """Draw a point (3,) at least 10 cm away, and its q (n,), whose reference takes at most `seconds`."""
    here = kinematics.position(q_from)
    for _ in range(1000):
        p = rng.uniform(*WORKSPACE)
        if np.linalg.norm(p - here) < 0.1:
            continue
        q, distance = kinematics.inverse(p, q_from, restarts=0)
        if distance > 1e-5:
            continue
        reference.reset(q_from, 0.0)
        reference.go_to(q, 0.0)
        if reference.end <= seconds:
            return p, q
    raise ConfigurationError(
        f"no target within {seconds:g} s of {np.round(here, 3).tolist()}: the robot's limits are too "
        "tight for this scenario",
        key="reference.velocity_fraction",
    )


def _image_target(
    kinematics: Kinematics, robot: Robot, q: Array, rng: np.random.Generator, pose: CameraPose, camera: CameraSettings
) -> Array:
    """Draw a place (2,) in the image where the camera would see the tip after a small joint motion from q (n,)."""

    def image(q: Array) -> Array:
        return project(kinematics.position(q)[None], pose, camera)[0].ravel()

    here = image(q)
    for _ in range(1000):
        s = image(np.clip(q + rng.uniform(-0.4, 0.4, q.size), robot.position_lower, robot.position_upper))
        if np.abs(s).max() < 0.6 and 0.25 < np.linalg.norm(s - here) < 0.7:
            return s
    raise ConfigurationError("the camera sees no target near the arm", key="camera")
