"""two_arms.launch.py, run by the real launch system: both arms of a simulated robot reach their targets."""

import numpy as np
import pytest
import yaml

from support.launching import PERIOD, launched, shipped
from support.needs import needs, present
from support.robots import two_arms

if present("rclpy"):
    from sensor_msgs.msg import JointState

pytestmark = needs("launch_pytest", "launch_ros", "rclpy", "mujoco", "package mbrl_ros")

SIDES = ("left", "right")
JOINTS = {side: [f"{side}_joint1", f"{side}_joint2"] for side in SIDES}
ALL = [*JOINTS["left"], *JOINTS["right"]]
TARGETS = {"left": [0.5, 0.9], "right": [1.1, 0.2]}  # [rad]


@launched(scope="module")
def simulated(tmp_path_factory, exits):
    blocks = {"/**": {"robot_description": two_arms(), "robot": {"interface": "velocity"}, "lockstep": True}}
    for side, other in (SIDES, SIDES[::-1]):
        robot = {"joints": [*JOINTS[side]], "measured_joints": [*JOINTS[other]], "tip": f"{side}_tip"}
        blocks[f"/{side}/mpc_node"] = {"robot": robot}
    blocks["/**/mpc_node"] = {"control": {"rate": 1.0 / PERIOD}}
    topics = [f"{side}/commands {' '.join(JOINTS[side])}" for side in SIDES]
    plant = {"rate": 1.0 / PERIOD, "initial_position": [0.9, 0.5, 0.7, 0.6]}
    blocks["/sim_node"] = {"robot": {"joints": ALL, "tip": "left_tip"}, "command_topics": topics, "plant": plant}
    # rcl reads no aliases of YAML, which a list that stands here twice would become
    path = tmp_path_factory.mktemp("arms") / "two_arms.yaml"
    path.write_text(yaml.safe_dump({name: {"ros__parameters": block} for name, block in blocks.items()}))
    return shipped("two_arms.launch.py", exits, params_file=str(path))


@pytest.mark.launch(fixture=simulated)
def test_both_arms_reach_their_targets(peer):
    peer.listen(JointState, "/joint_states")
    states = peer.heard["/joint_states"]
    for number, side in enumerate(SIDES):
        target = JointState(name=JOINTS[side], position=TARGETS[side])
        publisher = peer.publisher(JointState, f"/{side}/mpc_node/target_joints")
        part = slice(2 * number, 2 * number + 2)
        peer.send_until(
            publisher,
            target,
            lambda part=part, side=side: states and np.allclose(states[-1].position[part], TARGETS[side], atol=0.02),
            f"the {side} arm's target",
        )
    assert list(states[-1].name) == ALL


@pytest.mark.launch(fixture=simulated, shutdown=True)
def test_all_processes_end_in_order(exits):
    assert exits == {"mpc_node": 0, "sim_node": 0, "guard_node": 0}
