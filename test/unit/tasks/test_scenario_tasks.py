"""The demo's scenarios as tasks: targets and payload when they are due, the error, its cost, what counts as solved."""

import numpy as np
import pytest

from mbrl_ros.config.resources import settings_path
from mbrl_ros.demo.run import Options, Run
from mbrl_ros.robots.pose_kinematics import LEVER, PoseKinematics
from mbrl_ros.robots.rotation import logarithm, matrix_of
from mbrl_ros.tasks.catalog import make_task
from support.needs import needs

pytestmark = needs("mujoco", "example-robot-data")
ARM = 7
SCENARIOS = {"demo_points": "learn", "demo_poses": "poses"}


@pytest.fixture(scope="module", params=list(SCENARIOS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def task(name):
    return make_task(name)


@pytest.fixture(scope="module")
def demo(name):
    return Run(Options(settings_path("panda"), lockstep=True, images=False, scenario=SCENARIOS[name]))


def test_targets_payload_and_plant_are_those_of_the_demo_when_they_are_due(task, demo, monkeypatch):
    """Between two slots the plant stands still here: only the times matter."""
    loads, t = [], 0.0
    monkeypatch.setattr(task._plant, "_substeps", 0)
    monkeypatch.setattr(task, "reward", lambda *_: 0.0)
    monkeypatch.setattr(task._plant, "set_payload", lambda kg: loads.append((t, kg)))
    x = task.reset(0)
    loads.clear()
    rate, width, none = round(1.0 / task.info.dt), task.info.n - ARM, np.zeros(task.info.n)
    first = x[ARM : task.info.n]
    exact = demo.plant.replace(position_noise=0.0, velocity_noise=0.0, command_delay=0.0)
    assert task._plant.settings == exact and task.info.steps == round(demo.scenario.duration * rate)
    for k in range(task.info.steps):
        t = k / rate
        due = [slot.value for slot in demo.scenario.slots if t >= slot.start - 1e-9]
        if k % 100 == 0 or any(abs(t - slot.start) < 1.5 / rate for slot in demo.scenario.slots):
            np.testing.assert_array_equal(x[ARM : ARM + width], due[-1] if due else first, str(t))
        x = task.step(none).x
    ((loaded, kg),) = loads
    assert kg == demo.scenario.payload_kg and loaded == pytest.approx(demo.scenario.payload_time, abs=1e-9)


def test_the_error_is_the_distance_and_twice_the_sine_of_half_the_angle_at_the_lever(task, demo):
    kinematics, rng = PoseKinematics(demo.robot), np.random.default_rng(0)
    x = task.reset(1)
    for slot in demo.scenario.slots[:3]:
        q = x[:ARM] + 0.3 * rng.standard_normal(ARM)
        state = np.concatenate([q, slot.value, np.zeros(task.info.n)])
        p, R = kinematics.pose(q)
        turned = np.linalg.norm(logarithm(R.T @ matrix_of(slot.value[3:]))) if slot.kind == "pose" else 0.0
        expected = np.hypot(np.linalg.norm(p - slot.value[:3]), LEVER * 2.0 * np.sin(0.5 * turned))
        assert task.distance(state) == pytest.approx(expected, rel=1e-6)
        assert task.reward(x, np.zeros(task.info.n), state) == -task.distance(state)


def test_it_begins_at_its_first_target_and_the_cost_falls_towards_one(task, demo):
    x, rest = task.reset(2), np.zeros(task.info.n)
    assert task.distance(x) < 0.03
    p = task.info.cost.parameters(task.info.horizon)[0]
    far = x.copy()
    far[ARM : task.info.n] = demo.scenario.slots[0].value
    near, away = (float(task.info.cost.stage(state, rest, rest, p)) for state in (x, far))
    assert near < 0.05 * away


def test_solved_is_between_standing_still_and_being_there_at_once(task, demo):
    start = task.reset(3)
    still = [np.concatenate([start[:ARM], slot.value, np.zeros(task.info.n)]) for slot in demo.scenario.slots]
    standing = -sum(
        task.distance(x) * (slot.end - slot.start) / task.info.dt
        for x, slot in zip(still, demo.scenario.slots, strict=True)
    )
    at_once = -demo.scenario.tolerance * task.info.steps
    assert 0.6 * standing < task.info.solved < 2.0 * at_once
