"""What a visual run changes: settings of the controller, and the parameters of sim_node and feature_node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...config.sections.images import ImageSettings
from ...config.sections.simulation import PlantSettings
from .scenario import VisualScenario

if TYPE_CHECKING:
    from ..run import Run

# Of the controller, where nothing else is asked for: an image reference as fast as a servo, and larger first motions.
VISUAL_SETTINGS: dict[str, Any] = {
    "reference.feature_speed": 0.5,
    "reference.feature_acceleration": 2.0,
    "reference.excitation_frequency": 2.0,
}


def image_settings(scenario: VisualScenario, given: ImageSettings, seed: int) -> ImageSettings:
    """Return the settings of the images: the scenario's marker, and a background and light of the seed."""
    marker = scenario.marker
    return given.replace(
        marker_size=marker.size,
        marker_body=marker.body,
        marker_offset=tuple(marker.center),
        marker_rotation=tuple(marker.rotation),
        seed=seed,
    )


def with_mark(plant: PlantSettings, scenario: VisualScenario) -> PlantSettings:
    """Return the plant's settings with the marker's center as its only mark."""
    return plant.replace(marks=(scenario.marker.body,), mark_offsets=tuple(scenario.marker.center))


def simulation_parameters(scenario: VisualScenario, image: ImageSettings) -> dict[str, Any]:
    """Return what sim_node is given besides plant and camera."""
    poses = scenario.before, scenario.after
    return {
        "camera": False,
        "images": True,
        "images_answered": True,
        "camera_schedule": [scenario.bump],
        "camera_poses": [x for pose in poses for x in (*pose.position, *pose.rotation.ravel())],
        "occlusion_schedule": list(scenario.hidden),
        **{f"image.{name}": value for name, value in image.to_mapping().items()},
    }


def feature_parameters(run: Run) -> dict[str, Any]:
    """Return what feature_node is given: the marker's center; in lockstep every image."""
    return {
        "method": "aruco",
        "vision.aruco.ids": [float(run.image.marker)],
        "vision.aruco.corners": False,
        "every_image": run.options.lockstep,
    }
