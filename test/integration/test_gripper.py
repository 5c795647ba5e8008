"""A gripper's commands over DDS: passed on while the node is active and there is no fault, and counted."""

import pytest

from support.needs import needs, present
from support.ros import PANDA, Listening, ros, state

pytestmark = needs("rclpy", "mujoco", "example-robot-data")

if present("rclpy", "mujoco"):
    from std_msgs.msg import Float64MultiArray
    from std_srvs.srv import Trigger

SETTINGS = {**PANDA, "lockstep": True, "gripper_joints": ["panda_finger_joint1"]}


def test_a_grippers_commands_pass_unless_there_is_a_fault():
    with ros(("mpc_node", SETTINGS)) as (peer, _):
        node = Listening(peer)
        peer.listen(Float64MultiArray, "/gripper_commands")
        gripper, sent, said = (
            peer.publisher(Float64MultiArray, "/mpc_node/gripper"),
            peer.heard["/gripper_commands"],
            peer.heard["/mpc_node/message"],
        )
        node.begin(state(1.0))
        gripper.publish(Float64MultiArray(data=[0.02]))
        peer.until(lambda: [list(message.data) for message in sent] == [[0.02]], "the command")
        gripper.publish(Float64MultiArray(data=[1.0]))
        peer.until(lambda: len(sent) == 2, "the limited command")
        assert sent[-1].data[0] == pytest.approx(0.04)
        gripper.publish(Float64MultiArray(data=[0.01, 0.01]))
        peer.until(lambda: any("~/gripper refused: 2 positions" in text.data for text in said), "the refusal")

        stop = peer.node.create_client(Trigger, "/mpc_node/e_stop")
        peer.until(stop.service_is_ready, "the service")
        answer = stop.call_async(Trigger.Request())
        peer.until(answer.done, "the emergency stop")
        for k in range(1, 3):
            node.states.publish(state(1.0 + 0.005 * k))
            node.answered(1.0 + 0.005 * k)
        gripper.publish(Float64MultiArray(data=[0.0]))
        peer.until(lambda: any("the gripper stays as it is" in text.data for text in said), "the second refusal")
        assert len(sent) == 2  # what it holds does not fall
        peer.until(lambda: node.diagnosis("gripper").get("commands refused") == "2", "the count")
