"""A learned model survives its file, and no other file becomes a model."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.data import store
from mbrl_ros.dynamics import build_dynamics
from mbrl_ros.dynamics.checkpoint import KIND, load_model, save_model
from mbrl_ros.exceptions import DataError
from mbrl_ros.types import Transition
from support.robots import planar_robot

DT = 0.01


def learned(robot, estimator="refit", ticks=200):
    c = Configuration.from_flat({"dynamics.estimator": estimator})
    dynamics = build_dynamics(robot, DT, c.dynamics, c.priors)
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


def test_a_model_is_taken_up_at_another_pose_and_says_the_same_of_the_past(tmp_path):
    robot, pose = planar_robot(), np.array([0.3, 1.8])
    before, after = learned(robot), learned(robot, ticks=0)
    save_model(tmp_path / "model.npz", before, robot)
    after.reset(pose)
    load_model(tmp_path / "model.npz", after, robot)
    before.move_prior(pose)
    x, u = np.array([0.1, -0.2, 0.3, 0.4]), np.array([1.0, -1.0])
    for name in ("F", "f", "Sigma"):
        np.testing.assert_allclose(
            getattr(after.fit(x, u), name), getattr(before.fit(x, u), name), rtol=1e-8, atol=1e-11
        )


@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_a_model_saved_before_the_prior_knew_the_inertia_is_still_read(tmp_path, interface):
    """Its efforts were stated about 600 rad/s^2 by the full effort of every joint, whatever the pose."""
    robot = planar_robot(interface=interface)
    settings = {"prior.integrator.strength": (600.0,)} if interface == "effort" else {}
    c = Configuration.from_flat(settings)
    former, rng = build_dynamics(robot, DT, c.dynamics, c.priors), np.random.default_rng(2)
    for k in range(100):
        former.update(Transition(DT * k, rng.standard_normal(4), rng.standard_normal(2), rng.standard_normal(4)))
        former.fit(np.zeros(4), np.zeros(2))
    arrays = former.posterior.evidence()
    assert "prior_gain" not in arrays
    store.save(tmp_path / "model.npz", KIND, store.Owner(robot.joints, robot.interface, DT), arrays)
    now = learned(robot, ticks=0)
    load_model(tmp_path / "model.npz", now, robot)
    change = (former.evidence()["prior_gain"] - now.evidence()["prior_gain"]) * robot.command_scale
    assert (np.abs(change).max() > 1.0) == (interface == "effort")
    np.testing.assert_allclose(now.posterior.C, arrays["C"] + arrays["S"][:, 4:6] @ change.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(now.posterior.S, arrays["S"])


def test_a_former_model_of_another_prior_keeps_its_gain(tmp_path):
    pytest.importorskip("adam", reason="the rigid-body prior needs adam-robotics")
    robot, c = planar_robot(), Configuration.from_flat({"dynamics.prior": "rigid_body"})
    former, now = (build_dynamics(robot, DT, c.dynamics, c.priors) for _ in range(2))
    rng = np.random.default_rng(2)
    for k in range(100):
        former.update(Transition(DT * k, rng.standard_normal(4), rng.standard_normal(2), rng.standard_normal(4)))
    arrays = former.posterior.evidence()  # this prior's input gain is what it was
    store.save(tmp_path / "model.npz", KIND, store.Owner(robot.joints, robot.interface, DT), arrays)
    load_model(tmp_path / "model.npz", now, robot)
    np.testing.assert_allclose(now.posterior.C, arrays["C"], rtol=1e-9, atol=1e-9)


def spoiled(name, value):
    def spoil(arrays):
        arrays[name] = value(arrays[name])

    return spoil


@pytest.mark.parametrize(
    "spoil, words",
    (
        (spoiled("S", lambda S: S[1:]), "'S' must have shape"),
        (spoiled("S", lambda S: S - 1e3 * np.eye(len(S))), "negative eigenvalue"),
        (spoiled("scatter", lambda s: s + [[0.0, 1.0], [0.0, 0.0]]), "not symmetric"),
        (spoiled("count", lambda count: np.array(0.0)), "must be positive"),
        (lambda arrays: arrays.pop("C"), "'C' must have shape"),
        (spoiled("prior_gain", lambda gain: gain[0]), "'prior_gain' must have shape"),
    ),
)
def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path, spoil, words):
    robot = planar_robot()
    dynamics = learned(robot)
    arrays = dynamics.evidence()
    spoil(arrays)
    store.save(tmp_path / "model.npz", KIND, store.Owner(robot.joints, robot.interface, DT), arrays)
    before = dynamics.evidence()
    with pytest.raises(DataError, match=words):
        load_model(tmp_path / "model.npz", dynamics, robot)
    assert all(np.array_equal(before[name], array) for name, array in dynamics.evidence().items())


def test_a_model_of_another_kind_of_regression_is_refused(tmp_path):
    robot = planar_robot()
    save_model(tmp_path / "model.npz", learned(robot, "output_error"), robot)
    with pytest.raises(DataError, match="dynamics.estimator"):
        load_model(tmp_path / "model.npz", learned(robot), robot)


def test_a_model_of_another_robot_is_refused(tmp_path):
    save_model(tmp_path / "model.npz", learned(planar_robot()), planar_robot())
    with pytest.raises(DataError, match="interface"):
        load_model(
            tmp_path / "model.npz", learned(planar_robot(interface="velocity")), planar_robot(interface="velocity")
        )
