"""Settings of feature_node: ROS parameters without a prefix. The methods of vision/ declare theirs themselves."""

from __future__ import annotations

import dataclasses

from ...exceptions import ConfigurationError
from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class FeatureNodeSettings(Section):
    """Settings of feature_node; the methods have sections of their own, `vision.METHOD.*`."""

    method: str = setting(
        "aruco", "how points are found: aruco, color_blob, klt, template, onnx_keypoints, or that of another package"
    )
    transport: str = setting("raw", "topic of the images: image, or image/compressed", choices=("raw", "compressed"))
    undistort: bool = setting(
        False,
        "publish where the points would be without the distortion of the lens, by camera_info; without that nothing is "
        "published",
    )
    every_image: bool = setting(
        False, "wait for every image instead of taking the newest, and judge stamps by their order alone: in lockstep"
    )
    timeout: float = setting(0.5, "an image older than this on arrival is not used", unit="s", low=0.01, high=60.0)
    largest_message: int = setting(
        64 * 1024 * 1024, "a longer image is refused unread", unit="bytes", low=65536, high=1024 * 1024 * 1024
    )
    depth_range: tuple[float, ...] = setting(
        (0.2, 2.0), "depths that a depth image shows as white and as black", unit="m", low=0.001, high=1000.0
    )
    annotated_rate: float = setting(
        10.0, "largest rate of ~/annotated, if somebody reads it; 0: never", unit="Hz", low=0.0, high=100.0
    )
    threads: int = setting(1, "threads that OpenCV may use for an image", low=1, high=64)
    page_port: int = setting(
        0,
        "first port that is tried for a page with the annotated image, on which a click is a target; 0: no page",
        low=0,
        high=65000,
    )
    page_host: str = setting(
        "127.0.0.1",
        "address to serve that page on; 0.0.0.0: whoever can reach this computer can move the arm, without a password",
    )
    node: str = setting("mpc_node", "the node that gets the targets of the page, and whose state the page shows")

    def validate(self) -> None:
        """Check the range of depths."""
        if len(self.depth_range) != 2 or not self.depth_range[0] < self.depth_range[1]:
            raise ConfigurationError("must be two rising depths", key="depth_range", value=self.depth_range)
