"""view_node: show a controller and its robot in a web browser while they run. It publishes nothing.

It reads the joint states, the plan, the status and the messages of mpc_node; a callback only keeps the newest, and the
page is drawn at its own rate in a process of its own, at low priority, so that the controller does not wait for it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Float64MultiArray, String
from visualization_msgs.msg import MarkerArray

from ..config.sections.nodes import ViewNodeSettings
from ..exceptions import DataError, RobotDescriptionError
from ..messages.drawn_plan import read_plan
from ..messages.flat import flat_fields
from ..messages.point_cloud import drawn_points
from ..messages.readers import seconds
from ..robots import sources
from ..runtime.event_log import shown_event
from ..types import Array
from ..view.page import Page, open_in_browser
from ..view.shapes import read_shapes
from ..view.shown_verdict import RUNNING, ShownVerdict
from ..view.snapshot import MESSAGES, Curves, Snapshot, values_of
from . import qos
from .executor import EndRequest
from .health_inputs import HealthInputs
from .parameters import Parameters, ReadsOverrides
from .process import run
from .status import TARGET_KINDS, VERSION
from .target_progress import PROGRESS_VERSION
from .wall_timer import create_wall_timer

VIEW_NICE = 10
MOST_WANTED = 100  # in the image, that are kept: several may wait for their time
LONGEST_MESSAGE = 300  # characters that are shown


class ViewNode(ReadsOverrides, Node):
    """Keeps the newest of every topic and draws it."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("view_node", **options)
        self.settings = Parameters(self, {"": ViewNodeSettings}).section(ViewNodeSettings)
        self._page: Page | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._newest = Snapshot()  # of the executor's thread, as all below
        self._messages: deque[str] = deque(maxlen=MESSAGES)
        self._events: deque[str] = deque(maxlen=MESSAGES)
        self._wanted: deque[tuple[float, Array]] = deque(maxlen=MOST_WANTED)  # stamps [s] and points of targets
        self._curves = Curves(1.0 / self.settings.frame_rate)
        node = self.settings.node.rstrip("/")
        self.create_subscription(JointState, "joint_states", self._on_states, qos.NEWEST)
        self.create_subscription(MarkerArray, f"{node}/markers", self._on_markers, qos.VIEW)
        self.create_subscription(Float64MultiArray, f"{node}/status", self._on_status, QoSProfile(depth=1))
        self.create_subscription(String, f"{node}/supervisor_state", self._on_supervisor, qos.LATCHED)
        self.create_subscription(String, f"{node}/message", self._on_message, QoSProfile(depth=MESSAGES))
        self.create_subscription(Float64MultiArray, f"{node}/target_progress", self._on_progress, QoSProfile(depth=1))
        self.create_subscription(String, f"{node}/event_log", self._on_event, qos.HISTORY)
        self.create_subscription(PointCloud2, "features", self._on_features, qos.NEWEST)
        self.create_subscription(PointCloud2, f"{node}/target_features", self._on_wanted, qos.TARGET_QOS)
        self._health = HealthInputs(self, node, 1.0 / self.settings.frame_rate)
        self._verdict = ShownVerdict(self.settings.summary)
        self._description = None
        if not self.settings.robot_description:
            self._description = self.create_subscription(String, "robot_description", self._on_description, qos.LATCHED)

    def begin(self) -> None:
        """Show the page, now or once the robot is known."""
        with contextlib.suppress(OSError):
            os.nice(VIEW_NICE)
        source = self.settings.robot_description
        if source:
            self._show(sources.read(source), sources.folder_of(source))
        else:
            self.get_logger().info("waiting for robot_description; or give its file: robot_description:=FILE")
        create_wall_timer(self, 1.0 / self.settings.frame_rate, self._draw)

    def end(self) -> None:
        """Close the page."""
        with self._lock:
            self._closed = True
            if self._page is not None:
                self._page.close()

    def _show(self, text: str, folder: Path | None) -> None:
        shapes = read_shapes(text, folder)
        self._page = Page(shapes, self.settings.node, self.settings.host, self.settings.port)
        undrawn = self._page.undrawn
        if undrawn:
            self.get_logger().warning(f"{len(undrawn)} meshes are not drawn, the first is {undrawn[0]!r}")
        self.get_logger().info(f"open {self._page.url}")
        if self.settings.open_browser:
            open_in_browser(self._page.url)

    def _draw(self) -> None:
        with self._lock:
            if self._page is None or self._closed:
                return
            shot = self._newest
            shot.verdict = self._judged()
            shot.health, shot.health_curves = self._health.values, self._health.curves()
            self._curves.add(shot.stamp, values_of(shot.status, list(shot.speeds.values()), shot.path, shot.target))
            shot.curves, shot.messages = self._curves.arrays(), tuple(self._messages)
            shot.events, shot.wanted_points = tuple(self._events), None
            if shot.status.get("target_kind") == TARGET_KINDS["features"]:
                begun = [entry for entry in self._wanted if entry[0] <= shot.stamp]
                shot.wanted_points = max(begun, key=lambda entry: entry[0])[1] if begun else None
            self._page.show(shot, at=self.get_clock().now().nanoseconds * 1e-9)

    def _judged(self) -> str:
        try:
            line = self._verdict.line()
        except DataError as error:
            self.get_logger().error(str(error))
            return self._newest.verdict
        if line not in (self._newest.verdict, RUNNING):
            self.get_logger().info(f"the run has ended: {line}")
        return line

    # --- topics -----------------------------------------------------------------------------------------------------

    def _on_description(self, message: String) -> None:
        if self._page is not None:
            return
        try:
            self._show(message.data, None)
        except RobotDescriptionError as error:
            self.get_logger().error(f"robot_description cannot be shown: {error}")

    def _on_states(self, message: JointState) -> None:
        if len(message.position) != len(message.name):
            return
        self._newest.stamp = seconds(message.header.stamp)
        self._newest.positions.update(zip(message.name, message.position, strict=True))
        if len(message.velocity) == len(message.name):
            self._newest.speeds.update(zip(message.name, message.velocity, strict=True))

    def _on_markers(self, message: MarkerArray) -> None:
        _, plan = read_plan(message)
        newest = self._newest
        newest.path, newest.target, newest.tube = plan

    def _on_status(self, message: Float64MultiArray) -> None:
        fields = flat_fields(message, VERSION)
        if fields is not None:
            self._newest.status = fields

    def _on_progress(self, message: Float64MultiArray) -> None:
        fields = flat_fields(message, PROGRESS_VERSION)
        if fields is not None:
            self._newest.trust = fields.get("trust", math.nan)

    def _on_event(self, message: String) -> None:
        if text := shown_event(message.data):
            self._events.append(text[:LONGEST_MESSAGE])

    def _on_features(self, message: PointCloud2) -> None:
        points = drawn_points(message)
        if points is not None:
            self._newest.points = points

    def _on_wanted(self, message: PointCloud2) -> None:
        points = drawn_points(message)
        if points is not None:
            self._wanted.append((seconds(message.header.stamp), points))

    def _on_supervisor(self, message: String) -> None:
        self._newest.supervisor = message.data[:LONGEST_MESSAGE].partition(" ")[2]  # without its number

    def _on_message(self, message: String) -> None:
        self._messages.append(message.data[:LONGEST_MESSAGE])


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    if importlib.util.find_spec("viser") is None:
        print("view_node needs viser: pip install 'mbrl_ros[view]'", file=sys.stderr)
        return 2
    return run(ViewNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
