r"""The figure of doc/planning.md: how shooting and collocation are conditioned over the horizon.

    python benchmark/shooting_figure.py doc/shooting.png

Random linear dynamics of six states and two commands, spectral radius r, a quadratic cost, H stages; median of five
seeds. Left, the sensitivity |dx_H / du_t|_2 = |A^(H-1-t) B|_2 along a shooting plan: what an error of a command, or
of rounding, becomes at its end. Right, condition numbers: of the Hessian over the commands that single shooting works
on, and of the KKT matrix [W, J^T; J, 0] of the transcription by multiple shooting, whose variables are states, too.
"""

from __future__ import annotations

import argparse

import casadi
import numpy as np
from matplotlib.figure import Figure

from mbrl_ros.console.colors import ACCENT, INK, WARN
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, Term
from mbrl_ros.planners.collocation.transcription import multiple_shooting
from mbrl_ros.planners.ilqr.problem import Problem
from mbrl_ros.types import Array

NX, NU, SEEDS = 6, 2, range(5)
RADII = {1.0: INK, 1.1: ACCENT, 1.3: WARN}
HORIZONS = (5, 10, 20, 30, 50, 80, 100)
LARGEST = 1e16  # beyond it a condition number is rounding


def system(radius: float, seed: int) -> tuple[Array, Array]:
    """Return A (nx, nx) of this spectral radius, and B (nx, nu)."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((NX, NX))
    return A * radius / np.abs(np.linalg.eigvals(A)).max(), rng.standard_normal((NX, NU))


def sensitivities(radius: float, seed: int) -> Array:
    """Return |dx_H / du_t| (H,) of the longest horizon, from its last stage to its first."""
    (A, B), power, found = system(radius, seed), np.eye(NX), []
    for _ in range(HORIZONS[-1]):
        found.append(np.linalg.norm(power @ B, 2))
        power = power @ A
    return np.array(found)


def problem() -> Problem:
    """Return the cost |x|^2 / 2 + |u|^2 / 2."""
    x, u, v = casadi.SX.sym("x", NX), casadi.SX.sym("u", NU), casadi.SX.sym("v", NU)
    return Problem(CostModel(x, u, v, [("state", Term(x, StateCostSettings())), ("effort", Term(u, CostSettings()))]))


def conditions(radius: float, seed: int, H: int) -> tuple[float, float]:
    """Return the condition numbers of shooting's Hessian and of the KKT matrix."""
    A, B = system(radius, seed)
    posed = problem()
    made = multiple_shooting(posed, H, "exact")
    F = np.tile(np.hstack((A, B)), (H, 1, 1))
    p = np.concatenate((np.zeros(NX + NU), F.ravel(), np.zeros(H * NX), posed.cost.parameters(H).ravel()))
    w = np.zeros(made.hess_l.size1_in(0))
    W = made.hess_l(w, p, 1.0, 0.0).full()
    J = made.jac_g(w, p)[1].full()
    kkt = np.block([[W, J.T], [J, np.zeros((len(J), len(J)))]])
    # w = [u_0; x_1; u_1; ...; x_H]: x is what the constraints make of u, dx/du = -J_x^-1 J_u
    is_u = np.tile(np.arange(NU + NX) < NU, H)
    S = np.zeros((len(w), int(is_u.sum())))
    S[is_u] = np.eye(S.shape[1])
    S[~is_u] = -np.linalg.solve(J[:, ~is_u], J[:, is_u])
    return float(np.linalg.cond(S.T @ W @ S)), float(np.linalg.cond(kkt))


def main() -> None:
    """Draw the figure into the file of the command line, and print its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    file = parser.parse_args().file
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for radius, color in RADII.items():
        grown = np.median([sensitivities(radius, seed) for seed in SEEDS], axis=0)
        left.semilogy(np.arange(len(grown)), grown, color=color, label=f"r = {radius}")
        both = np.array([np.median([conditions(radius, seed, H) for seed in SEEDS], axis=0) for H in HORIZONS])
        both[both > LARGEST] = np.nan
        right.semilogy(HORIZONS, both[:, 1], "o-", ms=3, color=color)
        right.semilogy(HORIZONS, both[:, 0], "x--", ms=4, color=color)
        for H, (shooting, kkt) in zip(HORIZONS, both, strict=True):
            print(f"r {radius} H {H}: sensitivity {grown[H - 1]:.1e}, shooting {shooting:.1e}, KKT {kkt:.1e}")
    left.set(title="sensitivity along a shooting plan", xlabel="stages to the end", ylabel="|dx$_H$ / du$_t$|")
    left.legend(frameon=False, fontsize=9)
    right.set(title="condition number", xlabel="horizon H", ylabel="-- shooting   - KKT of collocation")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    main()
