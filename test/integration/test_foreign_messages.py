"""Messages that are not the robot's: they cause no command, whatever state the node is in."""

import pytest

from support.needs import needs, present
from support.ros import PANDA, Listening, ros, state

pytestmark = needs("rclpy", "mujoco", "example-robot-data")

if present("rclpy", "mujoco"):
    from lifecycle_msgs.srv import ChangeState

    from mbrl_ros.messages import readers

LOCKSTEP = {**PANDA, "lockstep": True}
GRIPPER = ("panda_finger_joint1", "panda_finger_joint2")


def gripper(stamp: float):
    return state(stamp, (0.01, 0.01), (0.0, 0.0), GRIPPER)


def change(peer, transition: int) -> None:
    """Let mpc_node make a transition of its life cycle."""
    request = ChangeState.Request()
    request.transition.id = transition
    client = peer.node.create_client(ChangeState, "/mpc_node/change_state")
    peer.until(client.service_is_ready, "the service of the life cycle")
    future = client.call_async(request)
    peer.until(future.done, "the transition")
    assert future.result().success


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

        change(peer, 4)  # TRANSITION_DEACTIVATE
        peer.heard["/commands"].clear()  # the last of them is the safe command
        for k in range(40):
            node.states.publish(gripper(1.1))
            node.states.publish(state(1.1))
            node.states.publish(gripper(1.105 + 0.005 * k))
        change(peer, 3)  # TRANSITION_ACTIVATE
        node.states.publish(state(1.5))
        node.answered(1.5)
        assert [stamp for stamp in answers(peer) if stamp != pytest.approx(1.1)] == [1.5]
        assert len(answers(peer)) <= 2  # the safe command may have been under way
