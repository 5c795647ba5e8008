r"""What several trees from one root find, and what they take: the table of doc/scaling.md.

    python benchmark/tree_roots.py
    python benchmark/tree_roots.py --figure doc/tree_roots.png

A double integrator in the plane that is to pass six hills of the cost at random places, seeds 100 to 119, which are
not those any setting was chosen on (benchmark/tree_search_figure.py). R trees of 300 simulations each, and one tree of
300 R simulations: the cost of the plan above the best one that any row found for the seed, in percent, mean and
standard error over the seeds, after the first decision and after PLANS decisions, each from the last plan. Milliseconds
of the processor (in this process) and of the clock for a decision; --jobs N has N workers.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import casadi
import numpy as np

from mbrl_ros.cli._bench import one_thread
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.console.jobs import workers
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, TargetSettings, Term
from mbrl_ros.planners.base import PlannerContext, build_planner
from mbrl_ros.types import Array, LinearGaussianDynamics

ROOTS, SEEDS, EACH, PLANS, HILLS, HORIZON, DT, N = (1, 2, 4, 8, 16, 32), range(100, 120), 300, 5, 6, 30, 0.1, 2


def cost_of_hills() -> CostModel:
    """Return the cost, whose hills' places are parameters."""
    x, u, v = casadi.SX.sym("x", 2 * N), casadi.SX.sym("u", N), casadi.SX.sym("v", N)
    terms = [
        ("goal", Term(x[:N] - 2.0, StateCostSettings(weight=0.3, terminal=10.0))),
        ("speed", Term(x[N:], StateCostSettings(weight=1e-2, terminal=10.0))),
        ("effort", Term(u, CostSettings(weight=1e-2))),
    ]
    for i in range(HILLS):
        place = casadi.SX.sym("place", N)
        bump = casadi.exp(-6.0 * casadi.sumsqr(x[:N] - place))
        terms.append(
            (f"hill{i}", Term(bump, TargetSettings(weight=8.0, terminal=1.0), {"place": (place, np.zeros(N))}))
        )
    return CostModel(x, u, v, terms)


def decide(cost: CostModel, seed: int, settings: dict[str, Any]) -> tuple[list[float], float, float]:
    """Return the costs of PLANS plans, and for one of them the processor's and the clock's time [s]."""
    anywhere, high = np.full(2 * N, np.inf), np.full(N, 4.0)
    eye, none = np.eye(N), np.zeros((N, N))
    F = np.block([[eye, DT * eye, DT**2 / 2.0 * eye], [none, eye, DT * eye]])[None]
    dynamics = LinearGaussianDynamics(F, np.zeros((1, 2 * N)), np.zeros((1, 2 * N, 2 * N)))
    flat: dict[str, Any] = {"control.planner": "mcts", "planner.horizon": HORIZON, "planner.mcts.seed": seed}
    configuration = Configuration.from_flat(
        {**flat, **{f"planner.mcts.{key}": value for key, value in settings.items()}}
    )
    limits = -high, high, -anywhere, anywhere
    planner = build_planner(configuration, PlannerContext(cost, configuration.planner, 2 * N, N, *limits))
    planner.reset(np.zeros(2 * N), np.zeros(N))
    parameters, rng = cost.parameters(HORIZON), np.random.default_rng(seed)
    for i in range(HILLS):
        parameters[:, cost.layout[f"hill{i}.place"]] = rng.uniform(0.3, 1.7, N)
    processor, clock = time.process_time(), time.perf_counter()
    costs = [planner.plan(np.zeros(2 * N), dynamics, parameters, np.zeros(N), ticks=0).cost for _ in range(PLANS)]
    return costs, (time.process_time() - processor) / PLANS, (time.perf_counter() - clock) / PLANS


def main() -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--figure", metavar="FILE")
    args = parser.parse_args()
    cost = cost_of_hills()
    rows: dict[tuple[str, int], dict[str, Any]]
    rows = {("one tree", n): {"simulations": EACH * n} for n in ROOTS}
    rows |= {
        (answer, n): {"simulations": EACH, "roots": n, "answer": answer}
        for answer in ("visited", "best")
        for n in ROOTS
    }
    decide(cost, 0, {})  # what is compiled once
    found, taken = {}, {}
    with workers(args.jobs):
        for row, settings in rows.items():
            runs = [decide(cost, seed, settings) for seed in SEEDS]
            found[row] = np.array([run[0] for run in runs])
            taken[row] = np.median([run[1:] for run in runs], axis=0)
    best = np.min([costs.min(axis=1) for costs in found.values()], axis=0)
    print(
        f"| | trees or times {EACH} simulations | first plan [% above] | plan {PLANS} | processor [ms] | clock [ms] |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    above = {row: 100.0 * (costs / best[:, None] - 1.0) for row, costs in found.items()}
    for (name, n), percent in above.items():
        mean, error = percent.mean(axis=0), percent.std(axis=0) / np.sqrt(len(percent))
        said = " | ".join(f"{mean[k]:.1f} +- {error[k]:.1f}" for k in (0, -1))
        processor, clock = 1e3 * taken[name, n]
        print(f"| {name} | {n} | {said} | {processor:.1f} | {clock:.1f} |")
    if args.figure:
        draw(args.figure, above, {row: 1e3 * times[0] for row, times in taken.items()})


def draw(file: str, above: dict[tuple[str, int], Array], milliseconds: dict[tuple[str, int], float]) -> None:
    """Draw quality and time of a decision against the roots."""
    from matplotlib.figure import Figure

    from mbrl_ros.console.colors import ACCENT, INK, WARN

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    labels = {
        "one tree": f"one tree of {EACH} R simulations",
        "visited": "R trees, visits merged",
        "best": "R trees, cheapest",
    }
    for (name, label), color in zip(labels.items(), (INK, ACCENT, WARN), strict=True):
        mean = np.array([above[name, n][:, -1].mean() for n in ROOTS])
        error = np.array([above[name, n][:, -1].std() / np.sqrt(len(SEEDS)) for n in ROOTS])
        left.plot(ROOTS, mean, "o-", ms=3, lw=1, color=color, label=label)
        left.fill_between(ROOTS, mean - error, mean + error, color=color, alpha=0.15, lw=0)
        right.plot(ROOTS, [milliseconds[name, n] for n in ROOTS], "o-", ms=3, lw=1, color=color, label=label)
    left.set(xscale="log", xlabel="R", ylabel=f"% above the best plan, plan {PLANS}", ylim=(0.0, None))
    right.set(xscale="log", yscale="log", xlabel="R", ylabel="processor for a decision [ms]")
    for axes in (left, right):
        axes.set_xticks(ROOTS, [str(n) for n in ROOTS])
        axes.minorticks_off()
    left.legend(frameon=False)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    one_thread()
    main()
