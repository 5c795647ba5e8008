"""feature_node over DDS: a camera's images in, points out as mpc_node reads them; what cannot be used has no effect."""

import json
import re
import urllib.request

import numpy as np
import pytest

from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.messages.point_cloud import cloud_columns
from mbrl_ros.messages.readers import FeatureReader, seconds
from mbrl_ros.messages.targets import read_feature_target
from support.needs import needs, present
from support.pictures import marker_view
from support.ros import ros

if present("rclpy", "cv2"):
    from diagnostic_msgs.msg import DiagnosticArray
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2

    from mbrl_ros.nodes import message_writers
    from mbrl_ros.nodes.feature_messages import to_image
    from mbrl_ros.vision.base import half_widths

pytestmark = needs("rclpy", "cv2")
QUAD = np.array([[110.3, 60.7], [190.9, 71.2], [182.4, 152.8], [101.1, 140.5]])
SIZE = (320, 240)


def image(stamp: float, frame_id: str = "camera", **changes) -> "Image":
    message = to_image(Image().header, np.repeat(marker_view({0: QUAD}, size=SIZE)[:, :, None], 3, axis=2))
    message.header.stamp, message.header.frame_id = message_writers.to_time(stamp), frame_id
    for field, value in changes.items():
        setattr(message, field, value)
    return message


def stamps(peer) -> list[float]:
    return [seconds(message.header.stamp) for message in peer.heard["/features"]]


def refused(peer) -> dict[str, int]:
    """{kind: count} of the newest diagnostics."""
    for message in reversed(peer.heard["/diagnostics"]):
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            return {key[9:]: int(value) for key, value in values.items() if key.startswith("refused: ")}
    return {}


def bad_images(stamp: float) -> "list[Image]":
    """Images that cannot be used where those of "camera" come, the last one stamped `stamp`."""
    good = image(stamp)
    return [
        image(stamp, encoding="jpeg"),
        image(stamp, width=0),
        image(stamp, step=3),
        image(stamp, data=good.data[:-9]),
        image(stamp, frame_id="another"),
        to_image(good.header, np.zeros((10, 10, 3), np.uint8)),
        image(stamp - 0.6),
        image(0.0),
    ]


def click(peer, node, x: float, y: float) -> np.ndarray:
    """The target (n, 2) that a click on the page of the node becomes."""
    address = re.search(r"open (http://localhost:\d+)", node.output)[1]
    with urllib.request.urlopen(address, timeout=10.0) as answer:
        token = re.search(rb'token = "([^"]+)"', answer.read())[1].decode()
    body = json.dumps({"x": x, "y": y}).encode()
    request = urllib.request.Request(f"{address}/click", data=body, headers={"X-Token": token})
    targets = peer.heard["/mpc_node/target_features"]

    def clicked() -> bool:
        with urllib.request.urlopen(request, timeout=10.0) as answer:
            assert answer.status == 200
        peer.spin()
        return bool(targets)

    peer.until(clicked, "the target")
    return read_feature_target(targets[-1]).reshape(-1, 2)


def test_points_come_out_and_whatever_cannot_be_used_is_counted_and_has_no_effect():
    parameters = {"every_image": True, "undistort": True, "page_port": 8750}
    with ros(("feature_node", parameters)) as (peer, node):
        for kind, topic in (
            (PointCloud2, "/features"),
            (DiagnosticArray, "/diagnostics"),
            (Image, "/feature_node/annotated"),
            (PointCloud2, "/mpc_node/target_features"),
        ):
            peer.listen(kind, topic)
        images, infos = peer.publisher(Image, "/image"), peer.publisher(CameraInfo, "/camera_info")
        info = CameraInfo(width=SIZE[0], height=SIZE[1], k=[300.0, 0.0, 159.5, 0.0, 300.0, 119.5, 0.0, 0.0, 1.0])
        other = CameraInfo(width=640, height=480, k=info.k)
        peer.send_until(images, image(0.9), lambda: "no camera info" in node.output, "the refusal")
        infos.publish(info)
        peer.send_until(images, image(1.0), lambda: peer.heard["/features"], "the first points")
        for message in (*bad_images(1.1), image(1.1)):
            images.publish(message)
        infos.publish(other)
        infos.publish(CameraInfo(width=SIZE[0], height=SIZE[1]))
        peer.until(lambda: len(stamps(peer)) > 1, "the second points")
        images.publish(image(1.2))
        peer.until(lambda: len(stamps(peer)) > 2 and peer.heard["/feature_node/annotated"], "the last points")
        assert stamps(peer) == pytest.approx([1.0, 1.1, 1.2])
        kinds = {"no camera info", "wrong encoding", "zero size", "wrong step", "truncated data", "frame_id changed"}
        kinds |= {"size changed", "backward stamp", "camera info of another size", "wrong camera info"}
        peer.until(lambda: kinds <= refused(peer).keys(), f"{kinds}, not {refused(peer)}")
        cloud = peer.heard["/features"][-1]
        assert cloud.header.frame_id == "camera"
        frame = FeatureReader(4, InputGate("features", timeout=1.0, clock="stamps")).read_cloud(cloud, 0.0)
        points = frame.points.reshape(4, 2)
        assert np.abs(points - half_widths(QUAD, *SIZE)).max() < 0.25 * 2.0 / SIZE[0]
        np.testing.assert_array_equal(frame.confidence, 1.0)
        assert [field.name for field in cloud.fields] == ["x", "y", "confidence", "id"]
        assert cloud_columns(cloud, ("x", "confidence"))["x"].size == 4
        drawn = peer.heard["/feature_node/annotated"][-1]
        assert (drawn.encoding, drawn.width, drawn.height) == ("rgb8", *SIZE)
        # A click on the page: the points are wanted there, as they lie to each other.
        target = click(peer, node, 0.75, 0.5)
        np.testing.assert_allclose(target.mean(axis=0), [0.5, 0.0], atol=1e-9)
        np.testing.assert_allclose(target - target.mean(axis=0), points - points.mean(axis=0), atol=1e-9)
        # A second camera on the topic: nobody knows whose images are meant.
        second = peer.add_node("second").create_publisher(Image, "/image", 1)
        peer.until(lambda: "two publishers" in node.output, "the warning")
        second.publish(image(1.3))
        images.publish(image(1.4))
        peer.until(lambda: "two publishers" in refused(peer), "the refusal")
        assert len(stamps(peer)) == 3 and node.running
        node.signal(2)
        assert node.wait() == 0 and "Traceback" not in node.output


def test_a_method_that_is_not_there_ends_the_node_in_one_line():
    with ros(("feature_node", {"method": "arucco"})) as (_, node):
        assert node.wait() == 2
        assert "did you mean 'aruco'" in node.output and "Traceback" not in node.output
