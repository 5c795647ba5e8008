"""The method `td3`: what it is told, that its seed decides, that it learns, and what it says without its library."""

import sys

import casadi
import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.costs import CostModel, CostSettings, Term
from mbrl_ros.learning.td3 import Settings, learn, observer
from mbrl_ros.tasks.base import Step, TaskInfo
from support.needs import needs

QUICK = Settings(hidden=16, batch=32, random_steps=50, rate=3e-3)


class Level:
    """One joint whose position is to be the command's opposite: r = -(q + u / 2)^2, and one is passive."""

    def __init__(self):
        x, u, v = casadi.SX.sym("x", 4), casadi.SX.sym("u", 2), casadi.SX.sym("v", 2)
        cost = CostModel(x, u, v, [("effort", Term(u, CostSettings()))])
        limit = np.array([2.0, 0.0])
        self.info = TaskInfo(("a", "passive"), -limit, limit, 0.1, 50, -1.0, 5, cost)
        self.seen = []

    def reset(self, seed):
        self._rng = np.random.default_rng(seed)
        return self._draw()

    def _draw(self):
        self._x = np.array([self._rng.uniform(-1.0, 1.0), 0.0, 0.0, 0.0])
        return self._x

    def step(self, u):
        self.seen.append(u)
        reward = -((self._x[0] + 0.5 * u[0]) ** 2)
        return Step(self._draw(), float(reward), False)


@pytest.mark.slow
@needs("skrl", "jax", "flax")
def test_it_learns_and_the_seed_decides():
    runs = []
    for _ in range(2):
        task = Level()
        runs.append([episode.reward for episode in learn(task, 3, 6, QUICK)])
    assert runs[0] == runs[1]
    assert runs[0][-1] > 0.3 * runs[0][0]
    commands = np.array(task.seen)
    assert (np.abs(commands[:, 0]) <= 2.0).all() and (commands[:, 1] == 0.0).all()


def test_a_policy_sees_what_the_task_names_or_else_the_state():
    info, x = Level().info, np.arange(4.0)
    np.testing.assert_array_equal(observer(info)(x), x)


@pytest.mark.parametrize("module", ["skrl", "jax"])
def test_a_missing_library_is_one_line_with_its_extra(monkeypatch, capsys, module):
    if module == "jax":
        monkeypatch.setitem(sys.modules, "skrl", sys)
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["learn", "--method", "td3", "--task", "cartpole_swingup", "--quiet"]) == 2
    err = capsys.readouterr().err
    assert "pip install 'mbrl_ros[model-free]'" in err and err.count("\n") == 1
