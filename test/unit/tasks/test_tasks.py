"""The tasks: their physics, their starts, their rewards and costs, and what an unknown or missing one says."""

import sys

import numpy as np
import pytest

from mbrl_ros.cli.main import missing
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.tasks import cartpole_swingup as cartpole
from mbrl_ros.tasks.catalog import TASKS, make_task
from support.needs import needs

TOLERANCE = {"reacher": 0.05, "pusher": 0.02, "half_cheetah": 1e-6}  # points some ms old; commands of float32
STEPS = {"demo_points": 100, "demo_poses": 100}  # of the thousands of an episode, all alike
BALANCED = ("cartpole_swingup", "inverted_pendulum")
UPRIGHT, HANGING = np.zeros(4), np.array([0.0, np.pi, 0.0, 0.0])


def every_task():
    marks = dict.fromkeys(
        ("half_cheetah", "inverted_pendulum", "pusher", "reacher"), needs("gymnasium", "mujoco", "imageio")
    )
    marks |= dict.fromkeys(("demo_points", "demo_poses", "panda_reach"), needs("mujoco", "example-robot-data"))
    return [pytest.param(name, marks=marks.get(name, ())) for name in TASKS]


def test_without_friction_and_force_the_cart_pole_keeps_its_energy():
    x = np.array([0.1, 2.0, -0.5, 3.0])
    before = cartpole.energy(x)
    for _ in range(200):
        x = cartpole.integrate(x, 0.0, friction=0.0)
    assert cartpole.energy(x) == pytest.approx(before, abs=1e-4)


def test_friction_takes_energy_away_and_a_force_along_the_motion_adds_it():
    x = np.array([0.0, 2.0, 1.0, 0.0])
    assert cartpole.energy(cartpole.integrate(x, 0.0)) < cartpole.energy(x)
    assert cartpole.energy(cartpole.integrate(x, 5.0, friction=0.0)) > cartpole.energy(x)


@pytest.mark.parametrize("x", [UPRIGHT, HANGING], ids=["upright", "hanging"])
def test_the_equilibria_of_the_cart_pole_are_where_they_should_be(x):
    assert np.abs(cartpole.acceleration(x, 0.0)).max() < 1e-12


def test_the_upright_pole_falls_and_the_hanging_one_swings_with_its_frequency():
    """About hanging, the pole on a free cart without friction swings with w^2 = g / l (M + m) / M."""
    small = 1e-5
    _, falling = cartpole.acceleration(UPRIGHT + [0.0, small, 0.0, 0.0], 0.0)
    _, returning = cartpole.acceleration(HANGING + [0.0, small, 0.0, 0.0], 0.0)
    squared = 9.81 / 0.6 * 2.0
    assert falling == pytest.approx(small * squared, rel=1e-6)
    assert returning == pytest.approx(-small * squared, rel=1e-6)


def test_the_force_is_bounded_and_the_pole_has_no_command_of_its_own():
    task = make_task("cartpole_swingup")
    task.reset(0)
    strong = task.step(np.array([1e3, 50.0])).x
    task.reset(0)
    np.testing.assert_array_equal(strong, task.step(np.array([10.0, 0.0])).x)


def test_upright_earns_one_and_hanging_next_to_nothing():
    task = make_task("cartpole_swingup")
    assert task.reward(UPRIGHT, np.zeros(2), UPRIGHT) == 1.0
    assert task.reward(HANGING, np.zeros(2), HANGING) == pytest.approx(np.exp(-4.0))


@pytest.mark.parametrize("name", every_task())
def test_a_start_depends_on_its_seed_alone_and_a_step_on_the_command(name):
    task, other = make_task(name), make_task(name)
    np.testing.assert_array_equal(task.reset(3), other.reset(3))
    assert np.abs(task.reset(3) - task.reset(4)).max() > 0.0
    task.reset(3)
    u = 0.5 * task.info.u_upper
    step, same = task.step(u), other.step(u)
    np.testing.assert_array_equal(step.x, same.x)
    assert step.x.shape == (2 * task.info.n,) and step.reward == same.reward


@pytest.mark.parametrize("name", every_task())
def test_the_reward_and_the_end_that_a_model_is_asked_for_are_those_of_the_task(name):
    task = make_task(name)
    x, rng = task.reset(0), np.random.default_rng(0)
    for _ in range(STEPS.get(name, task.info.steps)):
        u = rng.uniform(task.info.u_lower, task.info.u_upper)
        step = task.step(u)
        assert task.reward(x, u, step.x) == pytest.approx(step.reward, abs=TOLERANCE.get(name, 0.0))
        assert task.failed(step.x) == step.failed
        x = step.x
        if step.failed:
            break


@pytest.mark.parametrize("name", [task for task in every_task() if task.values[0] in BALANCED])
def test_the_cost_is_least_where_the_reward_is_greatest(name):
    task = make_task(name)
    cost, p = task.info.cost, task.info.cost.parameters(task.info.horizon)[0]
    rest = np.zeros(task.info.n)

    def at(x):
        return float(cost.stage(x, rest, rest, p))

    assert at(UPRIGHT) == pytest.approx(0.0)
    assert at(np.array([0.0, 0.1, 0.0, 0.0])) > 0.0


@needs("gymnasium", "mujoco", "imageio")
def test_the_target_of_the_reacher_stands_still_and_its_cost_falls_towards_it():
    task = make_task("reacher")
    x, cost = task.reset(0), task.info.cost
    target = x[2:4]
    np.testing.assert_allclose(task.step(task.info.u_upper).x[2:4], target, atol=1e-12)
    p, rest = cost.parameters(task.info.horizon)[0], np.zeros(4)
    straight = np.array([0.3, 0.0, 0.21 * np.cos(0.3), 0.21 * np.sin(0.3), 0.0, 0.0, 0.0, 0.0])
    bent = straight + np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert float(cost.stage(straight, rest, rest, p)) < 0.2 * float(cost.stage(bent, rest, rest, p))
    assert task.reward(straight, rest, straight) == pytest.approx(0.0, abs=1e-12)


@needs("gymnasium", "mujoco", "imageio")
def test_the_cost_of_the_pusher_falls_with_the_object_towards_its_goal_and_the_tip_towards_the_object():
    task = make_task("pusher")
    x, cost = task.reset(0), task.info.cost
    np.testing.assert_allclose(task.step(task.info.u_upper).x[9:11], x[9:11], atol=1e-12)
    p, rest = cost.parameters(task.info.horizon)[0], np.zeros(11)
    there, away = x.copy(), x.copy()
    there[7:9] = x[9:11]
    away[:2] += 0.5

    def at(state):
        return float(cost.stage(state, rest, rest, p))

    assert at(there) < 0.8 * at(x)
    assert (at(away) - at(x)) == pytest.approx(task.reward(x, rest, x) - task.reward(x, rest, away), rel=0.05)


@needs("gymnasium", "mujoco", "imageio")
def test_the_faster_the_cheetah_the_less_it_costs_and_its_slope_at_rest_is_that_of_the_reward():
    task = make_task("half_cheetah")
    cost, rest, x = task.info.cost, np.zeros(9), np.zeros(18)
    p = cost.parameters(task.info.horizon)[0]
    costs = []
    for speed in (0.0, 0.01, 5.0, 10.0):
        x[9] = speed
        costs.append(float(cost.stage(x, rest, rest, p)))
    assert costs == sorted(costs, reverse=True) and costs[-1] == pytest.approx(0.0)
    assert (costs[0] - costs[1]) / 0.01 == pytest.approx(1.0, rel=1e-3)


def test_an_unknown_task_is_answered_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match="no task 'cartpole'; did you mean 'cartpole_swingup'"):
        make_task("cartpole")


@pytest.mark.parametrize("module", ["gymnasium", "mujoco"])
def test_a_missing_package_is_named_in_one_line(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError) as raised:
        make_task("inverted_pendulum")
    assert f"'{module}'" in missing(raised.value) and "pip install" in missing(raised.value)
