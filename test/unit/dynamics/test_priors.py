"""Every prior: its Jacobian against finite differences, and what it promises of itself."""

import numpy as np
import pytest

from mbrl_ros.config import registry
from mbrl_ros.config.sections.dynamics import DynamicsSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.data import store
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner
from mbrl_ros.dynamics import OnlineDynamics
from mbrl_ros.dynamics.priors import distilled, ensemble, global_linear, gmm, integrator, rigid_body
from mbrl_ros.exceptions import ConfigurationError, DataError
from mbrl_ros.robots import Robot, load_robot
from mbrl_ros.types import Transition
from support.finite_differences import derivative
from support.robots import planar_robot

# A double pendulum: point masses m1 = 2 kg, m2 = 1 kg at the ends of massless rods, l1 = 0.5 m, l2 = 0.4 m.
M1, M2, L1, L2, GRAVITY = 2.0, 1.0, 0.5, 0.4, 9.81
LINK = """<link name="{name}"><inertial><origin xyz="0 0 -{length}"/><mass value="{mass}"/>
<inertia ixx="1e-9" ixy="0" ixz="0" iyy="1e-9" iyz="0" izz="1e-9"/></inertial></link>"""
JOINT = """<joint name="{name}" type="revolute"><parent link="{parent}"/><child link="{child}"/>
<origin xyz="0 0 {z}"/><axis xyz="0 1 0"/><limit lower="-3" upper="3" effort="20" velocity="10"/></joint>"""
DOUBLE_PENDULUM = (
    "<robot name='double_pendulum'><link name='base'/>"
    + LINK.format(name="upper", length=L1, mass=M1)
    + LINK.format(name="lower", length=L2, mass=M2)
    + JOINT.format(name="shoulder", parent="base", child="upper", z=0)
    + JOINT.format(name="elbow", parent="upper", child="lower", z=-L1)
    + "</robot>"
)


def pendulum(interface: str = "effort") -> Robot:
    return load_robot(RobotSettings(interface=interface), DOUBLE_PENDULUM)


def pendulum_acceleration(q, qd, tau, m1=M1, m2=M2):
    """qdd (2,) from the Lagrangian of two point masses, angles from hanging straight down."""
    c, s = np.cos(q[1]), np.sin(q[1])
    cross = m2 * L1 * L2 * c
    M = np.array([[(m1 + m2) * L1**2 + m2 * L2**2 + 2 * cross, m2 * L2**2 + cross], [m2 * L2**2 + cross, m2 * L2**2]])
    coriolis = m2 * L1 * L2 * s * np.array([-2 * qd[0] * qd[1] - qd[1] ** 2, qd[0] ** 2])
    weight = GRAVITY * np.array(
        [(m1 + m2) * L1 * np.sin(q[0]) + m2 * L2 * np.sin(q[0] + q[1]), m2 * L2 * np.sin(q[0] + q[1])]
    )
    return np.linalg.solve(M, tau - coriolis - weight)


def assert_jacobian(prior, X, U, tolerance=1e-6):
    """`linearize` against `mean` and against central differences of `mean`."""
    Y, J = prior.linearize(X, U)
    for t, (x, u) in enumerate(zip(X, U, strict=True)):
        np.testing.assert_allclose(Y[t], prior.mean(x, u), rtol=1e-9, atol=1e-12)
        slope = derivative(lambda z: prior.mean(z[: X.shape[1]], z[X.shape[1] :]), np.concatenate([x, u]), 1e-5)
        np.testing.assert_allclose(J[t], slope, rtol=1e-4, atol=tolerance)


def test_rigid_body_is_the_double_pendulum():
    dt, rng = 0.005, np.random.default_rng(0)
    prior = rigid_body.build(rigid_body.Settings(), pendulum(), dt)
    for _ in range(5):
        q, qd, tau = rng.uniform(-2, 2, 2), rng.uniform(-3, 3, 2), rng.uniform(-10, 10, 2)
        expected = dt * pendulum_acceleration(q, qd, tau)
        # the links' own inertia of 1e-9 kg m^2 keeps the relative difference near 1e-8
        np.testing.assert_allclose(prior.mean(np.concatenate([q, qd]), tau), expected, rtol=1e-6)


def test_rigid_body_scales_masses():
    dt, q, qd, tau = 0.005, np.array([0.3, -0.8]), np.array([1.0, 0.5]), np.array([3.0, -1.0])
    prior = rigid_body.build(rigid_body.Settings(mass_scale=0.8), pendulum(), dt)
    expected = dt * pendulum_acceleration(q, qd, tau, 0.8 * M1, 0.8 * M2)
    np.testing.assert_allclose(prior.mean(np.concatenate([q, qd]), tau), expected, rtol=1e-6)


@pytest.mark.parametrize("compiler", [True, False])
def test_rigid_body_jacobian(monkeypatch, compiler):
    if not compiler:
        monkeypatch.setattr("mbrl_ros.codegen.compiler.find_compiler", lambda: None)
    rng = np.random.default_rng(1)
    prior = rigid_body.build(rigid_body.Settings(armature=(0.01,)), pendulum(), 0.01)
    assert_jacobian(prior, rng.uniform(-2, 2, (4, 4)), rng.uniform(-10, 10, (4, 2)))


def test_rigid_body_needs_efforts():
    with pytest.raises(ConfigurationError, match="velocity interface; use the integrator"):
        rigid_body.build(rigid_body.Settings(), pendulum("velocity"), 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("prior"))
def test_every_prior_keeps_the_interface(name, tmp_path):
    """Those of other packages too: shapes, a right Jacobian, a reset that forgets, and dynamics to be used in."""
    module, robot, dt = registry.load("prior", name), pendulum(), 0.01
    settings = module.Settings()
    if "file" in settings.to_mapping():  # it has to be fitted first
        data, file = pendulum_data(400), tmp_path / "prior.npz"
        store.save(file, name, data.owner, module.fit(data, robot.command_upper))
        settings = module.Settings(file=str(file))
    prior, rng, n = module.build(settings, robot, dt), np.random.default_rng(0), robot.n
    assert prior.spread.shape == (3 * n + 1,) and (prior.spread > 0.0).all()
    X, U = rng.uniform(-1.0, 1.0, (4, 2 * n)), rng.uniform(-5.0, 5.0, (4, n))
    assert_jacobian(prior, X, U)
    if prior.linear:
        np.testing.assert_array_equal(prior.linearize(X, U)[1][0], prior.linearize(X, U)[1][-1])
    assert prior.spread_at(X[0], U[0]).shape == (3 * n + 1,)
    before = prior.linearize(X, U)
    change = prior.move_to(np.full(n, 0.5))
    assert (change is not None) == prior.moving
    after = prior.linearize(X, U)
    if change is None:
        np.testing.assert_array_equal(after[1], before[1])
    else:
        np.testing.assert_allclose(
            after[1][:, :, 2 * n :] - before[1][:, :, 2 * n :], change[None].repeat(4, 0), rtol=1e-9
        )
    prior.learn_gain(np.full(n, 0.5), 0.5 * after[1][0, :, 2 * n :])
    prior.reset()
    prior.move_to(np.full(n, 0.5))
    np.testing.assert_array_equal(prior.linearize(X, U)[1], after[1])  # what was learned is forgotten
    dynamics = OnlineDynamics(robot, dt, DynamicsSettings(), prior)
    dynamics.reset(np.zeros(n))
    model = dynamics.fit(X[0], U[0], X, U)
    assert model.F.shape[1:] == (2 * n, 3 * n) and np.isfinite(model.F).all() and np.isfinite(model.f).all()


# --- priors learned from data


def pendulum_data(N=1500, seed=0, noise=0.0, dt=0.01):
    """Transitions of the double pendulum at random states."""
    rng = np.random.default_rng(seed)
    X = np.hstack([rng.uniform(-1.0, 1.0, (N, 2)), rng.uniform(-2.0, 2.0, (N, 2))])
    U = rng.uniform(-8.0, 8.0, (N, 2))
    D = np.array([dt * pendulum_acceleration(x[:2], x[2:], u) for x, u in zip(X, U, strict=True)])
    return Dataset(
        Owner(("shoulder", "elbow"), "effort", dt),
        X,
        U,
        D + noise * rng.standard_normal(D.shape),
        np.zeros(N, dtype=int),
        ("random states",),
    )


def fitted(module, data, **options):
    return module.fit(data, pendulum().command_upper, **options)


ENSEMBLE, DISTILLED = {"epochs": 40, "members": 3}, {"epochs": 40, "members": 3, "updates": 4000}
LEARNED = [(global_linear, {}), (gmm, {"components": 6}), (ensemble, ENSEMBLE), (distilled, DISTILLED)]


def error_on(prior, data):
    predicted = np.array([prior.mean(x, u) for x, u in zip(data.X, data.U, strict=True)])
    return ((predicted - data.D) ** 2).sum() / (data.D**2).sum()


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("module, options", LEARNED)
def test_learned_priors_have_exact_jacobians(module, options):
    data = pendulum_data(400)
    prior = module.from_arrays(fitted(module, data, **options), pendulum(), 0.01)
    rng = np.random.default_rng(2)
    assert_jacobian(prior, rng.uniform(-1, 1, (4, 4)), rng.uniform(-5, 5, (4, 2)))


def test_global_linear_recovers_a_linear_system():
    rng = np.random.default_rng(3)
    data = pendulum_data(600)
    A, b = rng.normal(0.0, 0.02, (2, 6)), rng.normal(0.0, 0.1, 2)
    linear = Dataset(data.owner, data.X, data.U, np.hstack([data.X, data.U]) @ A.T + b, data.run, data.runs)
    arrays = fitted(global_linear, linear)
    np.testing.assert_allclose(arrays["jacobian"], A, atol=1e-6)
    np.testing.assert_allclose(arrays["offset"], b, atol=1e-6)


@pytest.mark.slow
def test_nonlinear_priors_learn_what_a_plane_cannot():
    data, unseen = pendulum_data(noise=0.002), pendulum_data(300, seed=9)
    errors = {
        module: error_on(module.from_arrays(fitted(module, data, **options), pendulum(), 0.01), unseen)
        for module, options in LEARNED
    }
    assert errors[global_linear] < 0.25  # most of it is a plane: command and gravity
    assert errors[gmm] < 0.8 * errors[global_linear]
    assert errors[ensemble] < 0.3 * errors[global_linear]
    assert errors[distilled] < 0.3 * errors[global_linear]


def test_a_mixture_learns_on_from_a_new_run_alone():
    data = pendulum_data(1000, noise=0.002)
    heavy = Dataset(data.owner, data.X, data.U, 0.5 * data.D, data.run, data.runs)  # twice the inertia and weight
    arrays = fitted(gmm, data, components=4)
    grown = gmm.add(arrays, heavy)
    before, after = (error_on(gmm.from_arrays(a, pendulum(), 0.01), heavy) for a in (arrays, grown))
    # the mean of both runs is off by half of what the first run's model is off: a quarter of the squared error
    assert after < 0.5 * before
    assert grown["count"].sum() == pytest.approx(2000.0)


def test_the_ensemble_disagrees_where_it_has_seen_nothing():
    prior = ensemble.from_arrays(fitted(ensemble, pendulum_data(800), epochs=40), pendulum(), 0.01)
    rng = np.random.default_rng(4)
    inside = [
        prior.disagreement(np.r_[rng.uniform(-1, 1, 2), rng.uniform(-2, 2, 2)], rng.uniform(-8, 8, 2)).mean()
        for _ in range(50)
    ]
    outside = [
        prior.disagreement(np.r_[rng.uniform(2, 3, 2), rng.uniform(6, 9, 2)], rng.uniform(-8, 8, 2)).mean()
        for _ in range(50)
    ]
    assert np.median(outside) > 5.0 * np.median(inside)


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    "module, options", [(ensemble, {"epochs": 40}), (gmm, {"components": 4}), (distilled, {"epochs": 40})]
)
def test_a_learned_prior_is_believed_less_where_it_contradicts_itself(module, options):
    """The offset's spread grows there, and with it the weight of what is measured now."""
    data = pendulum_data(800)
    prior = module.from_arrays(fitted(module, data, **options), pendulum(), 0.01)
    apart, size = data.X[np.abs(data.X).sum(axis=1).argmin()], prior.spread.size
    spreads = np.array([prior.spread_at(x, u) for x, u in zip(data.X[::20], data.U[::20], strict=True)])
    assert spreads.shape[1] == size
    np.testing.assert_array_equal(spreads[:, :-1], np.broadcast_to(prior.spread[:-1], spreads[:, :-1].shape))
    assert (spreads[:, -1] >= prior.spread[-1]).all()
    far = prior.spread_at(apart + np.r_[6.0, -6.0, 20.0, 20.0], np.array([8.0, -8.0]))
    added = spreads[:, -1] ** 2 - prior.spread[-1] ** 2  # variance
    assert far[-1] ** 2 - prior.spread[-1] ** 2 > 3.0 * np.median(added)


def test_fitting_is_reproducible():
    for module, options in LEARNED:
        first, second = (fitted(module, pendulum_data(300), **options) for _ in range(2))
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("module, options", LEARNED)
def test_learned_priors_come_back_from_disk_and_refuse_other_robots(tmp_path, module, options):
    kind, path = module.__name__.rpartition(".")[2], tmp_path / "prior.npz"
    data, robot = pendulum_data(300), pendulum()
    arrays = fitted(module, data, **options)
    store.save(path, kind, data.owner, arrays)
    prior = module.build(module.Settings(file=str(path)), robot, 0.01)
    x, u = np.array([0.1, -0.2, 0.3, 0.4]), np.array([1.0, 2.0])
    np.testing.assert_array_equal(prior.mean(x, u), module.from_arrays(arrays, robot, 0.01).mean(x, u))
    assert prior.spread.shape == (7,) and (prior.spread > 0.0).all()
    with pytest.raises(DataError, match="--rate 200"):
        module.build(module.Settings(file=str(path)), robot, 0.005)
    with pytest.raises(DataError, match="another robot"):
        module.build(module.Settings(file=str(path)), planar_robot(2), 0.01)
    with pytest.raises(ConfigurationError, match=f"mbrl fit-prior BAG... --kind {kind}"):
        module.build(module.Settings(), robot, 0.01)
    store.save(path, kind, data.owner, {**arrays, "spread_scale": np.zeros(3)})
    with pytest.raises(DataError, match="'spread_scale' has shape"):
        module.build(module.Settings(file=str(path)), robot, 0.01)


def test_a_good_prior_makes_learning_faster():
    """The same little data: online regression on a learned prior predicts better than on the integrator."""
    data, few = pendulum_data(noise=0.002), pendulum_data(40, seed=5, noise=0.002)
    robot, errors = pendulum(), {}
    learned = ensemble.from_arrays(fitted(ensemble, data, epochs=40), robot, 0.01, 0.3)
    for name, prior in (("learned", learned), ("integrator", integrator.build(integrator.Settings(), robot, 0.01))):
        dynamics = OnlineDynamics(robot, 0.01, DynamicsSettings(), prior)
        total = 0.0
        for k, (x, u, d) in enumerate(zip(few.X, few.U, few.D, strict=True)):
            dynamics.fit(x, u)
            x_next = np.concatenate([x[:2] + 0.01 * (x[2:] + 0.5 * d), x[2:] + d])
            total += (dynamics.update(Transition(0.01 * k, x, u, x_next)).error ** 2).sum()
        errors[name] = total
    assert errors["learned"] < 0.2 * errors["integrator"]
