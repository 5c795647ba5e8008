"""What feature_node says of itself in /diagnostics once a second: confidence, rate, latency, and what it refused."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from ..messages.input_gate import InputGate
from ..vision.finder import ImagePoints
from ..vision.intake import FrameRate, OneCamera, Refusals
from . import qos
from .command_readers import full_name
from .diagnostics import part_status
from .wall_timer import create_wall_timer

FEATURE_REPORT_PERIOD = 1.0  # [s]
NEWEST_IMAGES = 60  # whose times and confidences are summed up
SILENCE = 2.0  # [s] without an image that was used, after which the status is an error
LOW_CONFIDENCE = 0.5  # median confidence below which the diagnostics warn


class FeatureReport:
    """Counts, sums up, and publishes; `refuse` also logs the first of each kind."""

    def __init__(self, node: Node, gate: InputGate, camera: OneCamera, topic: str):
        """Begin to report; `topic` is the full name of that of the images."""
        self._node, self._gate, self._camera, self._topic = node, gate, camera, topic
        self.rate, self.refused, self.not_delivered = FrameRate(), Refusals(), 0
        self._without = 0  # images in which no point was found
        self._seen = False  # two publishers, at the last look
        self._answered, self._silent = 0, 0.0
        self._confidence, self._compute, self._latency = (deque[float](maxlen=NEWEST_IMAGES) for _ in range(3))
        self._said: set[str] = set()
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        create_wall_timer(node, FEATURE_REPORT_PERIOD, self._publish)

    def refuse(self, kind: str, detail: str) -> None:
        """Count what was refused."""
        if self.refused.add(kind, detail):
            self._node.get_logger().warning(f"refused: {kind}: {detail}")

    def say_rejected(self) -> None:
        """Log what the gate of the stamps has rejected, the first of each kind."""
        for reason in self._gate.rejected.keys() - self._said:
            self._said.add(reason)
            self._node.get_logger().warning(f"refused: {reason}: {self._gate.details[reason]}")

    def answered(self, stamp: float, found: ImagePoints, compute: float) -> None:
        """Take an image stamped `stamp` [s] whose points were published `compute` [s] after it had come."""
        self._answered += 1
        self._silent = 0.0
        self.rate.add(stamp)
        self._compute.append(compute)
        self._latency.append(self._node.get_clock().now().nanoseconds * 1e-9 - stamp)
        best = float(found.confidence.max(initial=0.0))
        self._confidence.append(float(found.confidence.mean()) if found.confidence.size else 0.0)
        self._without += best == 0.0

    def line(self) -> str:
        """Return in a line how it goes."""
        return f"{self.rate.rate:.0f} Hz  {1e3 * _median(self._compute):.1f} ms  confidence {self._newest():.2f}"

    def _newest(self) -> float:
        return self._confidence[-1] if self._confidence else math.nan

    def _publish(self) -> None:
        self._look_for_publishers()
        level, text = self._judge()
        refusals = {**self._gate.rejected, **self.refused.counts}
        details = {**self._gate.details, **self.refused.details}
        values: list[tuple[str, object]] = [
            ("images used", self._answered),
            ("images without a point", self._without),
            ("images lost, by the stamps", self.rate.lost),
            ("images lost, by the middleware", self.not_delivered),
            ("restarts", self._gate.restarts),
            ("confidence, mean of the newest image", self._newest()),
            ("confidence, median", _median(self._confidence)),
            ("rate [Hz]", self.rate.rate),
            ("from arrival to points, median [ms]", 1e3 * _median(self._compute)),
            ("from arrival to points, longest [ms]", 1e3 * max(self._compute, default=math.nan)),
            # by another clock than the stamps' it means nothing
            ("latency from the stamp, median [ms]", 1e3 * _median(self._latency) if self._one_clock else math.nan),
            ("publishers", len(self._camera.publishers)),
        ]
        for kind, count in sorted(refusals.items()):
            values += [(f"refused: {kind}", count), (f"last {kind}", details[kind])]
        name = f"{self._node.get_fully_qualified_name()}: features"
        message = DiagnosticArray(status=[part_status(name, level, text, values)])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)
        self._silent += FEATURE_REPORT_PERIOD

    @property
    def _one_clock(self) -> bool:
        return self._gate.clock == "ros"

    def _judge(self) -> tuple[bytes, str]:
        if len(self._camera.publishers) > 1:
            return DiagnosticStatus.ERROR, f"two publishers of images: {', '.join(self._camera.publishers)}"
        refused = sum(self._gate.rejected.values()) + sum(self.refused.counts.values())
        said = f"{refused} refused" if refused else ""
        if not self._answered:
            return DiagnosticStatus.STALE, said or f"no image has come on {self._topic}"
        if self._silent >= SILENCE:
            return DiagnosticStatus.ERROR, f"no image that can be used for {self._silent:.0f} s; {refused} refused"
        if not _median(self._confidence) >= LOW_CONFIDENCE:
            return DiagnosticStatus.WARN, "the points are not seen, or their confidence is low"
        return (DiagnosticStatus.WARN, said) if refused else (DiagnosticStatus.OK, "points are seen")

    def _look_for_publishers(self) -> None:
        """Name who publishes images; two of them count when they are there twice in a row."""
        if self._node.count_publishers(self._topic) < 2:
            self._camera.publishers, self._seen = (), False
            return
        infos = self._node.get_publishers_info_by_topic(self._topic)
        before, self._seen = self._seen, True
        if before:  # one that takes the place of another may be found before the other is gone
            if not self._camera.publishers:
                self._node.get_logger().error(f"two publishers of images on {self._topic}; none is used")
            self._camera.publishers = tuple(sorted(full_name(info) for info in infos))


def _median(values: deque[float]) -> float:
    return float(np.median(values)) if values else math.nan
