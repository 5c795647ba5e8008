"""Hermite-Simpson transcription against analytic solutions, finer grids and an integrator."""

import casadi
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mbrl_ros.planners.collocation.hermite_simpson import ContinuousProblem, hermite_simpson, resampled
from mbrl_ros.planners.collocation.nlp_solver import Outcome
from mbrl_ros.planners.collocation.parking import STEERING, forth_and_back, parking

GRAVITY = 9.81  # [m/s^2]


def double_integrator(running, x_start=(0.0, 0.0), x_end=(1.0, 0.0), duration=1.0, bound=np.inf, **options):
    """x'' = u with u in +-bound."""
    anywhere, limit = np.full(2, np.inf), np.array([bound])
    limits = {"u_lower": -limit, "u_upper": limit, "x_lower": -anywhere, "x_upper": anywhere}
    return ContinuousProblem(
        lambda x, u: casadi.vertcat(x[1], u),
        running,
        np.array(x_start),
        np.array(x_end),
        duration,
        **{**limits, **options},
    )


def energy(x, u):
    return 0.5 * casadi.sumsqr(u)


def cart_pole(duration=2.0):
    """Swing-up with least effort: Kelly's cart-pole (SIAM Review 2017, section 6), 1 kg and 0.3 kg on 0.5 m, to 1 m."""

    def rate(x, u):
        s, c = casadi.sin(x[1]), casadi.cos(x[1])
        mass, cart, length = 0.3, 1.0, 0.5
        below = cart + mass * (1 - c**2)
        a = (length * mass * s * x[3] ** 2 + u + mass * GRAVITY * c * s) / below
        turn = -(length * mass * c * s * x[3] ** 2 + u * c + (cart + mass) * GRAVITY * s) / (length * below)
        return casadi.vertcat(x[2], x[3], a, turn)

    track, limit = np.array([2.0, np.inf, np.inf, np.inf]), np.array([20.0])
    end = np.array([1.0, np.pi, 0.0, 0.0])
    return ContinuousProblem(
        rate, lambda x, u: casadi.sumsqr(u), np.zeros(4), end, duration, -limit, limit, -track, track
    )


def integrated(plan):
    """The last state when the interpolated commands act on the dynamics."""

    def rate(t, x):
        return plan.rate(x, plan.at(t)[1])

    return solve_ivp(rate, (0.0, plan.duration), plan.X[0], rtol=1e-9, atol=1e-10).y[:, -1]


@pytest.mark.parametrize("intervals", [1, 3, 10])
def test_least_energy_of_the_double_integrator_is_exact(intervals):
    """u = 6 - 12 t, x = 3 t^2 - 2 t^3, cost 6: polynomials that every grid represents."""
    plan = hermite_simpson(double_integrator(energy), intervals)
    assert plan.outcome is Outcome.SOLVED
    np.testing.assert_allclose(plan.U[:, 0], 6.0 - 12.0 * plan.t, atol=1e-7)
    assert plan.cost == pytest.approx(6.0, rel=1e-9)
    for t in (0.1, 0.37, 0.9):
        x, u = plan.at(t)
        np.testing.assert_allclose(x, [3 * t**2 - 2 * t**3, 6 * t - 6 * t**2], atol=1e-7)
        assert u[0] == pytest.approx(6.0 - 12.0 * t, abs=1e-7)
    assert plan.defect() < 1e-7


def test_a_free_end_state_has_a_free_end():
    """min int u^2 / 2 + (x(1) - 1)^2 / 2 from rest: u = (1 - t) / (4/3), x(1) = 1/4, cost 3/8."""
    end = np.array([np.nan, np.nan])
    problem = double_integrator(energy, x_end=end, terminal=lambda x: 0.5 * (x[0] - 1.0) ** 2)
    plan = hermite_simpson(problem, 6)
    assert plan.X[-1, 0] == pytest.approx(0.25, abs=1e-7)
    assert plan.cost == pytest.approx(0.375, rel=1e-8)
    np.testing.assert_allclose(plan.U[:, 0], 0.75 * (1.0 - plan.t), atol=1e-7)


def test_least_time_of_the_double_integrator():
    """Full command to the middle and against it then: T = 2 for a distance of 1 with |u| <= 1."""
    problem = double_integrator(lambda x, u: 0.0 * u, duration=(0.1, 10.0), bound=1.0, time_weight=1.0)
    for intervals in (10, 25):
        plan = hermite_simpson(problem, intervals)
        assert plan.outcome is Outcome.SOLVED
        assert plan.duration == pytest.approx(2.0, rel=1e-3)
        assert np.abs(plan.U).max() <= 1.0 + 1e-7


def test_a_limit_of_a_state_that_binds():
    """The problem of Bryson and Denham: x <= 1/9 from x = 0, v = 1 to x = 0, v = -1 costs 4 / (9 / 9) = 4."""
    high = np.array([1.0 / 9.0, np.inf])
    problem = double_integrator(energy, (0.0, 1.0), (0.0, -1.0), x_upper=high)
    plan = hermite_simpson(problem, 60)
    assert plan.outcome is Outcome.SOLVED
    assert plan.X[:, 0].max() <= 1.0 / 9.0 + 1e-7
    assert plan.cost == pytest.approx(4.0, rel=1e-3)


def test_swing_up_of_a_cart_pole_is_that_of_a_finer_grid_within_one_percent():
    coarse = hermite_simpson(cart_pole(), 30)
    fine = hermite_simpson(cart_pole(), 120, resampled(coarse, 120))
    assert coarse.outcome is Outcome.SOLVED and fine.outcome is Outcome.SOLVED
    assert coarse.cost == pytest.approx(fine.cost, rel=0.01)
    assert fine.iterations < coarse.iterations
    assert fine.defect() < 0.2 * coarse.defect()
    np.testing.assert_allclose(integrated(fine), [1.0, np.pi, 0.0, 0.0], atol=1e-3)


def test_an_end_that_cannot_be_reached_is_no_solution():
    plan = hermite_simpson(double_integrator(energy, bound=1.0, duration=1.0), 10)  # takes 2 s
    assert plan.outcome is Outcome.FAILED


def test_it_prints_nothing(capfd):
    hermite_simpson(double_integrator(energy), 4)
    out, err = capfd.readouterr()
    assert out == "" and err == ""


# --- parking a kinematic bicycle ---


@pytest.mark.parametrize("end", [(0.0, 1.5, 0.0), (2.0, 2.0, 0.0)])
def test_a_bicycle_is_parked_sideways_within_its_steering_angle(end):
    problem = parking(np.zeros(3), np.array(end))
    coarse = hermite_simpson(problem, 20, forth_and_back(problem, 20))
    plan = hermite_simpson(problem, 60, resampled(coarse, 60))
    assert coarse.outcome is Outcome.SOLVED and plan.outcome is Outcome.SOLVED
    assert coarse.cost == pytest.approx(plan.cost, rel=0.01)
    assert STEERING - 1e-6 < np.abs(plan.X[:, 4]).max() < STEERING + 1e-6  # it binds
    assert plan.X[:, 3].min() < -0.5 and plan.X[:, 3].max() > 0.5  # forth and back
    np.testing.assert_allclose(integrated(plan), [*end, 0.0, 0.0], atol=1e-3)
