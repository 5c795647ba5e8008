"""`control.planner: ddp` in the controller: through every nonlinear prior, on every backend, not with a linear one."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.data import store
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner
from mbrl_ros.dynamics.priors import ensemble, gmm
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.types import Observation, PlanStatus
from support.needs import needs
from support.robots import planar_robot

DT, N = 0.01, 2
PRIORS = [pytest.param("rigid_body", marks=needs("adam")), "gmm", "ensemble"]


def settings_of(prior, folder):
    """The settings that choose a prior; a learned one is fitted to random states first."""
    if prior == "rigid_body":
        return {"dynamics.prior": prior, "prior.rigid_body.armature": (0.1,)}
    robot, rng = planar_robot(N), np.random.default_rng(0)
    X, U = rng.uniform(-1.5, 1.5, (300, 2 * N)), rng.uniform(-8.0, 8.0, (300, N))
    D = DT * (U - 3.0 * np.sin(X[:, :N]) - 0.5 * X[:, N:] * np.abs(X[:, N:]))
    data = Dataset(Owner(robot.joints, "effort", DT), X, U, D, np.zeros(300, dtype=int), ("random states",))
    module, options = (gmm, {"components": 3}) if prior == "gmm" else (ensemble, {"members": 2, "epochs": 3})
    file = folder / f"{prior}.npz"
    store.save(file, prior, data.owner, module.fit(data, robot.command_scale, **options))
    return {"dynamics.prior": prior, f"prior.{prior}.file": str(file)}


def controller(**settings):
    flat = {"control.rate": 1.0 / DT, "planner.horizon": 10, "control.planner": "ddp", "planner.backend": "numpy"}
    return MpcController(planar_robot(N), Configuration.from_flat({**flat, **settings}))


def decisions(mpc, ticks=12):
    """The decisions of a run on a plant of its own: unit inertia, gravity-like and quadratic forces."""
    q, qd, found = np.array([0.3, -0.4]), np.zeros(N), []
    for k in range(ticks):
        observation = Observation(k * DT, q.copy(), qd.copy())
        if k == 0:
            mpc.reset(observation)
            mpc.set_joint_target(q + 0.2, 0.0)
        decision = mpc.step(observation)
        mpc.record(observation.stamp, decision.u)
        found.append((decision.plan.status, decision.plan.cost, decision.u.copy(), decision.plan.x_hat.copy()))
        qd_next = qd + DT * (decision.u - 3.0 * np.sin(q) - 0.5 * qd * np.abs(qd))
        q, qd = q + 0.5 * DT * (qd + qd_next), qd_next
    return found


@pytest.mark.parametrize("prior", PRIORS)
def test_every_nonlinear_prior_is_planned_through_and_its_plans_obey_it(prior, tmp_path):
    mpc = controller(**settings_of(prior, tmp_path))
    found = decisions(mpc)
    assert all(status <= PlanStatus.TIME_BUDGET for status, *_ in found)
    X, U, model, residual = found[-1][3], mpc.planner.U, mpc.planner.model, mpc.dynamics.residual()
    for t in range(10):
        following = model.phi(X[t], U[t], model.theta).full()[:, 0] + residual.predict(X[t], U[t])
        np.testing.assert_allclose(X[t + 1], following, rtol=1e-9, atol=1e-10)


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("backend", ["casadi", "compiled"])
def test_the_backends_plan_the_same(backend, tmp_path):
    """With a mixture, whose parameters are given to the compiled planner at every plan."""
    settings = settings_of("gmm", tmp_path)
    expected = decisions(controller(**settings), 6)
    for (status, cost, u, X), reference in zip(
        decisions(controller(**settings, **{"planner.backend": backend}), 6), expected, strict=True
    ):
        assert status == reference[0]
        assert cost == pytest.approx(reference[1], rel=1e-9)
        np.testing.assert_allclose(u, reference[2], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(X, reference[3], rtol=1e-6, atol=1e-7)


def test_second_derivatives_can_be_left_out(tmp_path):
    """Both plan the same nonlinear problem, to the same minimum."""
    settings = {**settings_of("gmm", tmp_path), "planner.iterations": 60, "planner.tolerance": 1e-12}
    full, first = (decisions(controller(**settings, **{"planner.second_order": on}), 2)[-1] for on in (True, False))
    assert full[1] == pytest.approx(first[1], rel=1e-6)


@pytest.mark.parametrize("prior", ["integrator", "global_linear"])
def test_a_linear_prior_is_refused_with_what_to_set(prior, tmp_path):
    settings = {"dynamics.prior": prior}
    if prior == "global_linear":
        rng, n = np.random.default_rng(0), 3 * N
        arrays = {"jacobian": rng.normal(size=(N, n)), "offset": np.zeros(N), "spread_scale": np.array(1.0)}
        file = tmp_path / "prior.npz"
        store.save(file, prior, Owner(planar_robot(N).joints, "effort", DT), arrays)
        settings[f"prior.{prior}.file"] = str(file)
    with pytest.raises(ConfigurationError, match="control.planner to ilqr") as error:
        controller(**settings)
    assert error.value.key == "control.planner"
