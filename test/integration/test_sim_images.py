"""sim_node with images over DDS: stamped images in lockstep, which the next state waits for; and in real time."""

import numpy as np
import pytest

from mbrl_ros.messages import readers
from mbrl_ros.types import FeatureFrame
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import ros

if present("rclpy"):
    from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
    from std_msgs.msg import Float64MultiArray

    from mbrl_ros.nodes import message_writers

pytestmark = needs("rclpy", "mujoco")

SIMULATION = {
    "robot.interface": "effort",
    "plant.rate": 50.0,
    "plant.timestep": 0.01,
    "robot_description": planar_arm().replace("\n", " ").replace('"', "'"),
    "camera.rate": 25.0,
    "camera.width": 64,
    "camera.height": 48,
    "images": True,
    "autostart": False,
}


def listen(peer) -> list:
    """The order in which messages come."""
    order = []
    for kind, topic in ((Image, "/image"), (CameraInfo, "/camera_info"), (JointState, "/joint_states")):
        peer.node.create_subscription(kind, topic, lambda m, topic=topic: order.append((topic, m)), 50)
    return order


def test_in_lockstep_a_state_waits_for_the_features_of_the_image_before_it():
    with ros(("sim_node", {**SIMULATION, "lockstep": True, "images_answered": True, "duration": 0.08})) as (peer, sim):
        order = listen(peer)
        commands = peer.publisher(Float64MultiArray, "/commands")
        features = peer.node.create_publisher(PointCloud2, "/features", 50)
        peer.until(lambda: peer.node.count_publishers("/image") or not sim.running, "the images")
        peer.until(lambda: features.get_subscription_count() or "no images" in sim.output, "sim_node's images")
        if "no images" in sim.output:
            pytest.skip(sim.output)
        peer.call("/sim_node/start")
        peer.processes.remove(sim)
        done, repeated = 0, 0

        def answer() -> bool:
            nonlocal done, repeated
            for topic, message in order[done:]:
                stamp = readers.seconds(message.header.stamp)
                if topic == "/image" and repeated < 1:
                    repeated += 1  # the first answer is lost: the image is sent again
                elif topic == "/image":
                    features.publish(message_writers.to_cloud(FeatureFrame(stamp, np.zeros(2), np.zeros(1))))
                elif topic == "/joint_states":
                    commands.publish(message_writers.to_command(stamp, np.zeros(2)))
            done = len(order)
            return not sim.running

        peer.until(answer, "the end of the simulation")
        assert sim.wait() == 0, sim.output
    seen = [(topic, readers.seconds(message.header.stamp)) for topic, message in order if topic != "/camera_info"]
    start = seen[0][1]
    assert list(dict.fromkeys((topic, round(stamp - start, 3)) for topic, stamp in seen)) == [
        ("/image", 0.0),
        ("/joint_states", 0.0),
        ("/joint_states", 0.02),
        ("/image", 0.04),
        ("/joint_states", 0.04),
        ("/joint_states", 0.06),
    ]
    image = next(message for topic, message in order if topic == "/image")
    info = next(message for topic, message in order if topic == "/camera_info")
    assert (image.encoding, image.width, image.height, image.step) == ("rgb8", 64, 48, 192)
    assert len(image.data) == 64 * 48 * 3 and np.ptp(np.array(image.data)) > 50
    assert info.header.stamp == image.header.stamp and info.k[2] == 31.5
    assert info.k[0] == pytest.approx(32.0 * np.sqrt(3.0))  # of an opening angle of 60 degrees


def test_in_real_time_images_keep_the_stamps_of_their_exposure():
    with ros(("sim_node", {**SIMULATION, "brakes": False})) as (peer, sim):
        order = listen(peer)
        peer.until(lambda: peer.node.count_publishers("/image"), "the images")
        peer.call("/sim_node/start")
        peer.until(
            lambda: sum(topic == "/image" for topic, _ in order) > 2 or "no images" in sim.output, "three images"
        )
        if "no images" in sim.output:
            pytest.skip(sim.output)
    stamps = [readers.seconds(message.header.stamp) for topic, message in order if topic == "/image"]
    periods = np.diff(stamps) / 0.04
    assert (periods > 0.5).all() and np.allclose(periods, np.rint(periods), atol=1e-3)
