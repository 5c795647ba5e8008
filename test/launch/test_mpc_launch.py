"""mpc.launch.py, run by the real launch system: a silent robot gets the safe command, and the node ends in order."""

import numpy as np
import pytest

from mbrl_ros.safety.supervisor import State
from support.launching import JOINTS, START, launched, planar_parameters, shipped
from support.needs import needs, present

if present("rclpy"):
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray

    from mbrl_ros.nodes.status import read_status

pytestmark = needs("launch_pytest", "launch_ros", "rclpy", "package mbrl_ros")


@launched(scope="module")
def controller(tmp_path_factory, exits):
    params_file = planar_parameters(tmp_path_factory.mktemp("mpc"))
    commands = "torque_controller/commands"
    return shipped("mpc.launch.py", exits, params_file=params_file, namespace="right", commands=commands)


@pytest.mark.launch(fixture=controller)
def test_a_robot_that_falls_silent_gets_the_safe_command(peer):
    peer.listen(Float64MultiArray, "/right/torque_controller/commands")
    peer.listen(Float64MultiArray, "/right/mpc_node/status")
    publisher = peer.publisher(JointState, "/right/joint_states")

    def last_state():
        heard = peer.heard["/right/mpc_node/status"]
        return State(int(read_status(heard[-1])["supervisor_state"])) if heard else None

    def keep_talking():
        state = JointState(name=JOINTS, position=START, velocity=[0.0, 0.0])
        state.header.stamp = peer.node.get_clock().now().to_msg()
        publisher.publish(state)
        return last_state() is State.ACTIVE

    peer.until(keep_talking, "control")
    peer.until(lambda: last_state() is State.FAULT, "the fault")
    commands = peer.heard["/right/torque_controller/commands"]
    peer.until(lambda: not np.any(commands[-1].data), "the safe command: no effort, as the parameter file asks for")


@pytest.mark.launch(fixture=controller, shutdown=True)
def test_the_node_ends_in_order(exits):
    assert exits == {"mpc_node": 0, "guard_node": 0}
