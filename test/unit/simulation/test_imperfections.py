"""Stiction, backlash, encoders and enforced velocity limits of the simulated robot."""

import numpy as np
import pytest

from mbrl_ros.config.sections.simulation import PlantSettings
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    from mbrl_ros.simulation.imperfections import limit_velocities, stiction
    from mbrl_ros.simulation.model import mujoco
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco")

QUIET = {"position_noise": 0.0, "velocity_noise": 0.0, "initial_noise": 0.0, "damping": (0.0,)}
WEIGHTLESS = {**QUIET, "gravity": (0.0, 0.0, 0.0)}


def plant_of(n=2, effort=20.0, **settings):
    return Plant(PlantSettings(**settings), planar_robot(n, effort=effort))


def test_friction_falls_off_with_speed():
    settings = PlantSettings(stiction_factor=2.0, stribeck_velocity=0.1)
    np.testing.assert_allclose(stiction(np.array([0.0, 0.1, -0.1, 5.0]), settings), [2, 1 + 1 / np.e, 1 + 1 / np.e, 1])


@pytest.mark.parametrize("effort, moves", [(1.5, False), (2.5, True)])
def test_an_arm_breaks_loose_at_twice_its_friction(effort, moves):
    plant = plant_of(n=1, frictionloss=(1.0,), stiction_factor=2.0, **WEIGHTLESS)
    for _ in range(40):
        plant.step(np.array([effort]))
    assert bool(abs(plant.truth.qd[0]) > 0.05) is moves
    if moves:  # and is then held back by the friction of motion only: (2.5 - 1) over the inertia
        before = plant.truth.qd[0]
        plant.step(np.array([effort]))
        inertia = 1.0 / 12 * 0.25 + 0.25**2 + 0.1
        assert (plant.truth.qd[0] - before) / plant.period == pytest.approx(1.5 / inertia, rel=0.02)


def test_measured_positions_are_steps_of_the_encoder():
    plant = plant_of(position_resolution=0.01, initial_position=(0.123, -0.456), **QUIET)
    np.testing.assert_allclose(plant.reset().q, [0.12, -0.46], atol=1e-12)
    np.testing.assert_allclose(plant.truth.q, [0.123, -0.456], atol=1e-12)


def test_behind_backlash_the_link_moves_while_the_drive_stands():
    plant = plant_of(n=1, backlash=0.02, frictionloss=(2.0,), **QUIET)  # outstretched, it hangs in its play
    drive = plant.reset().q
    for _ in range(100):
        measured = plant.step(plant.holding_effort(np.zeros(1)))
    sagged = plant.truth.q - measured.q
    assert sagged[0] == pytest.approx(-0.01, abs=0.002)  # half the play, and a little of the stop's softness
    assert abs(measured.q[0] - drive[0]) < 0.005


def test_without_backlash_truth_is_what_is_measured():
    plant = plant_of(**QUIET)
    measured = plant.step(np.array([3.0, -1.0]))
    np.testing.assert_array_equal(plant.truth.q, measured.q)


def test_a_drive_keeps_its_velocity_limit_and_the_other_joints_their_momentum():
    fast = plant_of(velocity_limited=True, frictionloss=(0.0,), **WEIGHTLESS)
    for _ in range(100):
        fast.step(np.array([20.0, 0.0]))
        assert (np.abs(fast.truth.qd) <= fast.robot.velocity_limit * (1 + 1e-6)).all()
    free = plant_of(frictionloss=(0.0,), **WEIGHTLESS)
    for _ in range(100):
        free.step(np.array([20.0, 0.0]))
    assert np.abs(free.truth.qd).max() > 1.5 * free.robot.velocity_limit.max()


def test_the_impulse_acts_on_the_fast_joint_alone():
    plant = plant_of(**WEIGHTLESS)
    data, model, dof = plant.data, plant.model, np.arange(2)
    mujoco.mj_forward(model, data)
    before = np.array([5.0, 1.0])
    data.qvel[:] = before
    limit_velocities(model, data, dof, np.array([3.0, 30.0]))
    change = np.empty(2)
    mujoco.mj_mulM(model, data, change, data.qvel - before)
    assert data.qvel[0] == pytest.approx(3.0) and change[1] == pytest.approx(0.0, abs=1e-9)
    assert data.qvel[1] != pytest.approx(1.0)
