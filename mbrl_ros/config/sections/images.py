"""The images that sim_node renders: the marker, what surrounds it, light and noise."""

from __future__ import annotations

import dataclasses

from ...exceptions import ConfigurationError
from ..section import Section, setting

MARKERS = 8  # patterns of the dictionary 4x4_50 that simulation/marker.py holds


@dataclasses.dataclass(frozen=True)
class ImageSettings(Section):
    """What the camera's images show; size, rate and opening angle are the camera's."""

    marker: int = setting(
        0, "id of the marker, of ArUco's dictionary 4x4_50 (the first eight)", low=0, high=MARKERS - 1
    )
    marker_size: float = setting(0.1, "edge of the marker's black square", unit="m", low=1e-3, high=10.0)
    marker_body: str = setting("", "body or site that carries the marker; empty: the end-effector point")
    marker_offset: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), "center of the marker in the frame of that body", unit="m"
    )
    marker_rotation: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0),
        "roll, pitch and yaw of the marker in the frame of that body: x to the pattern's right, y up, z towards who "
        "looks at it",
        unit="rad",
    )
    pixel_noise: float = setting(3.0, "standard deviation of a pixel's noise, of 255", low=0.0, high=255.0)
    light: float = setting(1.0, "brightness of the light over the usual one", low=0.05, high=2.0)
    light_spread: float = setting(
        0.3, "the light is brighter or darker than that by up to this share, drawn by the seed", low=0.0, high=0.9
    )
    background: bool = setting(True, "colored patches, drawn by the seed, on floor and surroundings; false: plain")
    seed: int = setting(0, "seed of background, light and pixel noise", low=0)

    def validate(self) -> None:
        """Check what concerns more than one setting."""
        for key in ("marker_offset", "marker_rotation"):
            if len(getattr(self, key)) != 3:
                raise ConfigurationError("must have 3 entries", key=key, value=getattr(self, key))
