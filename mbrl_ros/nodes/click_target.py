"""Click to go: a page with the annotated image; a click on it is a target for the image points of mpc_node."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64MultiArray, Header, String

from ..config.sections.vision import FeatureNodeSettings
from ..messages.flat import flat_fields
from ..types import Array
from ..vision.base import half_widths, pixels
from ..vision.finder import ImagePoints, moved_to
from ..vision.lens import Lens
from ..vision.opencv import opencv
from . import qos
from .feature_messages import to_points
from .status import VERSION

LONGEST_SHOWN = 300  # characters of what mpc_node says
JPEG_QUALITY = 80
SHOWN_STATUS = {"target_kind": "target kind", "nis": "NIS", "nis_bound": "its 95 % bound", "late": "late by periods"}


class ClickTarget:
    """Serves the page, keeps what it draws, and publishes targets."""

    def __init__(self, node: Node, settings: FeatureNodeSettings):
        from ..view.click_page import ClickPage

        name = settings.node.rstrip("/")
        self._targets = node.create_publisher(PointCloud2, f"{name}/target_features", qos.TARGET_QOS)
        self._lock = threading.Lock()
        # of the newest image: its points, size and lens; the target [half image widths] and in the image [px]
        self._newest: tuple[ImagePoints, int, int, Lens | None] | None = None
        self.target: Array | None = None
        self._supervisor = self._message = self._status = ""
        node.create_subscription(String, f"{name}/supervisor_state", self._on_supervisor, qos.LATCHED)
        node.create_subscription(String, f"{name}/message", self._on_message, QoSProfile(depth=10))
        node.create_subscription(Float64MultiArray, f"{name}/status", self._on_status, QoSProfile(depth=1))
        self._page = ClickPage(f"{name}: click to go", self._clicked, settings.page_host, settings.page_port)
        node.get_logger().info(f"open {self._page.url}")

    @property
    def wanted(self) -> bool:
        """Whether a browser waits for an image."""
        return self._page.wanted

    @property
    def line(self) -> str:
        """What the controller is doing, in a line."""
        return self._supervisor

    def take(self, found: ImagePoints, width: int, height: int, lens: Lens | None) -> None:
        """Take the points of the newest image of width x height pixels."""
        with self._lock:
            self._newest = (found, width, height, lens)

    def show(self, rgb: Any, line: str) -> None:
        """Show an annotated image (h, w, 3) and a line about the points."""
        cv2 = opencv()
        done, data = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if done:
            self._page.state = "\n".join((f"points: {line}", self._supervisor, self._status, self._message))
            self._page.show(data.tobytes())

    def close(self) -> None:
        """Stop to serve."""
        self._page.close()

    def _clicked(self, x: float, y: float) -> tuple[bool, str]:
        """Make a click at shares of the image's width and height a target; in a thread of the page."""
        with self._lock:
            newest = self._newest
        if newest is None:
            return False, "no image has come yet"
        found, width, height, lens = newest
        at = np.array([[x * width - 0.5, y * height - 0.5]])
        straight = at if lens is None else lens.undistort(at)
        target = moved_to(found, half_widths(straight, width, height)[0])
        if target is None:
            return False, "not all points are seen; a target needs all of them"
        seen = pixels(target.points, width, height)
        self.target = seen if lens is None else lens.distort(seen)
        self._targets.publish(to_points(Header(), target))
        return True, f"target: x {float(target.points[:, 0].mean()):.3f}, y {float(target.points[:, 1].mean()):.3f}"

    def _on_supervisor(self, message: String) -> None:
        self._supervisor = message.data[:LONGEST_SHOWN].partition(" ")[2]  # without its number

    def _on_message(self, message: String) -> None:
        self._message = message.data[:LONGEST_SHOWN]

    def _on_status(self, message: Float64MultiArray) -> None:
        values = flat_fields(message, VERSION)
        if values is not None:
            shown = (f"{text} {values[name]:.3g}" for name, text in SHOWN_STATUS.items() if name in values)
            self._status = ", ".join(shown)
