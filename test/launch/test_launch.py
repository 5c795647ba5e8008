"""The shipped launch files, run by the real launch system: a robot moves, a silent robot is left safe, all end cleanly."""

import numpy as np
import pytest
import yaml

launch_pytest = pytest.importorskip(
    "launch_pytest", reason="launch_pytest is not on PyPI; it comes with a ROS 2 installation"
)
pytest.importorskip("mujoco", reason="sim.launch.py needs MuJoCo")

from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from mbrl_ros.messages import readers
from mbrl_ros.nodes.status import read_status
from mbrl_ros.safety.supervisor import State
from support.launching import shipped
from support.robots import planar_arm

JOINTS = ["joint1", "joint2"]
START, TARGET = [0.3, -0.4], [-0.2, 0.5]  # [rad]
PERIOD = 0.01  # [s]


@pytest.fixture(scope="module")
def params_file(tmp_path_factory):
    """A robot of two joints, for both nodes, in whatever namespace they are."""
    path = tmp_path_factory.mktemp("launch") / "planar.yaml"
    blocks = {
        "/**": {"robot_description": planar_arm(2)},
        "/**/mpc_node": {"control": {"rate": 1.0 / PERIOD}},
        "/**/sim_node": {"plant": {"rate": 1.0 / PERIOD, "initial_position": START}},
    }
    path.write_text(yaml.safe_dump({name: {"ros__parameters": block} for name, block in blocks.items()}))
    return str(path)


@pytest.fixture
def exits():
    return {}


@launch_pytest.fixture
def simulated(params_file, exits):
    return shipped("sim.launch.py", exits, params_file=params_file, namespace="left", lockstep="true")


@pytest.mark.launch(fixture=simulated)
def test_a_simulated_robot_reaches_its_target_in_its_namespace(simulated, peer, exits):
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
    yield  # the launch system shuts down
    assert exits == {"mpc_node": 0, "sim_node": 0}


@launch_pytest.fixture
def controller(params_file, exits):
    return shipped(
        "mpc.launch.py", exits, params_file=params_file, namespace="right", commands="torque_controller/commands"
    )


@pytest.mark.launch(fixture=controller)
def test_a_robot_that_falls_silent_gets_the_safe_command(controller, peer, exits):
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
    peer.until(lambda: np.allclose(commands[-1].data, 0.0, atol=1e-9), "the safe command: damping of a robot at rest")
    yield
    assert exits == {"mpc_node": 0}
