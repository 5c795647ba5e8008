"""What the camera of sim_node publishes: features, or images that a process of their own takes.

Both are stamped with the time of their exposure. In real time an image is published when it has been taken, and an
exposure that comes while the last image is still being taken is left out and counted. In lockstep the simulation waits
for the image and, where something publishes features, for those of this image: so the results repeat.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from array import array
from collections.abc import Sequence

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from ..config.sections.images import ImageSettings
from ..config.sections.sim_node import SimNodeSettings
from ..config.sections.simulation import CameraSettings, PlantSettings
from ..exceptions import MbrlError
from ..messages import readers
from ..robots import Robot
from ..simulation.picture_process import PictureProcess
from ..simulation.pictures import Exposure
from ..simulation.rendering import Image as Pixels
from ..types import FeatureFrame
from . import message_writers, qos
from .command_mailbox import SAME
from .parameters import Parameters

RESEND_IMAGE = 1.0  # [s] after which an image without features is sent again: its subscriber may have appeared only now
IMAGE_PATIENCE = 60.0  # [s] for one image
CAMERA_FRAME = "camera"


class CameraOutput:
    """Publishes the frames or the images of the exposures that it is given, until `close`."""

    def __init__(self, node: Node, robot: Robot, parameters: Parameters):
        self._node, self._settings = node, parameters.section(SimNodeSettings)
        self.left_out = 0
        self._answered, self._closed, self._newest = threading.Condition(), False, -math.inf
        self._wanted: queue.Queue[Exposure | None] = queue.Queue(maxsize=1)
        self._thread: threading.Thread | None = None
        self._process: PictureProcess | None = None
        if not self._settings.images:
            self._features = node.create_publisher(PointCloud2, "features", qos.EVERY)
            return
        camera, image = parameters.section(CameraSettings), parameters.section(ImageSettings)
        self._info = camera_info(camera)
        self._images = node.create_publisher(Image, "image", qos.IMAGES)
        self._infos = node.create_publisher(CameraInfo, "camera_info", qos.IMAGES)
        try:
            self._process = PictureProcess(robot, parameters.section(PlantSettings), camera, image)
        except MbrlError as error:  # the simulation goes on without
            node.get_logger().error(str(error))
            return
        if self._settings.lockstep:
            node.create_subscription(PointCloud2, "features", self._on_features, qos.EVERY)
        else:
            self._thread = threading.Thread(target=self._take_all, name="images", daemon=True)
            self._thread.start()

    def publish(self, frames: Sequence[FeatureFrame]) -> None:
        """Publish feature frames."""
        for frame in frames:
            self._features.publish(message_writers.to_cloud(frame))

    def take(self, exposure: Exposure | None) -> None:
        """Take and publish an image: at once in lockstep, else as soon as the process that takes them can.

        Raises
        ------
        MbrlError
            In lockstep: no features of this image have come within settings.lockstep_timeout.
        """
        if self._process is None or exposure is None:
            return
        if self._thread is None:
            message = self._message(exposure)
            if message is not None:
                self._await_features(message, exposure.stamp)
            return
        try:
            self._wanted.put_nowait(exposure)
        except queue.Full:
            self.left_out += 1
            self._node.get_logger().warning(
                f"{self.left_out} images left out: taking one takes longer than a period of the camera",
                throttle_duration_sec=10.0,
            )

    def stop_waiting(self) -> None:
        """Let `take` return at once from now on."""
        with self._answered:
            self._closed = True
            self._answered.notify_all()

    def close(self) -> None:
        """End the thread and the process that takes the images."""
        if self._thread is not None:
            self._wanted.put(None)
            self._thread.join()
        if self._process is not None:
            self._process.close()
            self._process = None

    # --- inside -----------------------------------------------------------------------------------------------------

    def _message(self, exposure: Exposure) -> Image | None:
        """Return the image of an exposure, None (and none from now on) where it cannot be taken."""
        process = self._process
        if process is None:
            return None
        try:
            process.request(exposure)
            pixels = process.image(IMAGE_PATIENCE)
            if pixels is None:
                raise MbrlError(f"no images: none within {IMAGE_PATIENCE:g} s")
        except (MbrlError, OSError) as error:
            self._node.get_logger().error(str(error))
            self._process = None
            return None
        return to_image(pixels, exposure.stamp)

    def _publish(self, message: Image) -> None:
        self._info.header = message.header
        self._infos.publish(self._info)
        self._images.publish(message)

    def _await_features(self, message: Image, stamp: float) -> None:
        begin = time.perf_counter()
        while True:
            self._publish(message)
            if not self._settings.images_answered and not self._node.count_publishers("features"):
                return
            with self._answered:
                if self._answered.wait_for(lambda: self._closed or self._newest >= stamp - SAME, RESEND_IMAGE):
                    return
            waited = time.perf_counter() - begin
            if waited > self._settings.lockstep_timeout:
                raise MbrlError(
                    f"no features of the image stamped {stamp:g} s within {waited:.0f} s; is feature_node running, and "
                    "on the same topics?"
                )

    def _on_features(self, message: PointCloud2) -> None:
        with self._answered:
            self._newest = readers.seconds(message.header.stamp)
            self._answered.notify_all()

    def _take_all(self) -> None:
        while (exposure := self._wanted.get()) is not None:
            message = self._message(exposure)
            if message is not None:
                self._publish(message)


def to_image(pixels: Pixels, stamp: float) -> Image:
    """Write pixels (height, width, 3) uint8 as an image in rgb8, stamped with its exposure [s]."""
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width, data=array("B", pixels.tobytes()))
    message.header.stamp, message.header.frame_id = message_writers.to_time(stamp), CAMERA_FRAME
    return message


def camera_info(camera: CameraSettings) -> CameraInfo:
    """Write a pinhole camera without distortion: K = [f 0 c_x; 0 f c_y; 0 0 1] [px], pixel centers whole numbers."""
    focal = 0.5 * camera.width / math.tan(math.radians(camera.field_of_view) / 2.0)
    message = CameraInfo(width=camera.width, height=camera.height, distortion_model="plumb_bob", d=[0.0] * 5)
    k = np.array([[focal, 0.0, (camera.width - 1) / 2], [0.0, focal, (camera.height - 1) / 2], [0.0, 0.0, 1.0]])
    message.k, message.r = k.ravel(), np.eye(3).ravel()
    message.p = np.column_stack((k, np.zeros(3))).ravel()
    message.header.frame_id = CAMERA_FRAME
    return message
