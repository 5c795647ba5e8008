"""mpc_node publishes its plan's law as a Control of linear_feedback_controller_msgs, and none when it stops."""

import signal

import numpy as np
import pytest

from support.launching import JOINTS
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import ros, state

if present("rclpy"):
    from sensor_msgs.msg import JointState
if present("linear_feedback_controller_msgs"):
    from linear_feedback_controller_msgs.msg import Control

pytestmark = needs("rclpy")


def node_settings(folder) -> dict:
    """An arm of two joints moved by efforts, answered in lockstep."""
    file = folder / "arm.urdf"
    file.write_text(planar_arm(2))
    robot = {"robot.description": str(file), "robot.interface": "effort", "robot.joints": JOINTS}
    planner = {"planner.horizon": 10, "control.rate": 100.0, "lockstep": True}
    return {**robot, **planner, "supervisor.ramp_time_effort": 0.0, "feedback_commands": True}


@needs("linear_feedback_controller_msgs")
def test_the_law_is_published_and_after_a_stop_the_command_alone(tmp_path):
    with ros(("mpc_node", node_settings(tmp_path))) as (peer, node):
        laws = peer.listen(Control, "/feedback_commands") or peer.heard["/feedback_commands"]
        states = peer.publisher(JointState, "/joint_states")
        for k in range(12):
            message, before = state(1.0 + 0.01 * k, (-1.5, 0.1), (0.0, 0.0), JOINTS), len(laws)
            peer.send_until(states, message, lambda before=before: len(laws) > before, f"law {k}")
        acting = laws[-1]
        K = np.reshape(acting.feedback_gain.data, (2, 4))
        assert (np.diag(K[:, :2]) > 0.0).all() and (np.diag(K[:, 2:]) > 0.0).all()  # it pulls back, and brakes
        assert list(acting.initial_state.joint_state.name) == JOINTS
        assert np.abs(np.array(acting.initial_state.joint_state.position) - (-1.5, 0.1)).max() < 0.1
        assert peer.call("/mpc_node/e_stop")[0]
        peer.until(lambda: not any(laws[-1].feedback_gain.data), "the law without feedback")
        node.signal(signal.SIGINT)
        assert node.wait() == 0, node.output
        peer.spin()
        assert not any(laws[-1].feedback_gain.data) and np.isfinite(laws[-1].feedforward.data).all()


@pytest.mark.slow
@pytest.mark.skipif(present("linear_feedback_controller_msgs"), reason="the package is installed")
def test_without_the_package_the_node_says_so_in_one_line(tmp_path):
    with ros(("mpc_node", node_settings(tmp_path))) as (_, node):
        assert node.wait() != 0
        assert node.output.count("linear_feedback_controller_msgs, which is not installed") == 1, node.output
