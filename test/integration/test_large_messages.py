"""Messages that are far too large reach mpc_node over real DDS while it controls: counted, and nothing else."""

from array import array

import numpy as np
import pytest

from mbrl_ros.messages.message_size import dimensions_of, largest_sizes, stamp_of
from support.needs import needs, present
from support.replay_bags import RATE, SETTINGS, START
from support.ros import Listening, ros, state

if present("rclpy"):
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import JointState, PointCloud2, PointField
    from std_msgs.msg import Float64MultiArray, MultiArrayDimension, String, UInt8MultiArray
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    from mbrl_ros.nodes.message_writers import to_time

pytestmark = needs("rclpy")

ARM = ["joint1", "joint2"]
COUNT = 100_000  # names, points, bytes / 320


def many_names(stamp):
    """A state of the arm's joints and very many others."""
    names = ARM + [f"gripper_finger_{i}" for i in range(2 * COUNT)]
    values = array("d", bytes(8 * len(names)))
    message = JointState(name=names, position=values, velocity=values)
    message.header.stamp = to_time(stamp)
    return message


def many_points(stamp):
    """A trajectory of the arm with very many points."""
    points = []
    for k in range(COUNT):
        point = JointTrajectoryPoint(positions=[0.1, 0.1])
        point.time_from_start.sec, point.time_from_start.nanosec = divmod(10_000_000 * (k + 1), 10**9)
        points.append(point)
    message = JointTrajectory(joint_names=ARM, points=points)
    message.header.stamp = to_time(stamp)
    return message


def cloud(stamp, size):
    """A cloud of `size` bytes."""
    fields = [PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate("xy")]
    count = size // 8
    message = PointCloud2(height=1, width=count, fields=fields, point_step=8, row_step=8 * count)
    message.data = array("B", bytes(8 * count))
    message.header.stamp = to_time(stamp)
    return message


@pytest.mark.slow
def test_large_messages_are_counted_and_the_node_goes_on(tmp_path):
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(SETTINGS["robot.description"])
    with ros(("mpc_node", {**SETTINGS, "robot.description": str(urdf), "features.points": 1})) as (peer, node):
        listening = Listening(peer)
        listening.begin(state(START, [0.0, 0.0], [0.0, 0.0], ARM))
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        description = peer.node.create_publisher(String, "/robot_description", latched)
        large = {
            "states": (listening.states, many_names),
            "cloud": (peer.publisher(PointCloud2, "/features"), lambda stamp: cloud(stamp, 320 * COUNT)),
            "description": (description, lambda stamp: String(data="<robot/>" + " " * 20_000_000)),
            "target": (peer.publisher(JointState, "/mpc_node/target_joints"), many_names),
            "trajectory": (peer.publisher(JointTrajectory, "/mpc_node/target_trajectory"), many_points),
        }
        counts = {
            ("joint_states", "rejected: too large"): "1",
            ("features", "rejected: too large"): "1",
            ("targets", "refused: target_joints: too large"): "1",
            ("targets", "refused: target_trajectory: too large"): "1",
            ("control loop", "too large: robot_description"): "1",
        }
        k = 0

        def answered():
            nonlocal k
            k += 1
            stamp = START + k / RATE
            listening.states.publish(state(stamp, [0.001 * k, 0.0], [0.001 * RATE, 0.0], ARM))
            assert np.isfinite(listening.answered(stamp).data).all()

        for publisher, make in large.values():
            publisher.publish(make(START + (k + 0.5) / RATE))
            for _ in range(5):
                answered()
        peer.until(lambda: "robot_description: a message of 20000" in node.output, "the description's refusal")

        def counted():
            answered()
            return all(listening.diagnosis(part).get(key) == count for (part, key), count in counts.items())

        peer.until(counted, f"the counts; the last diagnostics: {[listening.diagnosis(part) for part, _ in counts]}")
        found = listening.diagnosis("joint_states")
        assert [key for key in found if key.startswith("rejected")] == ["rejected: too large"]  # of the good ones none
        assert "bytes" in found["last too large"] and found["restarts"] == "0"
        assert listening.diagnosis("targets")["accepted"] == "0"


@pytest.mark.slow
def test_a_large_status_of_the_guard_is_refused_and_the_node_goes_on(tmp_path):
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(SETTINGS["robot.description"])
    settings = {**SETTINGS, "robot.description": str(urdf), "guard": "guard_node"}
    with ros(("guard_node", {}), ("mpc_node", settings)) as (peer, _, node):
        listening = Listening(peer)
        listening.begin(state(START, [0.0, 0.0], [0.0, 0.0], ARM))
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = peer.node.create_publisher(Float64MultiArray, "/guard_node/guard_status", latched)
        peer.until(lambda: publisher.get_subscription_count() >= 1, "its reader")
        message = Float64MultiArray(data=array("d", bytes(8 * 20 * COUNT)))
        message.layout.dim = [MultiArrayDimension(label="x" * 100)] * COUNT
        peer.send_until(publisher, message, lambda: "guard_status: a message of " in node.output, "its refusal")
        for k in range(1, 20):
            stamp = START + k / RATE
            listening.states.publish(state(stamp, [0.001 * k, 0.0], [0.001 * RATE, 0.0], ARM))
            assert np.isfinite(listening.answered(stamp).data).all()
        assert "not a mbrl_ros/guard_status" not in node.output  # as it says of one that it has read


@pytest.mark.slow
def test_a_target_within_the_bound_is_read_as_before(tmp_path):
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(SETTINGS["robot.description"])
    with ros(("mpc_node", {**SETTINGS, "robot.description": str(urdf)})) as (peer, _):
        listening = Listening(peer)
        listening.begin(state(START, [0.0, 0.0], [0.0, 0.0], ARM))
        message = many_points(0.0)
        message.points = message.points[:500]
        for point in message.points:
            point.velocities, point.accelerations = [0.0, 0.0], [0.0, 0.0]
        peer.publisher(JointTrajectory, "/mpc_node/target_trajectory").publish(message)
        k = 0

        def accepted():
            nonlocal k
            k += 1
            listening.states.publish(state(START + k / RATE, [0.0, 0.0], [0.0, 0.0], ARM))
            listening.answered(START + k / RATE)
            return any("target accepted: joints [0.1, 0.1]" in m.data for m in peer.heard["/mpc_node/message"])

        peer.until(accepted, "the trajectory's acceptance")


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", (1, 7, 64))
def test_what_the_joints_need_is_within_the_bounds(n):
    sizes, names = largest_sizes(n, 8, 4096), [f"{'joint' * 40}{i}" for i in range(n)]  # names of 200 characters
    values = [1.0] * n
    full = JointState(name=names, position=values, velocity=values, effort=values)
    assert len(serialize_message(full)) < sizes["joint_states"]
    point = JointTrajectoryPoint(positions=values, velocities=values, accelerations=values)
    trajectory = JointTrajectory(joint_names=names, points=[point] * 500)
    assert len(serialize_message(trajectory)) < sizes["target_trajectory"]
    assert len(serialize_message(cloud(1.0, 8 * 8))) < sizes["features"]


def test_the_head_of_a_message_is_read_from_its_bytes():
    raw = serialize_message(state(12.000000345, [0.0, 0.0], [0.0, 0.0], ARM))
    assert stamp_of(raw) == 12.000000345
    assert stamp_of(b"\x00\x01\x00\x00\x01") == 0.0
    swapped = bytes([0, 0, 0, 0]) + (7).to_bytes(4, "big") + (500_000_000).to_bytes(4, "big")
    assert stamp_of(swapped) == 7.5 and dimensions_of(swapped) == 7
    message = UInt8MultiArray()
    message.layout.dim = [MultiArrayDimension(label="a")] * 3
    assert dimensions_of(serialize_message(message)) == 3 and dimensions_of(b"") == -1
