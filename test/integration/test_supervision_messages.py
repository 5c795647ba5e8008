"""Samples and policies over the wire: there and back, and what is refused."""

import numpy as np
import pytest

from mbrl_ros.distillation.fit import fit
from mbrl_ros.exceptions import DataError
from mbrl_ros.messages.supervision import read
from support.needs import needs, present
from support.robots import planar_robot
from support.teaching import SETTINGS, sample, taught_samples

if present("rclpy"):
    from std_msgs.msg import Float64MultiArray

    from mbrl_ros.nodes import supervision_messages

pytestmark = needs("rclpy")


def test_a_sample_survives_the_wire():
    P = np.array([[2.0, 0.1, 0.2], [0.1, 3.0, 0.3], [0.2, 0.3, 4.0]])
    sent = sample(12.5, q=0.3, P=P, epoch=7, a=np.array([1.0, 2.0, 3.0]))
    received, sequence = read(supervision_messages.to_message(sent, 42, "/left/mpc_node"))
    assert sequence == 42 and received.source == "/left/mpc_node" and received.kind == "point" and received.epoch == 7
    for name in ("target", "q", "qd", "a", "w", "u", "P"):
        assert np.array_equal(getattr(received, name), getattr(sent, name)), name


def test_messages_that_are_no_samples_are_refused():
    with pytest.raises(DataError, match="not a mbrl_ros/supervision/1"):
        read(Float64MultiArray(data=[1.0, 2.0]))
    cut = supervision_messages.to_message(sample(0.0), 1, "a")
    cut.data = cut.data[:-1]
    with pytest.raises(DataError, match="sizes"):
        read(cut)
    unnamed = supervision_messages.to_message(sample(0.0), 1, "a")
    unnamed.layout.dim[8].label = "x"
    with pytest.raises(DataError, match="missing"):
        read(unnamed)
    wild = supervision_messages.to_message(sample(np.inf), 1, "a")
    with pytest.raises(DataError, match="not finite"):
        read(wild)


def test_a_policy_survives_the_wire_and_a_damaged_one_does_not():
    robot = planar_robot(3)
    policy, _ = fit(taught_samples(robot, 300), robot, "point", SETTINGS.replace(iterations=3))
    message = supervision_messages.to_policy_message(policy)
    assert np.array_equal(supervision_messages.read_policy(message).theta, policy.theta)
    message.data[len(message.data) // 2] ^= 1
    with pytest.raises(DataError, match="checksum"):
        supervision_messages.read_policy(message)
