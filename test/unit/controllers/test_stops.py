"""A torque-controlled arm that lies on its stops, because nobody held it, is lifted."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.state_machine import State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Observation
from support.control import RecordingOutputs
from support.needs import needs, present
from support.packaged_robots import ARMS, packaged, settings_of

if present("mujoco"):
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco")

RATE = 200.0  # [Hz]
STOP = 0.05  # [rad]: a joint that is so near its limit lies on its stop
DAMPING = (0.1,)  # [N m s/rad]: the arm has come to rest when it is found; with that of its URDF it swings for longer
LIFTED, REACHED = 0.5, 4.0  # [s] after the start


@pytest.mark.parametrize("late", (1.0, 3.0))
def test_an_arm_found_on_its_stops_is_lifted(late):
    """Without commands for `late` seconds the Panda lies on its stops; then it goes back to where it fell from."""
    home = ARMS["panda"][3]
    robot, given = packaged("panda"), settings_of("panda").to_mapping()
    configuration = Configuration.from_flat(
        {**{f"robot.{key}": value for key, value in given.items()}, "control.rate": RATE, "planner.horizon": 20}
    )
    plant = Plant(PlantSettings(rate=RATE, initial_noise=0.0, initial_position=home, damping=DAMPING, seed=0), robot)
    measured = plant.reset()
    for _ in range(round(late * RATE)):
        measured = plant.step(np.zeros(robot.n))
    room = np.minimum(plant.truth.q - robot.position_lower, robot.position_upper - plant.truth.q)
    assert room.min() < STOP
    controller, outputs = build_controller(robot, configuration), RecordingOutputs()
    supervisor = Supervisor(robot, configuration.supervisor, 1.0 / RATE)
    cycle = ControlCycle(controller, supervisor, outputs, SteppedConditions(), dt=1.0 / RATE, timeout=0.05)
    controller.set_joint_target(np.array(home), measured.stamp + LIFTED)
    for k in range(round(REACHED * RATE)):
        cycle.tick(Arrival(Observation(measured.stamp, measured.q, measured.qd), measured.stamp))
        measured = plant.step(outputs.of("command")[-1][1])
        outside = (plant.truth.q < robot.position_lower) | (plant.truth.q > robot.position_upper)
        assert supervisor.state not in (State.FAULT, State.E_STOP)
        assert k < LIFTED * RATE or not outside.any()
    assert supervisor.state is State.ACTIVE
    assert plant.truth.q == pytest.approx(home, abs=0.02)
