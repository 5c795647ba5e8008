"""Brakes hold the joints that no controller commands yet, while those of the other arm are moved."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.sim_node import SimNodeSettings
from mbrl_ros.config.sections.simulation import CameraSettings, PlantSettings
from mbrl_ros.robots import load_robot
from support.needs import needs, present
from support.robots import two_arms

if present("rclpy", "mujoco"):
    from mbrl_ros.nodes.simulation import Simulation

pytestmark = needs("rclpy", "mujoco")

JOINTS = ("left_joint1", "left_joint2", "right_joint1", "right_joint2")
TOPICS = ("left/commands left_joint1 left_joint2", "right/commands right_joint1 right_joint2")
START = np.array([0.3, 0.5, 0.4, -0.6])


@pytest.mark.parametrize("interface, within", (("effort", 2e-3), ("velocity", 1e-3), ("position", 1e-3)))
def test_the_arm_without_commands_stays_where_it_is_while_the_other_moves(interface, within):
    robot = load_robot(RobotSettings(joints=JOINTS, interface=interface, tip="left_tip"), two_arms())
    plant = PlantSettings(initial_position=tuple(START), initial_noise=0.0, seed=2)
    simulation = Simulation(robot, plant, CameraSettings(), SimNodeSettings(command_topics=TOPICS))
    moved = {"effort": (9.0, 3.0), "velocity": (0.4, -0.4), "position": tuple(START[:2] + 0.3)}[interface]
    off = []
    for _ in range(200):  # 1 s
        simulation.begin_tick()
        simulation.end_tick(np.array([*moved, np.nan, np.nan]))
        off.append(np.abs(simulation.truth.q - START))
    assert max(o[2:].max() for o in off) < within
    assert off[-1][:2].max() > 0.1
    for _ in range(100):  # commands that come take the brakes off
        simulation.begin_tick()
        simulation.end_tick(np.array([*moved, *{"effort": (0.0, 0.0), "velocity": (0.4, 0.0)}.get(interface, (1, 0))]))
    assert abs(simulation.truth.q[2] - START[2]) > 0.05
    assert simulation.plant.rejected == 0
