"""sim.launch.py, run by the real launch system: a simulated robot reaches its target, and all processes end."""

import numpy as np
import pytest

from mbrl_ros.messages import readers
from support.launching import JOINTS, PERIOD, launched, planar_parameters, shipped
from support.needs import needs, present

if present("rclpy"):
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray

pytestmark = needs("launch_pytest", "launch_ros", "rclpy", "mujoco", "package mbrl_ros")

TARGET = [-0.2, 0.5]  # [rad]


@launched(scope="module")
def simulated(tmp_path_factory, exits):
    params_file = planar_parameters(tmp_path_factory.mktemp("sim"))
    return shipped("sim.launch.py", exits, params_file=params_file, namespace="left", lockstep="true")


@pytest.mark.launch(fixture=simulated)
def test_a_simulated_robot_reaches_its_target_in_its_namespace(peer):
    peer.listen(JointState, "/left/joint_states")
    peer.listen(Float64MultiArray, "/left/commands")
    target = JointState(name=JOINTS, position=TARGET)
    publisher = peer.publisher(JointState, "/left/mpc_node/target_joints")
    peer.send_until(
        publisher,
        target,
        lambda: (
            peer.heard["/left/joint_states"]
            and np.allclose(peer.heard["/left/joint_states"][-1].position, TARGET, atol=0.02)
        ),
        "the target",
    )
    stamps = [readers.seconds(message.header.stamp) for message in peer.heard["/left/joint_states"]]
    assert np.diff(sorted(set(stamps))) == pytest.approx(PERIOD, abs=1e-6)  # the rate of the parameter file
    assert all(len(command.data) == len(JOINTS) for command in peer.heard["/left/commands"])


@pytest.mark.launch(fixture=simulated, shutdown=True)
def test_all_processes_end_in_order(exits):
    assert exits == {"mpc_node": 0, "sim_node": 0, "guard_node": 0}
