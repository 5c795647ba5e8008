r"""The figure of doc/planning.md: the cost that planners reach in equal time, over commands and horizon.

    python benchmark/equal_time_figure.py doc/equal_time.png

Planar chains of m joints with reach 1 m in all, x = [q; qd], time-varying linear dynamics of 20 ms with random
perturbations, a smooth absolute loss on the tip's distance from its goal, quadratic costs of speeds and commands, a box
on the commands; m x H from 2 x 10 to 14 x 50. Every planner starts from u = 0 and plans again and again from the same
state, without a shift; J after each plan is the cheapest one so far. The optimum J* is the cheapest of 300 iterations
of iLQR from u = 0 and from three random commands. Shown is (J - J*) / (J_0 - J*), with J_0 that of u = 0, median of
three seeds: 1 is no gain, 0 the optimum.

A plan takes the 10 % quantile of 40 measured times, in seconds of the processor, so that other programs on the machine
count for little. With --threads N the planners that sample roll out in N threads: what all of them take is divided by
N, which no real machine does better than.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import casadi
import numpy as np
from matplotlib.figure import Figure

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.console.colors import ACCENT, INK, PALE, WARN
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, TargetSettings, Term
from mbrl_ros.planners.base import Planner, PlannerContext, build_planner
from mbrl_ros.planners.ilqr.evaluator import Evaluator
from mbrl_ros.planners.ilqr.problem import Problem
from mbrl_ros.types import Array, LinearGaussianDynamics

SIZES = ((2, 10), (4, 20), (7, 30), (10, 40), (14, 50))
NAMES = {"random_shooting": PALE, "cem": ACCENT, "mppi": WARN, "ilqr": INK}
DT, BOUND, SEEDS, PLANS, TIMED = 0.02, 2.0, range(3), 60, 40
BUDGETS = np.geomspace(0.05, 200.0, 60)  # [ms]
SHOWN = 50.0  # [ms], of the table and the right figure


def chain_cost(m: int) -> CostModel:
    """Return the cost of m joints."""
    x, u, v = casadi.SX.sym("x", 2 * m), casadi.SX.sym("u", m), casadi.SX.sym("v", m)
    goal, angles = casadi.SX.sym("goal", 2), casadi.cumsum(x[:m])
    tip = casadi.vertcat(casadi.sum1(casadi.cos(angles)), casadi.sum1(casadi.sin(angles))) / m
    return CostModel(
        x,
        u,
        v,
        [
            (
                "goal",
                Term(
                    tip - goal,
                    TargetSettings(l1=1.0, l2=10.0, alpha=1e-3, terminal=5.0),
                    {"goal": (goal, np.array([0.3, 0.4]))},
                ),
            ),
            ("speed", Term(x[m:], StateCostSettings(weight=1e-2, terminal=5.0))),
            ("effort", Term(u, CostSettings(weight=1e-3))),
        ],
    )


def system(m: int, H: int, seed: int) -> tuple[LinearGaussianDynamics, Array]:
    """Return the dynamics over H stages and the first state (2m,)."""
    rng, nx = np.random.default_rng([seed, m, H]), 2 * m
    inverse_inertia = 4.0 * np.eye(m) + 0.5
    A, B = np.eye(nx), np.vstack([0.5 * DT**2 * inverse_inertia, DT * inverse_inertia])
    A[:m, m:] += DT * np.eye(m)
    F = np.tile(np.hstack([A, B]), (H, 1, 1))
    F += np.concatenate([3e-3 * rng.standard_normal((H, nx, nx)), 1e-3 * rng.standard_normal((H, nx, m))], axis=2)
    f = 1e-3 * rng.standard_normal((H, nx))
    x0 = np.concatenate([rng.uniform(-1.0, 1.0, m), np.zeros(m)])
    return LinearGaussianDynamics(F, f, np.tile(1e-6 * np.eye(nx), (H, 1, 1))), x0


def planner(name: str, cost: CostModel, m: int, H: int, iterations: int, threads: int, seed: int) -> Planner:
    """Return a planner with its default settings, iLQR with `iterations`."""
    flat = {"control.planner": name, "planner.horizon": H, "planner.tolerance": 0.0}
    sampled = {f"planner.{name}.threads": threads, f"planner.{name}.seed": seed}
    settings = Configuration.from_flat(flat | ({"planner.iterations": iterations} if name == "ilqr" else sampled))
    high, anywhere = np.full(m, BOUND), np.full(2 * m, np.inf)
    return build_planner(settings, PlannerContext(cost, settings.planner, 2 * m, m, -high, high, -anywhere, anywhere))


def planned(
    made: Planner, problem: tuple[LinearGaussianDynamics, Array], p: Array, start: Array, plans: int
) -> tuple[Array, Array]:
    """Return the lowest cost after each of `plans` plans, and the times [ms] they took."""
    (dynamics, x0), rest, costs, times = problem, np.zeros(len(start)), [], []
    made.reset(x0, start)
    for _ in range(plans):
        begin = time.process_time()
        costs.append(made.plan(x0, dynamics, p, rest, 0).cost)
        times.append(1e3 * (time.process_time() - begin))
    return np.minimum.accumulate(np.nan_to_num(costs, nan=np.inf)), np.array(times)


def replay_cost(cost: CostModel, problem: tuple[LinearGaussianDynamics, Array], p: Array, m: int) -> float:
    """Return J of the commands 0."""
    (dynamics, x0), H = problem, len(problem[0].F)
    X = np.empty((H + 1, 1, 2 * m))
    X[0] = x0
    for t, (F, f) in enumerate(zip(dynamics.F, dynamics.f, strict=True)):
        X[t + 1] = X[t] @ F[:, : 2 * m].T + f
    return float(Evaluator(Problem(cost), H, (1,)).costs(X, np.zeros((H + 1, 1, m)), p)[0])


def gaps(m: int, H: int, threads: int) -> dict[str, Array]:
    """Return {planner: (J - J*) / (J_0 - J*) at BUDGETS}, the median of the seeds."""
    cost = chain_cost(m)
    found: dict[str, list[Array]] = {name: [] for name in NAMES}
    p = cost.parameters(H)
    for seed in SEEDS:
        problem, rng = system(m, H, seed), np.random.default_rng(seed)
        nothing = replay_cost(cost, problem, p, m)
        thorough = planner("ilqr", cost, m, H, 300, 1, seed)
        starts = [np.zeros(m), *rng.uniform(-0.2, 0.2, (3, m))]
        best = min(planned(thorough, problem, p, start, 1)[0][-1] for start in starts)
        curves = {}
        for name in NAMES:
            made = planner(name, cost, m, H, 1, threads, seed)
            planned(made, problem, p, np.zeros(m), 3)  # warm
            costs, times = planned(made, problem, p, np.zeros(m), max(PLANS, TIMED))
            each = float(np.quantile(times[-TIMED:], 0.1)) / (1 if name == "ilqr" else threads)
            done = np.minimum((BUDGETS / each).astype(int), len(costs))
            curves[name] = np.where(done > 0, costs[np.maximum(done, 1) - 1], nothing)
            best = min(best, costs[-1])
            if seed == 0:
                print(f"{m} x {H} {name}: {each:.3f} ms a plan", flush=True)
        for name, J in curves.items():
            found[name].append((np.minimum(J, nothing) - best) / (nothing - best))
    return {name: np.median(rows, axis=0) for name, rows in found.items()}


def draw(file: str, results: Sequence[dict[str, Array]], threads: int) -> None:
    """Draw the gap over the time for the smallest, a middle and the largest size, and over the sizes at SHOWN."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    axes, at = figure.subplots(1, 4), int(np.abs(BUDGETS - SHOWN).argmin())
    for axis, k in zip(axes, (0, 2, len(SIZES) - 1), strict=False):
        for name, color in NAMES.items():
            axis.loglog(BUDGETS, np.maximum(results[k][name], 1e-6), color=color, label=name)
        axis.set(title=f"{SIZES[k][0]} commands x {SIZES[k][1]} stages", xlabel="time [ms]", ylim=(1e-6, 2.0))
    axes[0].set_ylabel("(J - J*) / (J$_0$ - J*)")
    axes[0].legend(frameon=False, fontsize=8)
    variables = [m * H for m, H in SIZES]
    for name, color in NAMES.items():
        axes[3].loglog(variables, [max(found[name][at], 1e-6) for found in results], "o-", ms=4, color=color)
    axes[3].set(title=f"after {SHOWN:g} ms", xlabel="commands x stages", ylim=(1e-6, 2.0))
    axes[3].set_xticks(variables, [f"{m} x {H}" for m, H in SIZES], fontsize=7)
    axes[3].minorticks_off()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{threads} thread{'s' if threads > 1 else ''} of the planners that sample", fontsize=9)
    figure.savefig(file, dpi=80)


def main() -> None:
    """Draw the figure into the file of the command line, and print its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    results = [gaps(m, H, args.threads) for m, H in SIZES]
    print("| m x H | " + " | ".join(f"`{name}`" for name in NAMES) + " |")
    at = int(np.abs(BUDGETS - SHOWN).argmin())
    for (m, H), found in zip(SIZES, results, strict=True):
        print(f"| {m} x {H} | " + " | ".join(f"{found[name][at]:.1e}" for name in NAMES) + " |")
    draw(args.file, results, args.threads)


if __name__ == "__main__":
    main()
