r"""Hermite-Simpson transcription of continuous optimal control problems, usable without a controller.

    min_{x, u, T}  int_0^T l(x, u) dt + l_T(x(T)) + w T
    s.t.  x_dot = g(x, u),   x(0) = x_0,   x(T) = x_T where it is fixed,   limits on x, u and T

Over N intervals of length h = T / N, x is a cubic and u a quadratic of time in each; with m the middle of interval k,

    x_{k+1} - x_k = h/6 (g_k + 4 g_m + g_{k+1}),   x_m = (x_k + x_{k+1}) / 2 + h/8 (g_k - g_{k+1}),
    cost = sum_k h/6 (l_k + 4 l_m + l_{k+1})

States and commands at the 2 N + 1 nodes and middles are the variables, and T where it is free. The error of x falls as
h^4 where u is smooth. Sources: Hargraves & Paris, Journal of Guidance 1987; Kelly, SIAM Review 2017, section 4. The
commands of neighboring intervals are tied together at the nodes, which is not the structure of FATROP: IPOPT solves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ...codegen.symbolic import casadi
from ...exceptions import ConfigurationError
from ...types import Array, CommandVector, StateVector, checked
from .nlp_solver import Outcome, ipopt_outcome

Rate: TypeAlias = "Callable[[casadi.SX, casadi.SX], casadi.SX]"  # of x (nx,) and u (nu,), in CasADi's operations


@dataclass(frozen=True, eq=False, slots=True)
class ContinuousProblem:
    """The problem at the top of this module.

    dynamics: g(x, u), (nx,) per second; running: l(x, u), per second; terminal: l_T(x); x_start (nx,); x_end (nx,): NaN
    where it is free; duration: T [s], or its limits where it is free; time_weight: w [1/s]; u_lower, u_upper (nu,),
    x_lower, x_upper (nx,): infinite where there is no limit.
    """

    dynamics: Rate
    running: Rate
    x_start: StateVector
    x_end: StateVector
    duration: float | tuple[float, float]
    u_lower: CommandVector
    u_upper: CommandVector
    x_lower: StateVector
    x_upper: StateVector
    terminal: Callable[[casadi.SX], casadi.SX] | None = None
    time_weight: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class ContinuousPlan:
    """A solution, or what was found on the way to one.

    t (2N+1,) [s], X (2N+1, nx), U (2N+1, nu) at nodes and middles; rates (2N+1, nx): g there; cost; how the solver
    ended, and after how many iterations.
    """

    t: Array
    X: Array
    U: Array
    rates: Array
    cost: float
    outcome: Outcome
    iterations: int
    function: casadi.Function = field(repr=False)

    @property
    def duration(self) -> float:
        """T [s]."""
        return float(self.t[-1])

    def rate(self, x: StateVector, u: CommandVector) -> StateVector:
        """Return g(x, u) (nx,)."""
        found: Array = self.function(x, u)[0].full().ravel()
        return found

    def at(self, t: float) -> tuple[StateVector, CommandVector]:
        """Interpolate: x (nx,), of third order in time, and u (nu,), of second order, at t in [0, T]."""
        i, s, h = self._place(t)
        g = self.rates[i : i + 3]
        # x_dot is the parabola through the three rates, s = (t - t_k) / h
        weights = s - 1.5 * s**2 + 2.0 / 3.0 * s**3, 2.0 * s**2 - 4.0 / 3.0 * s**3, -0.5 * s**2 + 2.0 / 3.0 * s**3
        x = self.X[i] + h * (weights[0] * g[0] + weights[1] * g[1] + weights[2] * g[2])
        return x, _parabola(s) @ self.U[i : i + 3]

    def defect(self) -> float:
        """Return the largest |x_dot - g(x, u)| of the interpolants between nodes, which tells how good a grid is."""
        worst = 0.0
        for k in range(0, len(self.t) - 1, 2):
            for s in (0.25, 0.75):
                x, u = self.at(self.t[k] + s * (self.t[k + 2] - self.t[k]))
                error = _parabola(s) @ self.rates[k : k + 3] - self.rate(x, u)
                worst = max(worst, float(np.abs(error).max()))
        return worst

    def _place(self, t: float) -> tuple[int, float, float]:
        h = self.t[2]
        i = 2 * int(np.clip(t // h, 0, (len(self.t) - 1) // 2 - 1))
        return i, (t - self.t[i]) / h, h


def hermite_simpson(
    problem: ContinuousProblem,
    intervals: int,
    start: tuple[Array, Array, float] | None = None,
    *,
    iterations: int = 3000,
    tolerance: float = 1e-8,
) -> ContinuousPlan:
    """Solve `problem` over so many intervals.

    Parameters
    ----------
    problem
        What to solve.
    intervals
        N, at least 1.
    start
        States (2N+1, nx), commands (2N+1, nu) and T [s] from which the solver starts, such as `resampled` of a plan on
        another grid; None: on the straight line from x_start to x_end, with commands in the middle of their limits.
    iterations, tolerance
        Of the solver.

    Raises
    ------
    ConfigurationError
        There is no interval, or limits of T are not positive or cross.
    ShapeError
        Sizes do not match.
    """
    low, high = problem.duration if isinstance(problem.duration, tuple) else (problem.duration, problem.duration)
    if intervals < 1 or not 0.0 < low <= high:
        raise ConfigurationError(f"no problem over {intervals} intervals and {low:g} to {high:g} s")
    nx, nu, count = problem.x_start.size, problem.u_lower.size, 2 * intervals + 1
    X, U, T = start or _straight(problem, count, low, high)
    w = np.concatenate((checked("X", X, (count, nx)).ravel(), checked("U", U, (count, nu)).ravel(), [T]))
    rate = _function(problem, nx, nu)
    quiet = {"print_level": 0, "sb": "yes", "tol": tolerance, "max_iter": iterations}
    options: dict[str, Any] = {"print_time": False, "show_eval_warnings": False, "ipopt": quiet}
    solver = casadi.nlpsol("trajectory", "ipopt", _programme(problem, rate, intervals), options)
    lower, upper = _limits(problem, count, low, high)
    answer = solver(x0=w, lbx=lower, ubx=upper, lbg=0.0, ubg=0.0)
    w, stats = answer["x"].full().ravel(), solver.stats()
    X, U = w[: nx * count].reshape(count, nx), w[nx * count : -1].reshape(count, nu)
    times, rates = np.linspace(0.0, w[-1], count), rate.map(count)(X.T, U.T)[0].full().T
    iterations = int(stats["iter_count"])
    return ContinuousPlan(times, X, U, rates, float(answer["f"]), ipopt_outcome(stats), iterations, rate)


def resampled(plan: ContinuousPlan, intervals: int) -> tuple[Array, Array, float]:
    """Return a plan on another grid, as a start for `hermite_simpson`."""
    points = [plan.at(t) for t in np.linspace(0.0, plan.duration, 2 * intervals + 1)]
    return np.array([x for x, _ in points]), np.array([u for _, u in points]), plan.duration


def _straight(problem: ContinuousProblem, count: int, low: float, high: float) -> tuple[Array, Array, float]:
    end = np.where(np.isfinite(problem.x_end), problem.x_end, problem.x_start)
    share = np.linspace(0.0, 1.0, count)[:, None]
    limited = np.isfinite(problem.u_lower) & np.isfinite(problem.u_upper)
    U = np.zeros((count, limited.size))
    U[:, limited] = 0.5 * (problem.u_lower[limited] + problem.u_upper[limited])
    T = 0.5 * (low + high) if np.isfinite(high) else 2.0 * low
    return (1.0 - share) * problem.x_start + share * end, U, T


def _function(problem: ContinuousProblem, nx: int, nu: int) -> casadi.Function:
    """(x, u) -> g (nx,), l."""
    x, u = casadi.SX.sym("x", nx), casadi.SX.sym("u", nu)
    rates = [casadi.densify(problem.dynamics(x, u)), casadi.SX(problem.running(x, u))]
    return casadi.Function("rate", [x, u], rates, {"cse": True})


def _programme(problem: ContinuousProblem, rate: casadi.Function, N: int) -> casadi.Function:
    """(x = [X; U; T], node after node; no p) -> cost f, constraints g = 0."""
    count, nx, nu = 2 * N + 1, rate.size1_in(0), rate.size1_in(1)
    X, U, T = casadi.MX.sym("X", nx, count), casadi.MX.sym("U", nu, count), casadi.MX.sym("T")
    h = T / N
    G, running = rate.map(count)(X, U)
    k, m, n = slice(0, -1, 2), slice(1, None, 2), slice(2, None, 2)
    gaps = X[:, n] - X[:, k] - h / 6.0 * (G[:, k] + 4.0 * G[:, m] + G[:, n])
    middles = X[:, m] - 0.5 * (X[:, k] + X[:, n]) - h / 8.0 * (G[:, k] - G[:, n])
    cost = h / 6.0 * casadi.sum2(running[:, k] + 4.0 * running[:, m] + running[:, n]) + problem.time_weight * T
    if problem.terminal is not None:
        x = casadi.SX.sym("x", nx)
        cost += casadi.Function("terminal", [x], [problem.terminal(x)])(X[:, -1])
    variables = casadi.vertcat(casadi.vec(X), casadi.vec(U), T)
    constraints = casadi.vertcat(casadi.vec(gaps), casadi.vec(middles))
    return casadi.Function("programme", [variables, casadi.MX(0, 1)], [cost, constraints], ["x", "p"], ["f", "g"])


def _limits(problem: ContinuousProblem, count: int, low: float, high: float) -> tuple[Array, Array]:
    """Return those of [X; U; T]."""
    lower, upper = (np.tile(x, (count, 1)) for x in (problem.x_lower, problem.x_upper))
    lower[0] = upper[0] = problem.x_start
    fixed = np.isfinite(problem.x_end)
    lower[-1, fixed] = upper[-1, fixed] = problem.x_end[fixed]
    return (
        np.concatenate((lower.ravel(), np.tile(problem.u_lower, count), [low])),
        np.concatenate((upper.ravel(), np.tile(problem.u_upper, count), [high])),
    )


def _parabola(s: float) -> Array:
    """Return the weights (3,) of the values at 0, 1/2 and 1 in their parabola at s."""
    return np.array([(1.0 - s) * (1.0 - 2.0 * s), 4.0 * s * (1.0 - s), s * (2.0 * s - 1.0)])
