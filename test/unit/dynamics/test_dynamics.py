"""Online dynamics: what the estimator must get right for the planner to be right."""

import numpy as np
import pytest

from mbrl_ros.config.sections.dynamics import DynamicsSettings, FeatureSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.dynamics import CommandHistory, FeatureMotion, RegressionPosterior, build_dynamics
from mbrl_ros.dynamics.compiled_posterior import CompiledPosterior, library
from mbrl_ros.dynamics.local_model import NOISE_RANGE, UNEVEN
from mbrl_ros.robots import load_robot
from mbrl_ros.types import FeatureFrame, LinearGaussianDynamics, Transition
from support.robots import planar_arm, planar_robot

DT = 0.005


def true_system(rng, n):
    """qd' = qd + slope [q; qd; u] + offset, q' = q + dt (qd + qd') / 2."""
    slope = np.hstack([rng.normal(0.0, 0.05, (n, n)), rng.normal(0.0, 0.01, (n, n)), 0.05 * np.eye(n)])
    return slope, rng.normal(0.0, 0.05, n)


def excited(rng, n, ticks, slope, offset, noise=0.0, u_scale=1.0):
    """Transitions of the true system under random commands, restarted at random states."""
    for k in range(ticks):
        x, u = rng.normal(0.0, 0.5, 2 * n), u_scale * rng.normal(0.0, 1.0, n)
        qd_next = x[n:] + slope @ np.concatenate([x, u]) + offset + noise * rng.standard_normal(n)
        q_next = x[:n] + 0.5 * DT * (x[n:] + qd_next)
        yield Transition(k * DT, x, u, np.concatenate([q_next, qd_next]))


def fitted(n, transitions, x, u, order=None, **settings):
    """`order`: of the robot's joints, base to tip by default."""
    names = tuple(f"joint{i + 1}" for i in (range(n) if order is None else order))
    robot = load_robot(RobotSettings(joints=names), planar_arm(n))
    dynamics = build_dynamics(robot, DT, DynamicsSettings(**settings), {})
    for transition in transitions:
        dynamics.update(transition)
    return dynamics, dynamics.fit(x, u)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_noiseless_exciting_data_recovers_the_dynamics(n):
    rng = np.random.default_rng(n)
    slope, offset = true_system(rng, n)
    x, u = rng.normal(size=2 * n), rng.normal(size=n)
    # a tiny believed noise makes the prior weak; 400 samples determine 3n+1 <= 22 coefficients
    _, model = fitted(n, excited(rng, n, 400, slope, offset), x, u, noise=1e-6, forgetting=1.0)
    F, f, _ = model.at(0)
    velocity = slope + np.hstack([np.zeros((n, n)), np.eye(n), np.zeros((n, n))])
    np.testing.assert_allclose(F[n:], velocity, atol=1e-6)
    np.testing.assert_allclose(f[n:], offset, atol=1e-6)
    position = 0.5 * DT * velocity
    position[:, :n] += np.eye(n)
    position[:, n : 2 * n] += 0.5 * DT * np.eye(n)
    np.testing.assert_allclose(F[:n], position, atol=1e-8)


def test_without_data_the_model_is_the_prior():
    dynamics = build_dynamics(planar_robot(3), DT, DynamicsSettings(), {})
    x, u = np.linspace(-1, 1, 6), np.array([1.0, -2.0, 3.0])
    predicted = dynamics.fit(x, u).predict(x, u)
    np.testing.assert_allclose(predicted[3:], x[3:] + dynamics.prior.mean(x, u), atol=1e-12)


def test_the_prior_comes_back_when_excitation_stops():
    """No wind-up: after a long rest the slopes are the prior's again, bounded all the while."""
    n, rng = 2, np.random.default_rng(0)
    slope, offset = true_system(rng, n)
    dynamics, model = fitted(n, excited(rng, n, 300, slope, offset, 1e-3), np.zeros(4), np.zeros(2), forgetting=0.98)
    rest = np.zeros(4)
    for k in range(5000):
        noise = 1e-3 * rng.standard_normal(n)
        x_next = np.concatenate([rest[:n], noise])
        dynamics.update(Transition(k * DT, rest, np.zeros(n), x_next))
        if k % 500 == 0:
            assert np.abs(dynamics.fit(rest, np.zeros(n)).F[0, n:]).max() < 1.5
    F = dynamics.fit(rest, np.zeros(n)).F[0]
    np.testing.assert_allclose(F[n:, 2 * n :], dynamics.prior.jacobian[:, 2 * n :], atol=1e-6)


@pytest.mark.parametrize("estimator", ["refit", "output_error", "frozen"])
def test_noise_covariance_is_positive_semidefinite_and_calibrated(estimator):
    n, noise, rng = 3, 0.02, np.random.default_rng(1)
    slope, offset = true_system(rng, n)
    slope[:, : 2 * n] = 0.0  # so that output_error, which learns the offset only, can be right too
    dynamics = build_dynamics(planar_robot(n), DT, DynamicsSettings(estimator=estimator, noise=0.02), {})
    slope[:, 2 * n :] = dynamics.prior.jacobian[:, 2 * n :]
    inside, count = 0, 0
    for k, transition in enumerate(excited(rng, n, 2000, slope, offset, noise)):
        dynamics.fit(transition.x, transition.u)
        innovation = dynamics.update(transition)
        if k > 200:
            inside, count = inside + (innovation.nis <= innovation.bound), count + 1
    Sigma = dynamics.fit(np.zeros(2 * n), np.zeros(n)).Sigma[0]
    assert np.linalg.eigvalsh(Sigma).min() > -1e-15
    # 1800 draws: the 95 % share has a standard deviation of 0.5 %; the estimated covariance costs a few per cent more
    assert 0.85 <= inside / count <= 0.99
    if estimator != "frozen":
        np.testing.assert_allclose(np.diag(Sigma)[n:], noise**2, rtol=0.6)


@pytest.mark.parametrize("share, expected", [(1e-3, NOISE_RANGE[0]), (0.7, None), (100.0, NOISE_RANGE[1])])
def test_the_weight_of_the_prior_follows_the_noise_seen_within_its_range(share, expected):
    """Believed noise 0.02 rad/s; `share` of it is what the velocities really carry."""
    n, rng, believed = 2, np.random.default_rng(4), 0.02
    dynamics = build_dynamics(planar_robot(n), DT, DynamicsSettings(noise=believed, noise_forgetting=0.9), {})
    slope = np.zeros((n, 3 * n))
    slope[:, 2 * n :] = dynamics.prior.jacobian[:, 2 * n :]
    for transition in excited(rng, n, 400, slope, np.zeros(n), share * believed):
        dynamics.fit(transition.x, transition.u)
        dynamics.update(transition)
    alone = (believed / dynamics.prior.spread) ** 2
    factor = dynamics.posterior.precision / alone / dynamics.consistency.prior_weight(dynamics.consistency_settings)
    if expected is None:  # between the ends it is the variance seen over the believed one, of the median joint
        seen = np.sort(dynamics.posterior.variance)[n // 2] / believed**2
        assert NOISE_RANGE[0] < factor.min() and factor.max() < NOISE_RANGE[1]
        np.testing.assert_allclose(factor, seen, rtol=0.3)
    else:
        np.testing.assert_allclose(factor, expected, rtol=1e-9)


def test_the_prior_of_a_joint_with_a_far_worse_sensor_weighs_by_its_own_noise():
    """Three joints, the last with twelve times the others' noise; its prior weighs a tenth of its variance."""
    n, rng, noise = 3, np.random.default_rng(5), np.array([0.02, 0.02, 0.24])
    dynamics = build_dynamics(planar_robot(n), DT, DynamicsSettings(noise=0.02), {})
    slope = np.zeros((n, 3 * n))
    slope[:, 2 * n :] = dynamics.prior.jacobian[:, 2 * n :]
    for transition in excited(rng, n, 400, slope, np.zeros(n), noise):
        dynamics.fit(transition.x, transition.u)
        dynamics.update(transition)
    weights = dynamics.posterior.precision / dynamics.posterior.precision[0]
    own, median = dynamics.posterior.variance[2] / UNEVEN, np.sort(dynamics.posterior.variance)[1]
    np.testing.assert_array_equal(weights[:2], 1.0)
    np.testing.assert_allclose(weights[2], own / median, rtol=0.2)  # the weight is of the sample before
    assert own > 8.0 * median


def test_permuting_the_joints_permutes_everything():
    n, rng = 4, np.random.default_rng(2)
    order = np.array([2, 0, 3, 1])
    both = np.concatenate([order, n + order])
    slope, offset = true_system(rng, n)
    transitions = list(excited(rng, n, 200, slope, offset, 0.01))
    permuted = [Transition(t.stamp, t.x[both], t.u[order], t.x_next[both]) for t in transitions]
    x, u = rng.normal(size=2 * n), rng.normal(size=n)
    _, model = fitted(n, transitions, x, u)
    _, other = fitted(n, permuted, x[both], u[order], order)
    everything = np.concatenate([both, 2 * n + order])
    np.testing.assert_allclose(other.F[0], model.F[0][np.ix_(both, everything)], atol=1e-9)
    np.testing.assert_allclose(other.f[0], model.f[0][both], atol=1e-9)
    np.testing.assert_allclose(other.Sigma[0], model.Sigma[0][np.ix_(both, both)], atol=1e-12)


def test_posterior_equals_conditioning_the_joint_gaussian():
    """Information form against the normal-inverse-Wishart moments (Fu et al. 2016): the same conditional mean."""
    rng = np.random.default_rng(3)
    D, n, N = 5, 2, 60
    precision = np.concatenate([rng.uniform(0.5, 2.0, D - 1), [1e-9]])
    posterior = RegressionPosterior(precision, np.ones(n))
    Phi = np.hstack([rng.normal(size=(N, D - 1)), np.ones((N, 1))])
    Y = rng.normal(size=(N, n))
    for phi, y in zip(Phi, Y, strict=True):
        posterior.add(phi, y, 1.0)
    W = posterior.condition(np.zeros(D - 1))
    # moments: N Sigma_emp plus the prior's scatter, which is diag(precision) on the regressors about mu0 = mu
    mean_phi, mean_y = Phi[:, :-1].mean(0), Y.mean(0)
    scatter = (Phi[:, :-1] - mean_phi).T @ (Phi[:, :-1] - mean_phi) + np.diag(precision[:-1])
    F = np.linalg.solve(scatter, (Phi[:, :-1] - mean_phi).T @ (Y - mean_y))
    np.testing.assert_allclose(W[:-1], F, atol=1e-8)
    np.testing.assert_allclose(W[-1], mean_y - mean_phi @ F, atol=1e-8)


@pytest.mark.parametrize(("size", "outputs"), [(2, 1), (22, 7), (34, 26)])
def test_the_compiled_posterior_is_the_readable_one(size, outputs):
    if library() is None:
        pytest.skip("no C++ compiler: there is only the readable one")
    rng = np.random.default_rng(size)
    precision, noise = rng.uniform(1e-3, 1.0, size), rng.uniform(0.01, 0.1, outputs)
    both = RegressionPosterior(precision, noise), CompiledPosterior(precision, noise)
    for _ in range(100):
        phi, y, centre = np.append(rng.normal(size=size - 1), 1.0), rng.normal(size=outputs), rng.normal(size=size - 1)
        nis = []
        for posterior in both:
            nis.append(posterior.predict(phi, y))
            posterior.add(phi, y, 0.98)
            posterior.add_innovation()
            posterior.condition(centre)
        assert nis[0] == pytest.approx(nis[1], rel=1e-9)
        for name in ("W", "S", "C", "error", "Sigma", "inflation", "count"):
            np.testing.assert_allclose(getattr(both[1], name), getattr(both[0], name), rtol=1e-8, atol=1e-10)


def test_a_sudden_change_is_forgotten_faster_when_it_surprises():
    n, rng = 2, np.random.default_rng(4)
    slope, offset = true_system(rng, n)
    errors = {}
    for surprise in (0.9, 0.985):
        dynamics, _ = fitted(
            n,
            excited(rng, n, 500, slope, offset, 1e-3),
            np.zeros(4),
            np.zeros(2),
            noise=1e-3,
            surprise_forgetting=surprise,
        )
        for transition in excited(np.random.default_rng(5), n, 40, slope, offset + 0.1, 1e-3):
            dynamics.fit(transition.x, transition.u)
            dynamics.update(transition)
        errors[surprise] = np.abs(dynamics.fit(np.zeros(4), np.zeros(2)).f[0, n:] - offset - 0.1).max()
    assert errors[0.9] < 0.7 * errors[0.985]


@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
@pytest.mark.parametrize("dt", [0.002, 0.005, 0.033])
def test_the_integrator_prior_is_stable_at_any_rate(interface, dt):
    """Held at a command, the prior's servo settles on it and never oscillates; for effort it integrates."""
    robot = planar_robot(1, interface)
    dynamics = build_dynamics(robot, dt, DynamicsSettings(), {})
    u = np.array([0.5])
    model = dynamics.fit(np.zeros(2), u)
    x = np.zeros(2)
    for _ in range(round(2.0 / dt)):
        x = model.predict(x, u)
    if interface == "effort":  # a rod of 1 kg and 0.5 m about its end, 1 * 0.5^2 / 3 kg m^2: 0.5 N m for 2 s
        assert x[1] == pytest.approx(0.5 / (0.25 / 3.0) * 2.0, rel=0.02)
    elif interface == "velocity":
        assert x[1] == pytest.approx(0.5, rel=1e-3)
    else:
        np.testing.assert_allclose(x, [0.5, 0.0], atol=2e-3)


def test_command_history_knows_what_was_in_effect():
    history = CommandHistory(1, 0.01, 1.0)
    history.reset(np.array([9.0]))
    for k in range(5):
        history.record(0.01 * k, np.array([float(k)]))
    assert history.in_effect(0.03) == 2.0  # computed one tick earlier
    assert history.in_effect(0.0) == 9.0  # before the first command
    history.set_delay(1.25)  # in a quarter of the tick the older command acts still: 0.75 * 2 + 0.25 * 1
    assert history.in_effect(0.03) == pytest.approx(1.75)


@pytest.mark.parametrize("delay", [0.0, 1.0, 3.0, 1.5])
def test_rolling_forward_lands_where_the_system_lands(delay):
    """Scalar integrator v' = v + u: the roll-forward equals the sum of the commands still to act."""
    dynamics = LinearGaussianDynamics(np.array([[[1.0, 1.0]]]), np.zeros((1, 1)), np.ones((1, 1, 1)))
    history = CommandHistory(1, 1.0, delay)
    history.reset(np.zeros(1))
    for k in range(10):
        history.record(float(k), np.array([float(k)]))
    x = history.roll_forward(np.zeros(1), 10.0, dynamics)
    whole, fraction = int(delay), delay % 1.0
    pending = [10.0 - whole + i for i in range(whole)]  # computed at these stamps, acting in the ticks 10, 11, ...
    expected = sum((1 - fraction) * c + fraction * (c - 1) for c in pending) + fraction * 9.0
    assert x[0] == pytest.approx(expected)


def camera(q):
    """Two coordinates of one point: a smooth, nonlinear image of three joints."""
    return np.array([0.3 * np.sin(q[0]) + 0.2 * q[1], 0.25 * np.cos(q[2]) * q[0] - 0.1 * q[1]])


def watched(motion, seconds, moving, rng, image=camera, start=0.0):
    def q_at(t):
        return 0.2 * moving * np.sin(np.array([3.0, 5.0, 7.0]) * t)

    due, pending = start, []
    for k in range(round(seconds / DT)):
        t = start + k * DT
        motion.add_joints(t, q_at(t))
        if t >= due:
            pending.append(FeatureFrame(t, image(q_at(t)) + 1e-3 * rng.standard_normal(2), np.ones(1)))
            due += 1 / 30
        while pending and pending[0].stamp + 0.05 <= t:
            motion.add_frame(pending.pop(0))
    return q_at(t), t


def test_features_are_learned_and_carried_to_the_present():
    motion, rng = FeatureMotion(3, FeatureSettings(points=1)), np.random.default_rng(0)
    q, t = watched(motion, 3.0, 1.0, rng)
    assert motion.known
    s, _, fresh = motion.present(t, q, np.zeros(3))
    assert fresh
    np.testing.assert_allclose(s, camera(q), atol=0.01)


def test_without_motion_the_image_jacobian_stays_unknown():
    motion = FeatureMotion(3, FeatureSettings(points=1))
    watched(motion, 3.0, 0.0, np.random.default_rng(0))
    assert not motion.known
    np.testing.assert_allclose(motion.G, 0.0, atol=0.05)


def test_a_moved_camera_restarts_the_image_jacobian():
    motion, rng = FeatureMotion(3, FeatureSettings(points=1)), np.random.default_rng(0)
    watched(motion, 2.0, 1.0, rng)
    assert motion.restarts == 0
    q, t = watched(motion, 3.0, 1.0, rng, lambda q: 0.6 - camera(q)[::-1], start=2.0)
    assert motion.restarts == 1 and motion.known
    np.testing.assert_allclose(motion.present(t, q, np.zeros(3))[0], 0.6 - camera(q)[::-1], atol=0.01)


def test_unseen_and_late_frames_are_left_out():
    motion = FeatureMotion(3, FeatureSettings(points=1))
    q, t = watched(motion, 2.0, 1.0, np.random.default_rng(0))
    before = motion.G.copy()
    assert not motion.add_frame(FeatureFrame(t - 1.0, np.zeros(2), np.ones(1)))  # older than the newest
    motion.add_frame(FeatureFrame(t, np.full(2, 0.9), np.zeros(1)))  # confidence 0
    np.testing.assert_array_equal(motion.G, before)
    assert not motion.present(t, q, np.zeros(3))[2]
