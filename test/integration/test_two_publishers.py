"""Two publishers of the joint states of one arm, over DDS: mpc_node sends no command before it knows whose they are."""

import numpy as np
import pytest

from support.needs import needs, present
from support.ros import HOME, PANDA, Listening, ros, state

pytestmark = needs("rclpy", "mujoco", "example-robot-data")

if present("rclpy", "mujoco"):
    from sensor_msgs.msg import JointState

    from mbrl_ros.messages import readers

# time-outs that a busy machine does not reach: what is judged here are the stamps
SLOW = {**PANDA, "control.rate": 50.0, "control.state_timeout": 10.0, "supervisor.stale_limit": 20.0}
PERIOD, BEGIN = 0.02, 1.0  # [s]
ALONE = 0.5  # [s]
ZEROS = [0.0] * len(HOME)


class Arm:
    """The arm's driver in this process: a state per step, which the controller has time to take."""

    def __init__(self, node: Listening):
        self._node, self.k = node, 0

    @property
    def stamp(self) -> float:
        """Of the next state [s]."""
        return BEGIN + PERIOD * self.k

    def step(self, second=None) -> bool:
        """Send a state, and before it one of `second`, a publisher of zeros; return True."""
        if second is not None:
            second.publish(state(self.stamp - 0.003, ZEROS))
        self._node.states.publish(state(self.stamp))
        self.k += 1
        self._node.peer.spin()
        return True

    def answered(self) -> list[float]:
        """The stamps of the states that were answered."""
        return [readers.answered_stamp(message) for message in self._node.peer.heard["/commands"]]


def said(node: Listening) -> list[str]:
    return [message.data for message in node.peer.heard["/mpc_node/message"]]


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_of_two_publishers_from_the_first_moment_on_none_is_answered_until_one_has_gone(interface):
    with ros(("mpc_node", {**SLOW, "robot.interface": interface})) as (peer, _):
        forgotten = peer.add_node("joint_state_publisher")
        second = forgotten.create_publisher(JointState, "/joint_states", 10)
        node = Listening(peer)
        arm = Arm(node)
        peer.until(lambda: second.get_subscription_count() > 0, "the reader of the second publisher")
        peer.until(lambda: arm.step(second) and any("two publishers" in text for text in said(node)), "the report")
        for _ in range(100):
            arm.step(second)
        assert arm.answered() == []
        (text,) = (text for text in said(node) if "two publishers" in text)
        assert text.startswith("no command leaves: ") and "~/resume" not in text
        assert "/joint_state_publisher" in text and "/peer" in text

        alone = arm.stamp
        forgotten.destroy_publisher(second)
        peer.until(lambda: arm.step() and arm.answered(), "the first command")
        assert arm.answered()[0] >= alone + ALONE
        assert np.isfinite(peer.heard["/commands"][0].data).all()


@pytest.mark.slow
def test_the_states_of_one_publisher_are_answered_after_half_a_second():
    with ros(("mpc_node", SLOW)) as (peer, _):
        arm = Arm(Listening(peer))
        peer.until(lambda: arm.step() and arm.answered(), "the first command")
        first = arm.answered()[0]
        assert first >= BEGIN + ALONE - 1e-6
        peer.until(lambda: arm.step() and len(arm.answered()) > 5, "more commands")


@pytest.mark.slow
def test_a_simulation_whose_time_waits_for_the_first_command_is_answered():
    with ros(("mpc_node", SLOW)) as (peer, _):
        node = Listening(peer)
        node.begin(state(BEGIN))  # the same state again and again
        node.states.publish(state(BEGIN + PERIOD))
        node.answered(BEGIN + PERIOD)


@pytest.mark.slow
def test_in_lockstep_the_first_state_is_answered_at_once():
    with ros(("mpc_node", {**PANDA, "lockstep": True})) as (peer, _):
        node = Listening(peer)
        node.begin(state(BEGIN))
        for k in range(1, 5):
            node.states.publish(state(BEGIN + 0.005 * k))
            node.answered(BEGIN + 0.005 * k)
        assert [readers.answered_stamp(message) for message in peer.heard["/commands"]][-4:] == pytest.approx(
            [BEGIN + 0.005 * k for k in range(1, 5)]
        )
