"""A learned model survives its file, and no other file becomes a model."""

import numpy as np
import pytest
from robots_for_tests import planar_robot

from mbrl_ros.configuration import Configuration
from mbrl_ros.data import store
from mbrl_ros.dynamics import build_dynamics
from mbrl_ros.dynamics.snapshot import KIND, load_model, save_model
from mbrl_ros.exceptions import DataError
from mbrl_ros.types import Transition

DT = 0.01


def learned(robot, estimator="refit", ticks=200):
    c = Configuration.from_flat({"dynamics.estimator": estimator})
    dynamics = build_dynamics(robot, DT, c["dynamics"], c.plugin_sections("prior"))
    rng = np.random.default_rng(1)
    for k in range(ticks):
        dynamics.update(Transition(DT * k, rng.standard_normal(4), rng.standard_normal(2), rng.standard_normal(4)))
        dynamics.fit(np.zeros(4), np.zeros(2))
    return dynamics


def test_a_model_survives_its_file(tmp_path):
    robot = planar_robot()
    before, after = learned(robot), learned(robot, ticks=0)
    save_model(tmp_path / "model.npz", before, robot)
    load_model(tmp_path / "model.npz", after, robot)
    x, u = np.array([0.1, -0.2, 0.3, 0.4]), np.array([1.0, -1.0])
    for name in ("F", "f", "Sigma"):
        assert np.array_equal(getattr(before.fit(x, u), name), getattr(after.fit(x, u), name)), name


def spoiled(name, value):
    def spoil(arrays):
        arrays[name] = value(arrays[name])
    return spoil


@pytest.mark.parametrize("spoil, words", (
    (spoiled("S", lambda S: S[1:]), "'S' must have shape"),
    (spoiled("S", lambda S: S - 1e3 * np.eye(len(S))), "negative eigenvalue"),
    (spoiled("scatter", lambda s: s + [[0.0, 1.0], [0.0, 0.0]]), "not symmetric"),
    (spoiled("count", lambda count: np.array(0.0)), "must be positive"),
    (lambda arrays: arrays.pop("C"), "'C' must have shape"),
))
def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path, spoil, words):
    robot = planar_robot()
    dynamics = learned(robot)
    arrays = dynamics.posterior.evidence()
    spoil(arrays)
    store.save(tmp_path / "model.npz", KIND, store.Owner(robot.joints, robot.interface, DT), arrays)
    before = dynamics.posterior.evidence()
    with pytest.raises(DataError, match=words):
        load_model(tmp_path / "model.npz", dynamics, robot)
    assert all(np.array_equal(before[name], array) for name, array in dynamics.posterior.evidence().items())


def test_a_model_of_another_kind_of_regression_is_refused(tmp_path):
    robot = planar_robot()
    save_model(tmp_path / "model.npz", learned(robot, "output_error"), robot)
    with pytest.raises(DataError, match="dynamics.estimator"):
        load_model(tmp_path / "model.npz", learned(robot), robot)


def test_a_model_of_another_robot_is_refused(tmp_path):
    save_model(tmp_path / "model.npz", learned(planar_robot()), planar_robot())
    with pytest.raises(DataError, match="interface"):
        load_model(tmp_path / "model.npz", learned(planar_robot(interface="velocity")), planar_robot(interface="velocity"))
