r"""The figure of doc/learning.md: the variance of both gradients of a policy against the horizon, and why.

    python benchmark/policy_gradient_figure.py doc/policy_gradients.png

The ensemble of `mbrl learn --method backprop` is fitted to random episodes of `cartpole_swingup`; theta is drawn, and
rollouts of a linear policy in the model are drawn, too. Left, the standard deviation of the gradient of one rollout,
sqrt(trace of the covariance), for every kind of gradient, and where they cross. Right, the largest singular value of
the product of the closed loop's Jacobians dx_H/dx_0, and its condition number. Medians over the draws of theta.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import casadi
import numpy as np
from matplotlib.figure import Figure

from mbrl_ros.console.colors import ACCENT, INK, WARN
from mbrl_ros.dynamics.gaussian_ensemble import EnsembleSettings, features
from mbrl_ros.learning.base import episode_seed, random_commands, roll_out
from mbrl_ros.learning.ensemble_model import EnsembleModel
from mbrl_ros.learning.gradients.gaussian_expression import parameters_size, step_expression
from mbrl_ros.learning.gradients.likelihood_ratio import LikelihoodRatio
from mbrl_ros.learning.gradients.network_policy import NetworkPolicy
from mbrl_ros.learning.gradients.pathwise import Pathwise
from mbrl_ros.learning.gradients.policy_rollouts import PolicyProblem, Rollouts, draw
from mbrl_ros.tasks.catalog import make_task
from mbrl_ros.types import Array

TASK, EPISODES, POLICIES, GAIN = "cartpole_swingup", 5, 5, 0.5  # GAIN: standard deviation of theta
HORIZONS, SEGMENT = (5, 10, 20, 40, 80, 160, 320), 5
ROLLOUTS, REPLICATES, EXPLORATION = 50, 5, 0.1  # rollouts with each network
LARGEST = 1e16  # beyond it a condition number is rounding
KINDS = {
    "backpropagation": (ACCENT, "-", lambda problem, H: Pathwise(problem, H, ROLLOUTS), 1),
    "with a value every 5": (ACCENT, "--", lambda problem, H: Pathwise(problem, H, ROLLOUTS, SEGMENT, True), 1),
    "likelihood ratio, no baseline": (WARN, ":", lambda problem, H: LikelihoodRatio(problem, H, ROLLOUTS), 1),
    "likelihood ratio": (WARN, "-", lambda problem, H: LikelihoodRatio(problem, H, ROLLOUTS), REPLICATES),
}


def posed() -> tuple[PolicyProblem, Array, Array]:
    """Return the problem, the parameters of the networks, and the states (N, nx) that rollouts begin at."""
    task, rng = make_task(TASK), np.random.default_rng(0)
    info = task.info
    model = EnsembleModel(info, EnsembleSettings(), 0)
    for number in range(EPISODES):
        U = random_commands(task, rng, 4)
        model.add(roll_out(task, episode_seed(0, number), lambda t, x, U=U: U[t]).transitions)
    model.fit()
    f = features(model.X, np.zeros((len(model.X), 0)))
    policy = NetworkPolicy(info.u_lower, info.u_upper, f.mean(axis=0), f.std(axis=0), 0)
    shape = model.ensemble.shape
    step = step_expression(shape, info.dt)
    problem = PolicyProblem(info.cost, policy, step, parameters_size(shape), EXPLORATION)
    return problem, model.ensemble.parameters, model.X


def thetas(problem: PolicyProblem) -> Iterator[Array]:
    """Yield POLICIES draws of theta."""
    for seed in range(POLICIES):
        yield GAIN * np.random.default_rng([seed, 4]).standard_normal(problem.policy.size)


def spread(terms: Array, replicates: int) -> float:
    """Return the standard deviation of the gradient of one rollout, from the means of the groups of the terms."""
    means = terms[np.isfinite(terms).all(axis=1)] if replicates == 1 else terms
    grouped = means.reshape(-1, replicates, terms.shape[1]).mean(axis=1)
    return float(np.sqrt(replicates * grouped.var(axis=0, ddof=1).sum()))


def products(problem: PolicyProblem, theta: Array, W: Array, starts: Array, H: int) -> tuple[float, float]:
    """Return the medians over rollouts of the largest singular value of dx_H/dx_0 and of its condition number."""
    nx = problem.cost.nx
    x, at, eps, w, xi = (
        casadi.MX.sym(name, size)
        for name, size in (
            ("x", nx),
            ("theta", problem.policy.size),
            ("eps", nx // 2),
            ("w", problem.model_size),
            ("xi", problem.policy.outputs),
        )
    )
    u = problem.policy.command(problem.policy.mean(x, at) + problem.std * xi)
    jacobian = casadi.Function("A", [x, at, eps, w, xi], [casadi.jacobian(problem.step(x, u, eps, w), x)])
    drawn = draw(np.random.default_rng([H, 6]), starts, len(W), 4, H, problem.policy.outputs)
    rollouts, found = Rollouts(problem, H, 4), []
    for m, w_m in enumerate(W):
        X = rollouts(theta, w_m, drawn.x0[m], drawn.eps[m], drawn.xi[m], problem.cost.parameters(H))[0]
        for k, states in enumerate(X):
            product = np.eye(nx)
            for t in range(H):
                product = jacobian(states[t], theta, drawn.eps[m, k, t], w_m, drawn.xi[m, k, t]).full() @ product
            values = np.linalg.svd(product, compute_uv=False)
            found.append((values[0], min(values[0] / max(values[-1], 1e-300), LARGEST)))
    largest, condition = np.median(found, axis=0)
    return float(largest), float(condition)


def crossing(first: list[float], second: list[float]) -> float:
    """Return the horizon from which on `first` is above `second`, by straight lines between logarithms; NaN: none."""
    gap = np.log(first) - np.log(second)
    for i in np.flatnonzero((gap[:-1] <= 0.0) & (gap[1:] > 0.0))[-1:]:
        share = gap[i] / (gap[i] - gap[i + 1])
        return float(HORIZONS[i] * (HORIZONS[i + 1] / HORIZONS[i]) ** share)
    return float("nan")


def main() -> None:
    """Draw the figure into the file of the command line, and print its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    file = parser.parse_args().file
    problem, W, starts = posed()
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    spreads: dict[str, list[float]] = {name: [] for name in KINDS}
    conditions = []
    for H in HORIZONS:
        p = problem.cost.parameters(H)
        for name, (_, _, make, replicates) in KINDS.items():
            gradient, found = make(problem, H), []
            for theta in thetas(problem):
                drawn = draw(
                    np.random.default_rng([H, 5]), starts, len(W), ROLLOUTS, H, problem.policy.outputs, replicates
                )
                found.append(spread(gradient(theta, W, drawn, p)[1], replicates))
            spreads[name].append(float(np.median(found)))
        conditions.append(np.median([products(problem, theta, W, starts, H) for theta in thetas(problem)], axis=0))
        row = ", ".join(f"{name} {values[-1]:.2e}" for name, values in spreads.items())
        print(f"H {H}: {row}; |dx_H/dx_0| {conditions[-1][0]:.2e}, condition {conditions[-1][1]:.2e}", flush=True)
    whole = spreads["backpropagation"]
    for name in list(KINDS)[1:]:
        print(f"backpropagation is above '{name}' from H = {crossing(whole, spreads[name]):.0f} on")
    for name, (color, line, _, _) in KINDS.items():
        left.loglog(HORIZONS, spreads[name], line, color=color, marker="o", ms=3, label=name)
    left.set(title="standard deviation of one rollout's gradient", xlabel="horizon H")
    left.legend(frameon=False, fontsize=8)
    both = np.array(conditions)
    right.loglog(HORIZONS, both[:, 0], "o-", ms=3, color=INK, label="largest singular value")
    right.loglog(HORIZONS, both[:, 1], "x--", ms=4, color=INK, label="condition number")
    right.set(title="product of Jacobians dx$_H$ / dx$_0$", xlabel="horizon H")
    right.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    main()
