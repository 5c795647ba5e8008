"""One network in place of an ensemble: what it keeps of its teachers, and what it costs."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner
from mbrl_ros.dynamics.priors import distilled, ensemble
from mbrl_ros.exceptions import DataError
from mbrl_ros.robots import load_robot
from support.finite_differences import derivative
from support.robots import planar_arm

N, DT = 2, 0.01


@pytest.fixture(scope="module")
def robot():
    return load_robot(RobotSettings(), planar_arm(N))


def data_of(robot, rows=1500, seed=0, noise=0.002):
    """Transitions of two coupled pendulums at random states."""
    rng = np.random.default_rng(seed)
    X = np.hstack([rng.uniform(-1.0, 1.0, (rows, N)), rng.uniform(-2.0, 2.0, (rows, N))])
    U = rng.uniform(-8.0, 8.0, (rows, N))
    q, qd = X[:, :N], X[:, N:]
    swing = -20.0 * np.sin(q) - 8.0 * np.sin(q.sum(axis=1, keepdims=True)) - 0.5 * qd
    D = DT * (swing + U @ np.array([[2.0, -1.0], [-1.0, 3.0]]) * (1.5 + np.cos(q[:, 1:])))
    owner = Owner(tuple(robot.joints), robot.interface, DT)
    return Dataset(owner, X, U, D + noise * rng.standard_normal(D.shape), np.zeros(rows, dtype=int), ("random",))


@pytest.fixture(scope="module")
def both(robot):
    data = data_of(robot)
    teachers = ensemble.fit(data, robot.command_upper)
    return ensemble.from_arrays(teachers, robot, DT), distilled.from_arrays(distilled.distil(teachers, data), robot, DT)


def error(prior, data):
    predicted = np.array([prior.mean(x, u) for x, u in zip(data.X, data.U, strict=True)])
    return np.sqrt(((predicted - data.D) ** 2).mean())


def disagreements(prior, data, factor):
    return np.array([prior.disagreement(factor * x, factor * u) for x, u in zip(data.X, data.U, strict=True)])


@pytest.mark.slow
def test_the_network_predicts_within_a_tenth_of_its_ensemble(robot, both):
    unseen = data_of(robot, 400, seed=9, noise=0.0)
    teachers, student = (error(prior, unseen) for prior in both)
    assert teachers < 0.05 * np.sqrt((unseen.D**2).mean()) and student < 1.1 * teachers


def test_its_variance_grows_where_the_members_disagree(robot, both):
    """Within a factor of two in the median, from the middle of the data to three times as far as they reach."""
    unseen = data_of(robot, 200, seed=9)
    for factor in (1.5, 2.0, 3.0):
        teachers, student = (np.median(disagreements(prior, unseen, factor)) for prior in both)
        assert 0.5 < student / teachers < 2.0
    within, beyond = (np.median(disagreements(both[1], unseen, factor)) for factor in (0.5, 3.0))
    assert beyond > 5.0 * within


def test_its_model_has_a_fifth_of_the_ensembles_hidden_units(both):
    """Which is what mean and Jacobian cost: see doc/benchmarks.md for the instructions."""
    teachers, student = (prior.expression().values.size for prior in both)
    assert 4.5 < teachers / student <= 5.0


def test_the_gradient_is_that_of_finite_differences():
    rng, shapes = np.random.default_rng(0), distilled._shapes(5 * N, N)
    theta = 0.3 * rng.standard_normal(sum(int(np.prod(shape)) for shape in shapes.values()))
    Phi, M, S = rng.standard_normal((7, 5 * N)), rng.standard_normal((7, N)), rng.uniform(0.1, 2.0, (7, N))
    slope = np.zeros_like(theta)
    distilled._gradient(distilled._views(theta, shapes), distilled._views(slope, shapes), Phi, M, S)

    def divergence(at):
        """KL(N(M, S) || student), without its constant, averaged over the rows."""
        W = distilled._views(at, shapes)
        hidden = np.tanh(Phi @ W["W1"].T + W["b1"])
        mean = hidden @ W["W2"].T + W["b2"] + Phi @ W["L"].T
        log_variance = distilled._log_variance(W["V"], W["v"], distilled._with_distance(hidden, Phi))[0]
        return 0.5 * (log_variance + (S + (mean - M) ** 2) / np.exp(log_variance)).sum() / len(Phi)

    for _ in range(5):
        direction = rng.standard_normal(theta.shape)
        by_difference = derivative(lambda h, d=direction: divergence(theta + h[0] * d), np.zeros(1))
        assert by_difference[0] == pytest.approx(slope @ direction, rel=1e-6, abs=1e-8)


def test_a_file_of_several_members_or_too_many_units_is_refused(robot):
    arrays = distilled.fit(data_of(robot, 200), robot.command_upper, members=2, epochs=2, updates=10)
    with pytest.raises(DataError, match="'W1' has shape"):
        distilled.from_arrays({**arrays, "W1": np.repeat(arrays["W1"], 2, axis=0)}, robot, DT)
    with pytest.raises(DataError, match="hidden units"):
        distilled.from_arrays({**arrays, "W1": np.zeros((1, 513, 5 * N))}, robot, DT)
    with pytest.raises(DataError, match="'V' is missing"):
        distilled.from_arrays({name: value for name, value in arrays.items() if name != "V"}, robot, DT)
