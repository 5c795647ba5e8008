"""Messages that are not the robot's: they cause no command, whatever state the node is in."""

import pytest

from support.needs import needs, present
from support.ros import LOCKSTEP, Listening, ros, state

pytestmark = needs("rclpy", "mujoco", "example-robot-data")

if present("rclpy", "mujoco"):
    from lifecycle_msgs.srv import ChangeState

    from mbrl_ros.messages import readers

GRIPPER = ("panda_finger_joint1", "panda_finger_joint2")


def gripper(stamp: float):
    return state(stamp, (0.01, 0.01), (0.0, 0.0), GRIPPER)


def answers(peer) -> list[float]:
    return [readers.answered_stamp(message) for message in peer.heard["/commands"]]


def test_a_grippers_states_with_the_arms_stamps_cause_no_command():
    with ros(("mpc_node", LOCKSTEP)) as (peer, _):
        node = Listening(peer)
        node.begin(state(1.0))
        peer.heard["/commands"].clear()
        for k in range(1, 20):
            node.states.publish(state(1.0 + 0.005 * k))
            node.states.publish(gripper(1.0 + 0.005 * k))
        node.answered(1.095)
        node.states.publish(state(1.1))
        node.answered(1.1)
        assert answers(peer) == pytest.approx([1.0 + 0.005 * k for k in range(1, 21)])  # each once, in order

        node.states.publish(state(1.1))  # the same again: its answer may have been lost
        peer.until(lambda: len(answers(peer)) == 21, "the answer again")
        assert answers(peer)[-1] == pytest.approx(1.1)

        request = ChangeState.Request()
        request.transition.id = 4  # TRANSITION_DEACTIVATE
        client = peer.node.create_client(ChangeState, "/mpc_node/change_state")
        peer.until(client.service_is_ready, "the service of the life cycle")
        future = client.call_async(request)
        peer.until(future.done, "the transition")
        assert future.result().success
        sent = len(answers(peer))  # the safe command is the last one
        for k in range(40):
            node.states.publish(gripper(1.1))
            node.states.publish(state(1.1))
            node.states.publish(gripper(1.105 + 0.005 * k))
        node.states.publish(state(2.0))
        peer.until(lambda: int(node.diagnosis("joint_states").get("rejected: missing joints", 0)) >= 99, "rejections")
        assert len(answers(peer)) <= sent + 1  # one more if the safe command was still under way
