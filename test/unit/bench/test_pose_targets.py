"""A simulated Panda brings its tool into poses, with each interface, from the model learned on the way."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mbrl_ros.robots.pose_kinematics import PoseKinematics
from mbrl_ros.robots.rotation import quaternion_of
from support.needs import needs, present

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node.arm_in_process import ArmInProcess
    from mbrl_ros.bench.node.robot import START_POSE

pytestmark = needs("rclpy", "mujoco")
RATE, MOVING = 100, 4.0  # [Hz], [s]
REST = 1.5e-3, np.radians(0.5)  # [m], [rad]


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_the_tool_comes_to_rest_in_every_pose(interface):
    rng, arm = np.random.default_rng(3), ArmInProcess(interface, 1, rate=RATE)
    kinematics = PoseKinematics(arm.robot)
    for _ in range(RATE):
        arm.period([arm.state()])
    arm.recover()
    p, R = kinematics.pose(np.array(START_POSE))
    for _ in range(2):
        axis = rng.standard_normal(3)
        wanted = R @ Rotation.from_rotvec(0.6 * axis / np.linalg.norm(axis)).as_matrix()
        place = p + rng.uniform(-0.08, 0.08, 3)
        arm.controller.set_pose_target(np.concatenate((place, quaternion_of(wanted))))
        for _ in range(round(MOVING * RATE)):
            arm.period([arm.state()])
        at, turned = kinematics.pose(arm.plant.truth.q)
        assert np.linalg.norm(at - place) < REST[0]
        assert np.linalg.norm(Rotation.from_matrix(turned.T @ wanted).as_rotvec()) < REST[1]
