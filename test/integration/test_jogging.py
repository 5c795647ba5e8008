"""Jogs over DDS: the arm moves and stops, bad messages are counted and do nothing, a recording replays to the bit."""

import numpy as np
import pytest

from support.needs import needs, present
from support.simulated_arm import DT, JOINTS, simulated_arm

if present("rclpy"):
    from geometry_msgs.msg import TwistStamped
    from sensor_msgs.msg import JointState

    from mbrl_ros.nodes import message_writers

pytestmark = needs("rclpy", "rosbags")
NO_ROTATIONS = {"reference.rotation_weights": [0.0, 0.0, 0.0]}
PERIOD = 2  # states


def twist(x=0.0, z=0.0, frame="", stamp=0.0) -> "TwistStamped":
    message = TwistStamped()
    message.header.frame_id, message.header.stamp = frame, message_writers.to_time(stamp)
    message.twist.linear.x, message.twist.linear.z = x, z
    return message


def velocities(names=JOINTS[:1], values=(0.5,)) -> "JointState":
    return JointState(name=list(names), velocity=list(values))


def jogged(arm, publisher, message, periods: int) -> None:
    """Send the message every PERIOD states, each so that it is there before the next state."""
    for _ in range(periods // PERIOD):
        publisher.publish(message)
        arm.wait(0.03)
        arm.run(PERIOD * DT)


def values_of(arm, part: str) -> dict[str, str]:
    """The newest diagnostics of a part of mpc_node, as text by key."""
    found = {}
    for array in arm.peer.heard["/diagnostics"]:
        for status in array.status:
            if status.name.endswith(part):
                found = {value.key: value.value for value in status.values}
    return found


@pytest.mark.slow
def test_jogs_move_the_arm_bad_ones_are_counted_and_the_recording_replays_to_the_last_bit(tmp_path):
    from mbrl_ros.replay import ReplayOptions, replay

    bag = tmp_path / "bag"
    with simulated_arm(tmp_path, recorded=bag, **NO_ROTATIONS) as arm:
        twists = arm.peer.publisher(TwistStamped, "/mpc_node/target_twist", 2)
        joints = arm.peer.publisher(JointState, "/mpc_node/target_velocities", 2)
        arm.begin()
        arm.run(0.5)
        before = arm.q.copy()
        jogged(arm, joints, velocities(), 60)
        assert arm.q[0] - before[0] > 0.15 and abs(arm.q[1] - before[1]) < 0.02
        arm.run(1.0)
        assert np.abs(arm.qd).max() < 0.03  # nothing came any more
        at_rest = arm.q.copy()
        for bad in (
            twist(float("nan")),
            twist(0.1, frame="camera"),
            twist(100.0),
            twist(0.1, stamp=arm.time - 1.0),
            twist(0.1, stamp=arm.time + 5.0),
        ):
            twists.publish(bad)
        joints.publish(velocities(("finger",)))
        arm.wait(0.1)
        arm.run(1.0)
        assert np.abs(arm.q - at_rest).max() < 0.02
        jogged(arm, twists, twist(0.0, 0.1, stamp=0.0), 60)
        assert np.abs(arm.q - at_rest).max() > 0.05
        arm.run(1.5)
        arm.peer.until(lambda: values_of(arm, "targets").get("jogs accepted") == "62", "the diagnostics")
        counted = values_of(arm, "targets")
        assert arm.node.output.count("target refused") == 4  # once for each kind
        arm.end_in_order()
    for kind in (
        "target_twist: not finite",
        "target_twist: unknown frame",
        "target_twist: too fast",
        "target_velocities: unknown joint",
        "twist: too old",
        "twist: in the future",
    ):
        assert counted[f"refused: {kind}"] == "1" and counted[f"last {kind}"]
    made = [replay(ReplayOptions(bag)).summary for _ in range(2)]
    assert made[0]["commands_sha256"] == made[1]["commands_sha256"]
    difference = made[0]["difference"]
    assert difference["identical"] == difference["compared"] >= 450


@needs("control_msgs")
def test_joint_jogs_of_control_msgs_are_taken_and_recorded_as_joint_states(tmp_path):
    from control_msgs.msg import JointJog

    from mbrl_ros.replay import ReplayOptions, replay

    bag = tmp_path / "bag"
    with simulated_arm(tmp_path, recorded=bag) as arm:
        jogs = arm.peer.publisher(JointJog, "/mpc_node/target_jog", 1)
        arm.peer.until(lambda: arm.peer.node.count_subscribers("/mpc_node/accepted_jog") == 1, "the recorder")
        arm.begin()
        before = arm.q.copy()
        jogged(arm, jogs, JointJog(joint_names=[JOINTS[1]], velocities=[0.4]), 60)
        jogs.publish(JointJog(joint_names=[JOINTS[1]], velocities=[0.4], displacements=[0.1]))
        arm.run(1.0)
        assert arm.q[1] - before[1] > 0.1 and abs(arm.q[0] - before[0]) < 0.02
        arm.end_in_order()
    difference = replay(ReplayOptions(bag)).summary["difference"]
    assert difference["identical"] == difference["compared"] >= 150
