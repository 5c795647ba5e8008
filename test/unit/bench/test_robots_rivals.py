"""The rivals of the bench of robots: what they estimate, and that they hold an arm."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import ConfigurationError, TargetError
from mbrl_ros.types import Observation
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    from mbrl_ros.bench.robots import controllers
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco", "adam")
START = np.array([0.3, -0.5])


def plant_of(robot, **changes):
    """A plant as the rivals know it: no rotors, no friction, no noise."""
    exact = {"armature": (0.0,), "damping": (0.0,), "frictionloss": (0.0,), "initial_noise": 0.0}
    exact |= {"position_noise": 0.0, "velocity_noise": 0.0}
    return Plant(PlantSettings(**exact, initial_position=tuple(START), **changes), robot)


def built(name, robot):
    configuration = Configuration.from_flat({"robot.interface": robot.interface})
    return controllers.build(name, robot, configuration, PlantSettings())


def closed_loop(plant, controller, seconds):
    measurement = plant.reset()
    observation = Observation(measurement.stamp, measurement.q, measurement.qd)
    controller.reset(observation)
    for _ in range(round(seconds / plant.period)):
        u = controller.step(observation).u
        controller.record(observation.stamp, u)
        measurement = plant.step(u)
        observation = Observation(measurement.stamp, measurement.q, measurement.qd)
    return plant.truth


class Loaded:
    """A plant whose payload survives the reset."""

    def __init__(self, plant, kg):
        self._plant, self._kg = plant, kg
        self.period, self.step = plant.period, plant.step

    def reset(self):
        measurement = self._plant.reset()
        self._plant.set_payload(self._kg)
        return measurement

    @property
    def truth(self):
        return self._plant.truth


@pytest.mark.parametrize("name", ["ekf", "dob"])
def test_an_arm_without_a_load_stays_where_it_is(name):
    robot = planar_robot(2)
    truth = closed_loop(plant_of(robot), built(name, robot), 0.5)
    assert np.abs(truth.q - START).max() < 0.01


def test_the_filter_finds_the_mass_of_the_payload():
    robot = planar_robot(2)
    controller = built("ekf", robot)
    truth = closed_loop(Loaded(plant_of(robot), 0.4), controller, 3.0)
    assert controller.payload == pytest.approx(0.4, rel=0.1)
    assert np.abs(truth.q - START).max() < 0.02


def test_without_a_payload_the_filter_finds_none():
    robot = planar_robot(2)
    controller = built("ekf", robot)
    closed_loop(plant_of(robot), controller, 1.0)
    assert 0.0 <= controller.payload < 0.03


def test_the_observer_finds_the_weight_of_the_payload():
    robot = planar_robot(2)
    controller = built("dob", robot)
    plant = plant_of(robot)
    truth = closed_loop(Loaded(plant, 0.4), controller, 3.0)
    weight = plant.holding_effort(truth.q) - plant_of(robot).holding_effort(truth.q)
    assert -controller.disturbance == pytest.approx(weight, rel=0.01)
    assert np.abs(truth.q - START).max() < 0.02


def test_they_refuse_what_they_cannot_do():
    with pytest.raises(ConfigurationError, match="commands efforts"):
        built("ekf", planar_robot(2, interface="velocity"))
    with pytest.raises(TargetError):
        built("dob", planar_robot(2)).set_feature_target(np.zeros(2))


def test_the_command_that_acted_is_the_one_before_the_last():
    robot = planar_robot(2)
    controller = built("dob", robot)  # control.delay is one period
    for k in range(4):
        controller.record(0.005 * k, np.full(2, float(k)))
    assert controller.acting()[0] == 2.0
    assert controller.acting_next(np.full(2, 4.0))[0] == 3.0
