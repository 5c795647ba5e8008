"""Stiction, backlash, encoders and enforced velocity limits of the simulated robot."""

import numpy as np
import pytest

from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import ConfigurationError
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    from mbrl_ros.simulation.imperfections import limit_velocities, stiction
    from mbrl_ros.simulation.model import mujoco
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco")

QUIET = {"position_noise": 0.0, "velocity_noise": 0.0, "initial_noise": 0.0, "damping": (0.0,)}
WEIGHTLESS = {**QUIET, "gravity": (0.0, 0.0, 0.0)}


def plant_of(n=2, effort=20.0, interface="effort", **settings):
    return Plant(PlantSettings(**settings), planar_robot(n, interface, effort=effort))


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


def test_an_elastic_joint_swings_at_its_own_frequency_behind_its_drive():
    """The rotor is held by its friction, and the link swings on its spring: (K / I)^(1/2)."""
    stiffness, inertia = 200.0, 1.0 / 12 * 0.25 + 0.25**2
    swinging = {"joint_stiffness": (stiffness,), "joint_damping_time": 0.0, "frictionloss": (100.0,), **WEIGHTLESS}
    plant = plant_of(n=1, rate=1000.0, **swinging)
    plant.data.qvel[plant._play_dof] = 0.5
    link = []
    for _ in range(1000):
        measured = plant.step(np.zeros(1))
        link.append(plant.truth.q[0] - measured.q[0])
    rises = np.flatnonzero((np.array(link[:-1]) < 0.0) & (np.array(link[1:]) >= 0.0))
    period = np.diff(rises).mean() * plant.period
    assert period == pytest.approx(2.0 * np.pi * np.sqrt(inertia / stiffness), rel=0.03)


def test_elastic_joints_begin_where_their_springs_carry_the_arm():
    plant = plant_of(joint_stiffness=(1000.0,), command_delay=0.0, **QUIET)
    begin = plant.reset().q
    hold = plant.holding_effort(begin)
    sag = plant.truth.q - begin
    np.testing.assert_allclose(sag, -hold / 1000.0, rtol=0.02)
    for _ in range(40):
        measured = plant.step(hold)
    np.testing.assert_allclose(measured.q, begin, atol=2e-4)


@pytest.mark.parametrize("share", (0.5, 1.0))
def test_a_driver_that_carries_a_share_of_the_weight_leaves_the_rest_to_the_command(share):
    whole, rest = plant_of(**QUIET), plant_of(carried_weight=share, command_delay=0.0, **QUIET)
    q = np.array([0.2, -0.4])
    np.testing.assert_allclose(rest.holding_effort(q), (1.0 - share) * whole.holding_effort(q), atol=1e-9)
    begin = rest.reset().q
    for _ in range(40):
        measured = rest.step(rest.holding_effort(begin))
    np.testing.assert_allclose(measured.q, begin, atol=1e-4)


def test_drives_that_know_nothing_of_each_other_disturb_each_other_and_their_integral_carries_the_weight():
    worst, last = {}, {}
    for coupled in (True, False):
        settings = {"servo_coupled": coupled, "servo_integral": 0.0 if coupled else 0.1}
        settings["carried_weight"] = 1.0 if coupled else 0.9
        plant = plant_of(interface="velocity", effort=200.0, servo_time=0.01, frictionloss=(0.0,), **settings, **QUIET)
        speeds = []
        for k in range(300):
            plant.step(np.array([0.0, 0.5 if k < 100 else 0.0]))
            speeds.append(abs(plant.truth.qd[0]))
        worst[coupled], last[coupled] = max(speeds), speeds[-1]
    assert worst[True] < 0.02 < 0.05 < worst[False]
    assert last[False] < 0.005


@pytest.mark.parametrize("coupled", (True, False))
def test_a_reset_forgets_what_the_integral_of_the_drives_has_learned(coupled):
    settings = {"servo_coupled": coupled, "servo_integral": 0.1, "carried_weight": 0.5, **QUIET}
    plant = plant_of(interface="velocity", effort=200.0, **settings)
    runs = []
    for _ in range(2):
        plant.reset()
        runs.append([plant.step(np.zeros(2)).q for _ in range(50)])
    np.testing.assert_array_equal(*runs)


def test_an_obstacle_stops_the_end_effector_with_its_stiffness():
    """An outstretched arm of 1 m in the x-z plane is pressed down on a ball."""
    settings = {"gravity": (0.0, 0.0, 0.0), "frictionloss": (0.0,)}
    plant = plant_of(n=1, obstacle=(0.5, 0.0, -0.15, 0.05), obstacle_stiffness=1e4, **{**QUIET, **settings})
    force = 20.0 * 0.9
    for _ in range(600):
        plant.step(np.array([-force * 0.5]))
    tip = plant.truth.tip
    depth = 0.05 - np.linalg.norm(tip - [0.5, 0.0, -0.15])
    assert 0.0 < depth < 0.01 and abs(plant.truth.qd[0]) < 1e-3
    free = plant_of(n=1, **{**QUIET, **settings})
    for _ in range(600):
        free.step(np.array([-force * 0.5]))
    assert free.truth.q[0] < plant.truth.q[0] - 0.5


@pytest.mark.parametrize(
    "settings, interface, message",
    [
        ({"obstacle": (0.0, 0.0, 1.0)}, "effort", "x, y, z and a radius"),
        ({"backlash": 0.001, "joint_stiffness": (100.0,)}, "effort", "not both"),
        ({"joint_stiffness": (100.0,)}, "velocity", "for efforts only"),
    ],
)
def test_what_cannot_be_simulated_says_so(settings, interface, message):
    with pytest.raises(ConfigurationError, match=message):
        plant_of(interface=interface, **settings)
