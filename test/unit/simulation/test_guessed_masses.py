"""A URDF without masses can be simulated: they are guessed in proportion to the arm, and named."""

import logging
import re

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.robots import load_robot
from mbrl_ros.scenarios.proportions import Proportions
from support.needs import needs, present
from support.robots import planar_arm

if present("mujoco"):
    from mbrl_ros.robots.guessed_inertials import GUESSED_DENSITY, guessed_mass
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco")
INERTIAL = r"<inertial>.*?</inertial>"


def bare(count: int = 0, interface: str = "velocity"):
    """An arm of 1.5 m without the first `count` of its three masses, 0: without any."""
    return load_robot(
        RobotSettings(interface=interface), re.sub(INERTIAL, "", planar_arm(3, effort=400.0), count=count, flags=re.S)
    )


def test_every_link_without_a_mass_gets_its_share_and_is_named(caplog):
    robot = bare()
    with caplog.at_level(logging.WARNING):
        plant = Plant(PlantSettings(), robot)
    assert guessed_mass(robot) == pytest.approx(GUESSED_DENSITY * 1.5**3)
    moved = [plant.model.body(f"link{i}").mass[0] for i in (1, 2, 3)]
    np.testing.assert_allclose(moved, guessed_mass(robot) / 3, rtol=1e-5)
    assert "['joint1', 'joint2', 'joint3'] move: each gets a guessed one" in caplog.text


def test_masses_that_are_given_stay(caplog):
    with caplog.at_level(logging.WARNING):
        plant = Plant(PlantSettings(), bare(count=1))
    moved = [plant.model.body(f"link{i}").mass[0] for i in (1, 2, 3)]
    np.testing.assert_allclose(moved, [GUESSED_DENSITY * 1.5**3 / 3, 1.0, 1.0], rtol=1e-5)
    assert "['joint1'] move" in caplog.text
    caplog.clear()
    Plant(PlantSettings(), load_robot(RobotSettings(), planar_arm(3)))
    assert not caplog.text


def test_an_arm_with_guessed_masses_follows_velocities():
    plant = Plant(PlantSettings(initial_position=(0.3, 0.5, -0.4)), bare())
    plant.reset()
    for _ in range(100):
        plant.step(np.full(3, 0.4))
    np.testing.assert_allclose(plant.truth.qd, 0.4, atol=0.05)


def test_its_demo_has_a_payload():
    assert Proportions(bare()).payload_kg == 2.0  # a tenth of the guessed 25 kg, rounded down
