"""What the camera of sim_node does, tick by tick and without ROS: its poses, when it sees nothing, what it exposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config.sections.images import ImageSettings
from ..config.sections.sim_node import SimNodeSettings
from ..config.sections.simulation import CameraSettings
from ..exceptions import ConfigurationError
from ..simulation.camera import Camera, CameraPose, random_pose
from ..simulation.model import TIP
from ..simulation.pictures import Exposure
from ..simulation.plant import Plant
from ..types import FeatureFrame

EVENT_ROUNDING = 1e-9  # [s], where the time of an event falls on a tick


class SimulatedCamera:
    """The camera that watches `plant`.

    `index` counts the poses since the start. With settings.images it exposes images and finds no features.
    """

    def __init__(self, camera: CameraSettings, image: ImageSettings, settings: SimNodeSettings, plant: Plant):
        self._plant, self._image, self._with_images = plant, image, settings.images
        self._start_stamp = settings.start_stamp
        self._moves = list(settings.camera_schedule)
        self._hidden = groups("occlusion_schedule", settings.occlusion_schedule, 2)
        self._poses = [
            CameraPose(np.array(entry[:3]), np.reshape(entry[3:], (3, 3)))
            for entry in groups("camera_poses", settings.camera_poses, 12)
        ]
        # in lockstep the controller waits for the latency to pass, by the stamps
        self._settings = camera.replace(latency=0.0) if settings.lockstep else camera
        self._rng = np.random.default_rng(camera.seed)
        self._carried_by = camera.body
        self.camera = Camera(self._settings, self._next_pose())
        self.index = self._images = 0
        self._follow()

    def run_events(self, elapsed: float) -> None:
        """Move the camera, and hide the marker or show it, as scheduled until `elapsed` [s]."""
        now = elapsed + EVENT_ROUNDING
        while self._moves and self._moves[0] <= now:
            self._moves.pop(0)
            self.index += 1
            self.camera.pose = self._next_pose()
        self.camera.hidden = any(begin <= now < end for begin, end in self._hidden)
        self._follow()

    def frames(self, elapsed: float) -> tuple[FeatureFrame, ...]:
        """Return the feature frames that became available at `elapsed` [s]; none where images are exposed."""
        if self._with_images:
            return ()
        return tuple(
            FeatureFrame(self._start_stamp + frame.stamp, frame.points, frame.confidence)
            for frame in self.camera.tick(elapsed, self._plant.marks)
        )

    def exposure(self, elapsed: float) -> Exposure | None:
        """Return what an image shows that is exposed at `elapsed` [s]; None without one."""
        if not self._with_images or not self.camera.due(elapsed):
            return None
        position, rotation = self._plant.frame(self._image.marker_body or TIP)
        self._images += 1
        return Exposure(
            self._images - 1,
            self._start_stamp + elapsed,
            self._plant.truth.q,
            self.camera.standing,
            position + rotation @ np.array(self._image.marker_offset),
            self.camera.hidden,
        )

    def _follow(self) -> None:
        if self._carried_by:
            self.camera.carrier = self._plant.frame(self._carried_by)

    def _next_pose(self) -> CameraPose:
        if self._poses:
            return self._poses.pop(0)
        if self._carried_by:
            raise ConfigurationError(
                "a camera that the robot carries needs its poses", key="camera_poses", value=self._poses
            )
        return random_pose(self._rng, self._plant.truth.tip, settings=self._settings)


def groups(name: str, values: Sequence[Any], size: int) -> list[tuple[Any, ...]]:
    """Split a flat list of events into groups of `size` entries."""
    if len(values) % size:
        raise ConfigurationError(
            f"'{name}' must have {size} entries per event, got {len(values)} in all", key=name, value=values
        )
    return [tuple(values[i : i + size]) for i in range(0, len(values), size)]
