r"""The figure of doc/planning.md: three methods of minimization on a function, and the same three on a trajectory.

    python benchmark/newton_figure.py doc/newton.png

Left, g(x) = |r(x)|^2 / 2 of two variables: gradient descent, Gauss-Newton (curvature J^T J) and Newton (J^T J and the
curvature of r). Right, a pendulum that swings up: gradient descent on the commands, iLQR and DDP, which are
Gauss-Newton and Newton on the commands: iLQR leaves out the second derivatives of the dynamics. In both r is curved at
the minimum and not zero there, so that Gauss-Newton converges linearly. Every method halves its step until the value
falls; where the curvature is not positive definite Newton takes Gauss-Newton's, and DDP also where it predicts a
decrease above 1 % of the cost.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import casadi
import numpy as np
from matplotlib.figure import Figure

from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.console.colors import ACCENT, INK, WARN
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, Term
from mbrl_ros.planners.ilqr.ilqr import IlqrPlanner
from mbrl_ros.types import Array, LinearGaussianDynamics

HORIZON, DT, GRAVITY = 60, 0.05, 9.81  # stages, [s], [m/s^2]
ITERATIONS, SMALLEST = 40, 1e-14
START = np.array([-1.2, 1.6])


def residual_problem() -> tuple[casadi.SX, casadi.SX]:
    """Return x (2,) and r (3,)."""
    x = casadi.SX.sym("x", 2)
    return x, casadi.vertcat(4.0 * (x[1] - x[0] ** 2), x[0] - 2.0, x[0] * x[1] + 1.0)


def searched(value: Callable[[Array], float], z: Array, step: Array) -> Array:
    """Return z + alpha step with the largest alpha = 2^-i that lowers the value, or z."""
    now = value(z)
    for i in range(40):
        if value(z + 0.5**i * step) < now:
            return z + 0.5**i * step
    return z


def on_a_function() -> tuple[dict[str, list[Array]], Callable[[Array], float]]:
    """Return {method: its points}, and g."""
    x, r = residual_problem()
    J, g = casadi.jacobian(r, x), 0.5 * casadi.dot(r, r)
    hessian, gradient = casadi.hessian(g, x)
    f = casadi.Function("g", [x], [g, gradient, J.T @ J, hessian])

    def value(z: Array) -> float:
        return float(f(z)[0])

    def path(step: Callable[[Array, Array, Array], Array]) -> list[Array]:
        points = [START]
        for _ in range(ITERATIONS):
            _, slope, gauss_newton, newton = (part.full() for part in f(points[-1]))
            points.append(searched(value, points[-1], step(slope[:, 0], gauss_newton, newton)))
        return points

    def newton_step(slope: Array, gauss_newton: Array, newton: Array) -> Array:
        definite = np.linalg.eigvalsh(newton)[0] > 0.0
        return -np.linalg.solve(newton if definite else gauss_newton, slope)

    return {
        "gradient descent": path(lambda slope, gauss_newton, newton: -slope),
        "Gauss-Newton": path(lambda slope, gauss_newton, newton: -np.linalg.solve(gauss_newton, slope)),
        "Newton": path(newton_step),
    }, value


def on_a_trajectory() -> dict[str, list[float]]:
    """Return {method: the cost after each iteration} of a pendulum's swing-up with commands of at most 20 N m."""
    x, u = casadi.SX.sym("x", 2), casadi.SX.sym("u", 1)

    def rate(at: casadi.SX) -> casadi.SX:
        return casadi.vertcat(at[1], u - GRAVITY * casadi.sin(at[0]) - 0.1 * at[1])

    phi = casadi.Function("phi", [x, u], [x + DT * rate(x + 0.5 * DT * rate(x))])
    goal = Term(casadi.vertcat(x[0] - np.pi, 0.3 * x[1]), StateCostSettings(weight=1.0, terminal=20.0))
    cost = CostModel(x, u, casadi.SX.sym("v", 1), [("goal", goal), ("effort", Term(0.3 * u, CostSettings()))])
    nothing = LinearGaussianDynamics(np.zeros((1, 2, 3)), np.zeros((1, 2)), np.zeros((1, 2, 2)))
    p, limit, x0, command = cost.parameters(HORIZON), np.array([20.0]), np.zeros(2), np.array([0.1])
    costs: dict[str, list[float]] = {}
    for name, second_order in (("iLQR", False), ("DDP", True)):
        settings = PlannerSettings(
            horizon=HORIZON, iterations=1, tolerance=0.0, backend="numpy", line_search=16, second_order=second_order
        )
        planner = IlqrPlanner(cost, settings, 2, 1, -limit, limit, phi)
        planner.reset(x0, command)
        costs[name] = [planner.plan(x0, nothing, p, command, ticks=0).cost for _ in range(ITERATIONS)]
    commands = casadi.MX.sym("U", HORIZON)
    state, total = casadi.MX(x0), casadi.MX(0.0)
    for t in range(HORIZON):
        total += cost.stage(state, 0.0, commands[t], p[t])
        state = phi(state, commands[t])
    total += cost.terminal(state, p[-1])
    f = casadi.Function("cost", [commands], [total, casadi.gradient(total, commands)])
    U, descent = np.full(HORIZON, command[0]), [float(f(np.full(HORIZON, command[0]))[0])]
    for _ in range(ITERATIONS):
        U = searched(lambda z: float(f(z)[0]), U, -f(U)[1].full()[:, 0])
        descent.append(float(f(U)[0]))
    return {"gradient descent": descent, **{name: [descent[0], *values] for name, values in costs.items()}}


def errors(values: list[float], best: float) -> Array:
    """Return the values above the best one, relative to the first."""
    above: Array = (np.array(values) - best) / (values[0] - best)
    return np.where(above > SMALLEST, above, np.nan)


def main() -> None:
    """Draw the figure into the file of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    file = parser.parse_args().file
    paths, value = on_a_function()
    trajectory = on_a_trajectory()
    left = {name: [value(point) for point in points] for name, points in paths.items()}
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    plane, *axes = figure.subplots(1, 3)
    colors = (INK, WARN, ACCENT)
    a, b = np.meshgrid(np.linspace(-1.6, 1.4, 121), np.linspace(-1.2, 2.0, 121))
    heights = np.vectorize(lambda i, j: value(np.array([i, j])))(a, b)
    plane.contour(a, b, np.log(heights), 12, colors="0.85", linewidths=0.6)
    for points, color in zip(paths.values(), colors, strict=True):
        plane.plot(*np.array(points).T, "o-", ms=2.5, lw=1, color=color)
    plane.set(title="g(x) = |r(x)|$^2$ / 2", xlabel="x$_1$", ylabel="x$_2$")
    for axis, values, title in zip(axes, (left, trajectory), ("g(x)", "swing-up of a pendulum"), strict=True):
        best = min(min(v) for v in values.values())
        for (name, v), color in zip(values.items(), colors, strict=True):
            axis.semilogy(errors(v, best), "o-", ms=2.5, lw=1, color=color)
            print(title, name, *(f"{e:.1e}" for e in errors(v, best)[:30]))
        axis.set(title=title, xlabel="iteration", ylabel="cost above its minimum", ylim=(SMALLEST, 3.0))
    axes[1].set(ylabel="")
    lines, names = axes[0].lines, ("gradient descent", "Gauss-Newton; iLQR", "Newton; DDP")
    figure.legend(lines, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    for axis in (plane, *axes):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    main()
