"""Rows of the dynamics that follow from others shorten the compiled recursion, and change nothing else."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.dynamics.compiled_model import make_local_model
from mbrl_ros.dynamics.posterior import RegressionPosterior
from mbrl_ros.dynamics.priors.global_linear import GlobalLinearPrior
from mbrl_ros.dynamics.state_equations import StateEquations
from mbrl_ros.types import LinearGaussianDynamics
from support.planner_problems import random_case

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")


def plans(case, **settings):
    """The compiled plans of three ticks, and whether known rows were used."""
    planner = case.planner("compiled", **settings)
    found = []
    for tick in range(3):
        plan = case.plan(planner, ticks=tick)
        found.append({name: np.array(getattr(plan, name)) for name in ("x_hat", "u_hat", "K", "K_u", "k", "cost")})
    return found, planner.solver.has_known_rows()


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(("nx", "stages"), [(14, 1), (14, 12), (18, 12)])
@pytest.mark.parametrize("options", [{}, {"change": True, "bound": 0.2}, {"nonlinear": True, "change": True}])
def test_the_plan_is_that_of_the_dense_recursion(nx, stages, options):
    case = random_case(7, nx, 7, 12, positions=True, stages=stages, **options)
    wanted, known = plans(case, iterations=2)
    assert known
    F = case.dynamics.F.copy()
    F[-1, 3, 5] += 1e-11  # beyond rounding, and without weight in the plan
    case.dynamics = LinearGaussianDynamics(F, case.dynamics.f, case.dynamics.Sigma)
    found, known = plans(case, iterations=2)
    assert not known
    for a, b in zip(found, wanted, strict=True):
        for name, value in a.items():
            np.testing.assert_allclose(value, b[name], rtol=0.0, atol=1e-8 * (1.0 + np.abs(b[name]).max()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4, 6, 7, 17, 33, 34])
def test_steps_that_meet_their_limits_minimise_as_the_specification_says(seed):
    case = random_case(seed, 18, 7, 12, positions=True, stages=12, nonlinear=True, change=True)
    compiled, reference = case.planner("compiled", iterations=2), case.planner("numpy", iterations=2)
    for tick in range(2):
        a, b = case.plan(compiled, ticks=tick), case.plan(reference, ticks=tick)
        assert a.cost == pytest.approx(b.cost, rel=1e-9)
        np.testing.assert_allclose(a.k, b.k, rtol=0.0, atol=1e-8 * (1.0 + np.abs(b.k).max()))


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("entry", [(0, 0), (1, 0), (0, 4), (2, 10), (4, 7), (6, 1), (7, 2), (8, 0), (9, 8), (9, 12)])
def test_a_row_that_depends_on_more_is_planned_with_as_it_is(entry):
    case = random_case(5, 10, 3, 9, positions=True)
    F = case.dynamics.F.copy()
    F[(4, *entry)] += 0.3
    case.dynamics = dataclasses.replace(case.dynamics, F=F)
    compiled, reference = case.planner("compiled", iterations=3), case.planner("numpy", iterations=3)
    a, b = case.plan(compiled), case.plan(reference)
    assert not compiled.solver.has_known_rows()
    np.testing.assert_allclose(a.u_hat, b.u_hat, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(a.K, b.K, rtol=0.0, atol=1e-9 * (1.0 + np.abs(b.K).max()))


def test_velocities_that_say_next_to_nothing_of_the_positions_are_not_used():
    case = random_case(6, 2, 1, 8, positions=True, stages=1)
    F = np.array([[[1.0, 0.1, 0.5], [0.0, 1.0, 1e-9]]])  # h = 5e8 fits, and would cost nine digits
    case.dynamics = dataclasses.replace(case.dynamics, F=F)
    compiled, reference = case.planner("compiled", iterations=2), case.planner("numpy", iterations=2)
    a, b = case.plan(compiled), case.plan(reference)
    assert not compiled.solver.has_known_rows()
    np.testing.assert_allclose(a.K, b.K, rtol=0.0, atol=1e-10 * (1.0 + np.abs(b.K).max()))


def test_velocities_that_nothing_moves_are_known_rows_too():
    case = random_case(4, 4, 2, 8, positions=True, stages=1)
    F = np.zeros_like(case.dynamics.F)
    F[0, :, :4] = np.eye(4)
    F[0, [0, 1], [2, 3]] = 0.1  # constant velocities: the commands do nothing
    case.dynamics = dataclasses.replace(case.dynamics, F=F)
    compiled, reference = case.planner("compiled", iterations=2), case.planner("numpy", iterations=2)
    a, b = case.plan(compiled), case.plan(reference)
    assert compiled.solver.has_known_rows()
    np.testing.assert_allclose(a.u_hat, b.u_hat, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(a.x_hat, b.x_hat, rtol=0.0, atol=1e-10)


@pytest.mark.slow(but=3)
@pytest.mark.parametrize("m", [0, 4])
@pytest.mark.parametrize("servo", [None, slice(3, 6), slice(0, 3)])
@pytest.mark.parametrize("offset_only", [False, True])
@pytest.mark.parametrize(("stages", "linear"), [(1, True), (10, False)])
def test_the_rows_of_the_learned_model_are_found(m, servo, offset_only, stages, linear):
    n, random = 3, np.random.default_rng(2)
    G = random.normal(size=(m, n))
    size = 1 if offset_only else 3 * n + 1
    posterior = RegressionPosterior(np.full(size, 0.1), np.full(n, 0.2))
    for _ in range(20):
        posterior.predict(random.normal(size=size), random.normal(size=n))
        posterior.add(np.append(random.normal(size=size - 1), 1.0), random.normal(size=n), 0.99)
        posterior.add_innovation()
    posterior.condition(random.normal(size=size - 1))
    equations = StateEquations(n, m, 0.005)
    prior = GlobalLinearPrior(random.normal(size=(n, 3 * n)), random.normal(size=n), np.ones(3 * n + 1))
    model = make_local_model(equations, posterior, prior, np.array([87.0, 1.0, 0.01]), servo, offset_only)
    case = random_case(1, 2 * (n + m), n, 10, positions=True, change=True)
    for rule in range(2):
        Z, jacobian = random.normal(size=(stages, 3 * n)), 0.01 * random.normal(size=(stages, n, 3 * n))
        mean = 0.01 * random.normal(size=(stages, n))
        case.dynamics = model.combine(mean, jacobian, Z, Z[0], G, linear=linear)
        assert plans(case, iterations=1)[1], f"rule {rule}"
        for _ in range(30):  # two joints change to the other rule of integration
            now = 0.1 * random.normal(size=2 * n)
            after = now[n:] + random.normal(size=n)
            equations.add(now, np.concatenate([now[:n] + 0.005 * after - [0.0, 0.0, 1.0], after]))
        G = 10.0 * G
        assert (equations.theta == [1.0, 1.0, 0.5]).all()
