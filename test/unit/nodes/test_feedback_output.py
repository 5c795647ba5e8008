"""The message for linear_feedback_controller: the order of its numbers, their layout, and where it cannot be had."""

import dataclasses
import importlib
from typing import Any

import numpy as np
import pytest

from mbrl_ros.config.sections.nodes import NodeSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots import load_robot
from mbrl_ros.runtime.linear_feedback import LinearFeedback
from support.needs import needs, present
from support.robots import planar_arm, planar_robot, two_arms

pytestmark = needs("rclpy")

if present("rclpy"):
    from geometry_msgs.msg import Pose, Twist
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, Header

    from mbrl_ros.nodes import feedback_output

    @dataclasses.dataclass
    class Sensor:
        """The fields of linear_feedback_controller_msgs/Sensor."""

        header: Any = dataclasses.field(default_factory=Header)
        base_pose: Any = dataclasses.field(default_factory=Pose)
        base_twist: Any = dataclasses.field(default_factory=Twist)
        joint_state: Any = dataclasses.field(default_factory=JointState)
        contacts: list = dataclasses.field(default_factory=list)

    @dataclasses.dataclass
    class Control:
        """The fields of linear_feedback_controller_msgs/Control."""

        header: Any = dataclasses.field(default_factory=Header)
        feedback_gain: Any = dataclasses.field(default_factory=Float64MultiArray)
        feedforward: Any = dataclasses.field(default_factory=Float64MultiArray)
        initial_state: Any = dataclasses.field(default_factory=Sensor)


def matrix(message) -> np.ndarray:
    """What the controller reads: row after row, with both strides as it checks them."""
    rows, columns = message.layout.dim
    assert (rows.stride, columns.stride) == (rows.size * columns.size, columns.size)
    assert message.layout.data_offset == 0 and len(message.data) == rows.stride
    return np.reshape(message.data, (rows.size, columns.size))


def test_the_numbers_stand_in_the_order_of_the_controller_s_model():
    n = 2
    law = LinearFeedback(np.array([1.0, 2.0]), np.arange(8.0).reshape(2, 4), np.array([0.1, 0.2]), np.array([0.3, 0.4]))
    message = feedback_output.to_control((Control, Sensor), 1.5, law, ("joint2", "joint1"), np.array([1, 0]))
    state = message.initial_state
    assert list(state.joint_state.name) == ["joint1", "joint2"]
    q, qd, u, K = (
        np.array(state.joint_state.position),
        np.array(state.joint_state.velocity),
        matrix(message.feedforward),
        matrix(message.feedback_gain),
    )
    assert u.shape == (n, 1) and K.shape == (n, 2 * n)
    away = np.array([0.05, -0.02]), np.array([-0.3, 0.7])  # of joint1, joint2
    expected = law.command(np.array([0.2, 0.1])[[1, 0]] + away[0][[1, 0]], law.qd + away[1][[1, 0]])
    assert u[:, 0] + K @ -np.concatenate(away) == pytest.approx(expected[[1, 0]])
    assert q == pytest.approx([0.2, 0.1]) and qd == pytest.approx([0.4, 0.3])
    assert state.base_pose.orientation.w == 1.0 and not state.contacts
    stamps = [message.header.stamp, state.header.stamp, state.joint_state.header.stamp]
    assert [(stamp.sec, stamp.nanosec) for stamp in stamps] == [(1, 500000000)] * 3


def test_the_order_is_depth_first_and_by_the_joints_names():
    joints = ["right_joint2", "left_joint2", "right_joint1", "left_joint1"]
    robot = load_robot(RobotSettings(interface="effort", joints=tuple(joints), tip="left_tip"), two_arms())
    order = feedback_output.model_order(robot)
    assert [robot.joints[i] for i in order] == ["left_joint1", "left_joint2", "right_joint1", "right_joint2"]
    turned = load_robot(RobotSettings(interface="effort", joints=("joint2", "joint1")), planar_arm())
    assert [turned.joints[i] for i in feedback_output.model_order(turned)] == ["joint1", "joint2"]


@pytest.mark.parametrize("other", ({"player_rate": 500.0}, {"guard": "guard_node"}, {"shadow": True}))
def test_what_would_act_besides_it_is_refused(other):
    feedback_output.check_feedback(planar_robot(), NodeSettings(feedback_commands=True))
    with pytest.raises(ConfigurationError, match=next(iter(other))):
        feedback_output.check_feedback(planar_robot(), NodeSettings(feedback_commands=True, **other))


def test_a_robot_without_efforts_is_refused():
    with pytest.raises(ConfigurationError, match="velocity"):
        feedback_output.check_feedback(planar_robot(interface="velocity"), NodeSettings(feedback_commands=True))


def test_without_its_package_the_output_is_refused_in_one_line(monkeypatch):
    def missing(name, package=None):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match="linear_feedback_controller_msgs, which is not installed"):
        feedback_output.message_classes()
