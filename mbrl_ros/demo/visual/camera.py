"""A camera whose features are found in rendered images, in one process: as sim_node and feature_node, without DDS."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from ...config.sections.simulation import CameraSettings
from ...simulation.camera import Camera
from ...simulation.pictures import Exposure, Pictures
from ...simulation.plant import Plant
from ...simulation.rendering import Image
from ...types import Array, FeatureFrame
from .scenario import VisualScenario

Find = Callable[[Image], tuple[Array, float]]  # the marker's center (2,) [half image widths], and its confidence


def marker_finder(marker: int = 0) -> Find:
    """Return a function that finds the center of a marker as feature_node does.

    Raises
    ------
    ConfigurationError
        OpenCV is missing.
    """
    from ...vision.aruco import Settings, build
    from ...vision.finder import find
    from ...vision.picture import read_image

    method = build(Settings(ids=(float(marker),), corners=False))

    def found(image: Image) -> tuple[Array, float]:
        height, width, _ = image.shape
        message = SimpleNamespace(
            height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width, data=image.tobytes()
        )
        points = find(method, read_image(message))
        return points.points[0], float(points.confidence[0])

    return found


class SeeingCamera(Camera):
    """The camera of a visual scenario on a plant: it is bumped, and the marker is hidden, as the scenario says."""

    def __init__(
        self, settings: CameraSettings, scenario: VisualScenario, plant: Plant, pictures: Pictures, find: Find
    ):
        super().__init__(settings, scenario.before)
        self._scenario, self._plant, self._pictures, self._find = scenario, plant, pictures, find
        self._number = 0
        self._begun: float | None = None

    def tick(self, time: float, marks: Array) -> tuple[FeatureFrame, ...]:
        """See `Camera.tick`."""
        self._begun = time if self._begun is None else self._begun
        now, scenario = time - self._begun + 1e-9, self._scenario
        self.pose = scenario.before if now < scenario.bump else scenario.after
        self.hidden = scenario.hidden[0] <= now < scenario.hidden[1]
        return super().tick(time, marks)

    def _expose(self, time: float, marks: Array) -> FeatureFrame:
        exposure = Exposure(self._number, time, self._plant.truth.q, self.standing, marks[0], self.hidden)
        self._number += 1
        point, confidence = self._find(self._pictures(exposure))
        return FeatureFrame(time, np.nan_to_num(point), np.array([confidence]))
