"""The plant in DART against the plant in MuJoCo, and against numbers known by hand."""

import numpy as np
import pytest

from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import ConfigurationError
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco", "dartpy"):
    from mbrl_ros.simulation.dart_plant import DartPlant
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco", "dartpy")

QUIET = {"position_noise": 0.0, "velocity_noise": 0.0, "initial_noise": 0.0}
START = (0.4, -0.9, 0.6)


def both(interface="effort", n=3, **settings):
    robot = planar_robot(n, interface, effort=60.0)
    made = PlantSettings(**{**QUIET, "initial_position": START[:n], **settings})
    return Plant(made, robot), DartPlant(made, robot)


def swung(plant, ticks=100):
    """The true state after commands about what holds the arm."""
    about = plant.holding_effort(np.array(START)) if plant.robot.interface == "effort" else np.zeros(3)
    if plant.robot.interface == "position":
        about = np.array(START)
    size = 5.0 if plant.robot.interface == "effort" else 1.0  # above the dry friction
    for k in range(ticks):
        plant.step(about + size * np.array([0.5, -0.4, 0.3]) * np.sin(0.02 * k))
    return plant.truth


@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_both_engines_move_alike(interface):
    mujoco, dart = (swung(plant) for plant in both(interface))
    assert np.abs(mujoco.q - START).max() > 0.02  # there is something to compare
    np.testing.assert_allclose(dart.q, mujoco.q, atol=3e-3)
    np.testing.assert_allclose(dart.qd, mujoco.qd, rtol=1e-2, atol=2e-2)
    np.testing.assert_allclose(dart.tip, mujoco.tip, atol=2e-3)


@pytest.mark.parametrize("changes", [{"armature": (0.0,)}, {"mass_factor": 2.0}, {"motor_lag": (0.01,)}])
def test_both_engines_move_alike_with_other_settings(changes):
    mujoco, dart = (swung(plant, 40) for plant in both(**changes))
    np.testing.assert_allclose(dart.q, mujoco.q, atol=5e-3)


def test_both_need_the_same_efforts_to_hold_a_payload():
    mujoco, dart = both()
    for plant in (mujoco, dart):
        plant.set_payload(0.7)
    q = np.array([0.1, 0.2, -0.3])
    np.testing.assert_allclose(dart.holding_effort(q), mujoco.holding_effort(q), rtol=1e-6)
    np.testing.assert_allclose(dart.truth.q, START)  # asking does not move the arm


def test_dry_friction_holds_up_to_its_value():
    weightless = {"gravity": (0.0, 0.0, 0.0), "frictionloss": (1.0,), "damping": (0.0,)}
    for effort, moves in ((0.99, False), (1.5, True)):
        _, plant = both(n=1, **weightless)
        for _ in range(20):
            plant.step(np.array([effort]))
        assert bool(abs(plant.truth.qd[0]) > 1e-6) is moves
    inertia = 1.0 / 12 * 0.25 + 0.25**2 + 0.1
    before = plant.truth.qd[0]
    plant.step(np.array([1.5]))
    assert (plant.truth.qd[0] - before) / plant.period == pytest.approx(0.5 / inertia, rel=1e-3)


def test_velocity_limits_are_kept_where_they_are_asked_for():
    for limited in (True, False):
        _, plant = both(velocity_limited=limited, gravity=(0.0, 0.0, 0.0), frictionloss=(0.0,))
        for _ in range(60):
            plant.step(np.array([60.0, 0.0, 0.0]))
        assert bool((np.abs(plant.truth.qd) <= 1.1 * plant.robot.velocity_limit).all()) is limited


def test_the_same_commands_give_the_same_measurements_after_a_reset():
    _, plant = both()
    first = [plant.step(np.full(3, 0.1 * k)).q for k in range(10)]
    plant.reset()
    again = [plant.step(np.full(3, 0.1 * k)).q for k in range(10)]
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("changes", [{"backlash": 0.01}, {"stiction_factor": 2.0}, {"model": "other.xml"}])
def test_what_only_the_other_engine_has_is_refused(changes):
    with pytest.raises(ConfigurationError, match=f"has no '{next(iter(changes))}'"):
        DartPlant(PlantSettings(**changes), planar_robot(2))
