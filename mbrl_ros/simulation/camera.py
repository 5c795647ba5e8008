"""A pinhole camera that watches marks on the robot, from a pose that the controller does not know.

A point p in the root link's frame is c = R^T (p - t) in the camera's optical frame (x right, y down, z into the scene;
Hartley and Zisserman 2004, ch. 6), and its image is u = f c_x / c_z, v = f c_y / c_z with f = 1 / tan(fov / 2), fov the
horizontal opening angle. So u spans [-1, 1] over the image's width, and v, in the same unit of half a width,
[-height/width, height/width]: a step of 0.02 in either is one percent of the image's width.
"""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.sections.simulation import CameraSettings
from ..exceptions import ConfigurationError
from ..types import Array, FeatureFrame, checked

_SOON = 1e-9  # [s], forgives rounding when a due time falls on a tick


@dataclass(frozen=True, eq=False, slots=True)
class CameraPose:
    """Where the camera is, in the root link's frame.

    position: t (3,) [m]; rotation: R (3, 3), its columns right, down and into the scene.
    """

    position: Array
    rotation: Array

    def seen_from(self, position: Array, rotation: Array) -> CameraPose:
        """Return a pose that is in a frame at `position` (3,) [m] with `rotation` (3, 3), in the root link's frame."""
        return CameraPose(position + rotation @ self.position, rotation @ self.rotation)

    @classmethod
    def look_at(cls, position: Array, target: Array, roll: float = 0.0) -> CameraPose:
        """Stand at `position` (3,) [m], look at `target` (3,) [m]; `roll` [rad] turns the camera clockwise."""
        position, target = checked("position", position, (3,)), checked("target", target, (3,))
        forward = target - position
        if np.linalg.norm(forward) < 1e-9:
            raise ConfigurationError("a camera cannot look at the point it stands on", key="target", value=target)
        forward = forward / np.linalg.norm(forward)
        up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.999 else np.array([1.0, 0.0, 0.0])
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        c, s = math.cos(roll), math.sin(roll)
        return cls(position, np.column_stack((c * right + s * down, c * down - s * right, forward)))


def random_pose(
    rng: np.random.Generator,
    target: Array,
    *,
    distance: tuple[float, float] = (0.8, 1.5),
    settings: CameraSettings | None = None,
) -> CameraPose:
    """Draw a pose with a reasonable view of the workspace around `target` (3,) [m].

    It is on the side away from the robot's base, 10 to 50 degrees above the target, `distance` [m] (least and most)
    away, rolled by up to 10 degrees, and has the target within half the image's extent; `settings` None: the defaults.
    """
    settings = settings or CameraSettings()
    target = checked("target", target, (3,))
    away = math.atan2(target[1], target[0]) if np.hypot(target[0], target[1]) > 0.05 else rng.uniform(-math.pi, math.pi)
    azimuth, elevation = away + rng.uniform(-1.2, 1.2), math.radians(rng.uniform(10.0, 50.0))
    far = rng.uniform(*distance)
    position = target + far * np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )
    straight = CameraPose.look_at(position, target)
    extent = math.tan(math.radians(settings.field_of_view) / 2.0) * min(1.0, settings.height / settings.width)
    # Aiming beside the target by this much puts it off the image's centre, by less than half the way to the edge.
    aside = 0.3 * far * extent * rng.uniform(-1.0, 1.0, 2)
    roll = math.radians(rng.uniform(-10.0, 10.0))
    return CameraPose.look_at(position, target + straight.rotation[:, :2] @ aside, roll)


def project(points: Array, pose: CameraPose, settings: CameraSettings) -> tuple[Array, NDArray[np.bool_]]:
    """Return image coordinates (count, 2) of `points` (count, 3) [m], without noise, and whether each is visible.

    A point behind the camera has no image: its coordinates are (0, 0) and it is not visible.
    """
    in_camera = (checked("points", points, (None, 3)) - pose.position) @ pose.rotation
    depth = in_camera[:, 2]
    front = depth > 1e-6
    focal = 1.0 / math.tan(math.radians(settings.field_of_view) / 2.0)
    image = np.where(front[:, None], focal * in_camera[:, :2] / np.where(front, depth, 1.0)[:, None], 0.0)
    visible = front & (np.abs(image[:, 0]) <= 1.0) & (np.abs(image[:, 1]) <= settings.height / settings.width)
    return image, visible


class Camera:
    """Feature frames at a fixed rate, late by the latency.

    A frame is exposed at the first tick at or after its due time, and delivered at the first tick at least the latency
    later. Equal seeds and ticks give equal frames. `pose` may be replaced at any time, and holds for the frames exposed
    from then on. A pose is in the frame `carrier` of what carries the camera, None for the root link's; while the marks
    are `hidden`, their confidence is 0.
    """

    def __init__(self, settings: CameraSettings, pose: CameraPose):
        self.settings, self.pose = settings, pose
        self.carrier: tuple[Array, Array] | None = (
            None  # position (3,) [m] and rotation (3, 3) in the root link's frame
        )
        self.hidden = False
        self._rng = np.random.default_rng(settings.seed)
        self._start, self._exposed = 0.0, 0
        self._pending: collections.deque[FeatureFrame] = collections.deque()

    def reset(self, start: float = 0.0, seed: int | None = None) -> None:
        """Forget all frames; the first is due at `start` [s]. `seed` replaces the settings' seed."""
        self._rng = np.random.default_rng(self.settings.seed if seed is None else seed)
        self._start, self._exposed = start, 0
        self._pending.clear()

    def tick(self, time: float, marks: Array) -> tuple[FeatureFrame, ...]:
        """Return the frames that became available at `time` [s], with the marks now at `marks` (count, 3) [m].

        Call once per control tick with rising times. Image coordinates are ordered (u, v) mark by mark; a mark behind
        the camera or outside the image has confidence 0, and its coordinates are pushed onto the image's border.
        """
        if self.due(time):
            self._pending.append(self._expose(time, marks))
        ready = []
        while self._pending and time >= self._pending[0].stamp + self.settings.latency - _SOON:
            ready.append(self._pending.popleft())
        return tuple(ready)

    @property
    def standing(self) -> CameraPose:
        """Where the camera is now, in the root link's frame."""
        return self.pose if self.carrier is None else self.pose.seen_from(*self.carrier)

    def due(self, time: float) -> bool:
        """Return whether a frame is exposed at `time` [s]; call once per control tick, where `tick` is not."""
        if time < self._start + self._exposed / self.settings.rate - _SOON:
            return False
        # Frames that were due since the last tick are left out: they do not follow all at once.
        self._exposed = 1 + math.floor((time - self._start + _SOON) * self.settings.rate)
        return True

    def exact(self, marks: Array) -> Array:
        """Return the image (count, 2) of `marks` (count, 3) [m] as they are now: no noise, no latency, no border."""
        return project(marks, self.standing, self.settings)[0]

    def _expose(self, time: float, marks: Array) -> FeatureFrame:
        settings = self.settings
        image, visible = project(marks, self.standing, settings)
        image += settings.noise * 2.0 / settings.width * self._rng.standard_normal(image.shape)
        border = np.array([1.0, settings.height / settings.width])
        return FeatureFrame(
            time, np.clip(image, -border, border).ravel(), (visible & (not self.hidden)).astype(np.float64)
        )
