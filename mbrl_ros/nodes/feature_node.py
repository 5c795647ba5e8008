"""feature_node: images in, image points out, as mpc_node reads them on `features`.

One image at a time: it is read, judged, searched and answered in the executor's thread. While that takes, DDS keeps the
newest image only, so that what is published is never older than one image. What cannot be used is counted by kind, said
in the log once and in /diagnostics, and has no other effect.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any, cast

from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from ..config.sections.vision import FeatureNodeSettings
from ..config.settings_file import sections_of
from ..messages.input_gate import Admission, InputGate, Rejection
from ..messages.message_size import too_large
from ..messages.readers import seconds
from ..vision import finder
from ..vision.compressed import read_compressed
from ..vision.intake import OneCamera
from ..vision.lens import Lens, fit_lens, read_lens
from ..vision.opencv import opencv
from ..vision.picture import ImageError, Picture, read_image
from . import qos
from .bounded import reading
from .click_target import ClickTarget
from .executor import EndRequest
from .feature_messages import annotated, to_image, to_points
from .feature_report import FeatureReport
from .parameters import Parameters, ReadsOverrides
from .process import run


class FeatureNode(ReadsOverrides, Node):
    """Subscribes to images and publishes the points that a method of mbrl_ros/vision finds in them."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("feature_node", **options)
        parameters = Parameters(self, sections_of("feature_node"))
        settings = self.settings = parameters.section(FeatureNodeSettings)
        opencv().setNumThreads(settings.threads)
        self._method = finder.load_method(settings.method, parameters.sections.get(f"vision.{settings.method}"))
        self._camera, self._lens = OneCamera(), cast("Lens | None", None)
        self._gate = InputGate("image", timeout=settings.timeout, clock="stamps" if settings.every_image else "auto")
        self._features = self.create_publisher(PointCloud2, "features", qos.EVERY)
        self._annotated = self.create_publisher(Image, "~/annotated", qos.VIEW)
        self._next_annotated = -math.inf
        compressed = settings.transport == "compressed"
        kind, topic = (CompressedImage, "image/compressed") if compressed else (Image, "image")
        self._read = self._read_compressed if compressed else self._read_image
        subscription = self.create_subscription(
            kind,
            topic,
            reading(kind, settings.largest_message, self._on_image, self._on_too_large),
            qos.EVERY if settings.every_image else qos.NEWEST_IMAGE,
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._on_lost),
        )
        self.create_subscription(CameraInfo, "camera_info", self._on_info, qos.NEWEST)
        self.report = FeatureReport(self, self._gate, self._camera, subscription.topic_name)
        self._click = ClickTarget(self, settings) if settings.page_port else None

    def begin(self) -> None:
        """Say what is looked for."""
        self.get_logger().info(f"looking for points in images by '{self.settings.method}'")

    def end(self) -> None:
        """Stop to serve the page."""
        if self._click is not None:
            self._click.close()

    # --- images -----------------------------------------------------------------------------------------------------

    def _on_image(self, message: Any) -> None:
        begin = time.perf_counter()
        try:
            self._answer(message, begin)
        except ImageError as error:
            self.report.refuse(error.kind, str(error))
        except Exception as error:  # of a method, which may be another package's: the next image may do
            self.report.refuse("method failed", f"{type(error).__name__}: {error}")

    def _answer(self, message: Any, begin: float) -> None:
        picture, header = self._read(message), message.header
        if self._camera.admit(header.frame_id, picture.width, picture.height, begin):
            self._method.reset()
            self.report.rate.restart()
        lens = fit_lens(self._lens, picture.width, picture.height) if self.settings.undistort else None
        stamp = seconds(header.stamp)
        if self._gate.admit(stamp, self.get_clock().now().nanoseconds * 1e-9) is Admission.REJECTED:
            self.report.say_rejected()
            return
        found = finder.find(self._method, picture, lens)
        self._features.publish(to_points(header, found))
        self.report.answered(stamp, found, time.perf_counter() - begin)
        if self._click is not None:
            self._click.take(found, picture.width, picture.height, lens)
        self._show(header, picture, found, begin)

    def _read_image(self, message: Image) -> Picture:
        return read_image(message, self.settings.depth_range)

    def _read_compressed(self, message: CompressedImage) -> Picture:
        return read_compressed(message)

    def _show(self, header: Any, picture: Picture, found: finder.ImagePoints, now: float) -> None:
        rate, click = self.settings.annotated_rate, self._click
        read, seen = self._annotated.get_subscription_count() > 0, click is not None and click.wanted
        if not rate or now < self._next_annotated or not (read or seen):
            return
        self._next_annotated = now + 1.0 / rate
        line, target = self.report.line(), None
        if click is not None:
            line, target = f"{line}  {click.line}", click.target
        image = annotated(picture, found, line, target)
        if read:
            self._annotated.publish(to_image(header, image))
        if click is not None and seen:
            click.show(image, line)

    def _on_too_large(self, raw: bytes) -> None:
        self._gate.reject(Rejection.TOO_LARGE, too_large("image", len(raw), self.settings.largest_message))
        self.report.say_rejected()

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        self.report.not_delivered += event.total_count_change

    def _on_info(self, message: CameraInfo) -> None:
        try:
            lens = read_lens(message)
            if self._camera.size is not None:
                fit_lens(lens, *self._camera.size)
            self._lens = lens
        except ImageError as error:
            self.report.refuse(error.kind, str(error))


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(FeatureNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
