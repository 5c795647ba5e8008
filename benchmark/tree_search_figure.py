r"""The figure of doc/planning.md: what a tree search finds, over the simulations and against steps downhill.

    python benchmark/tree_search_figure.py doc/tree_search.png

Left, the simple regret (J of the answer - J of the optimum) / (J_max - J of the optimum) over the simulations for three
C: x' = x + u over 10 stages with the cost (1/2) sin(3 x + p_t)^2 of random phases p_t, 4 commands that last 2 stages
each, so that all 1364 sequences can be tried; mean of 40 seeds, the band is the standard error. Right, a double
integrator in the plane that is to pass six hills of the cost at random places: the cost above the best one found by
any planner, over the plans, each from the last one; mean of 20 seeds, none of which any setting was chosen on.
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import casadi
import numpy as np
from matplotlib.figure import Figure

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.console.colors import ACCENT, INK, WARN
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, TargetSettings, Term
from mbrl_ros.planners.base import PlannerContext, build_planner
from mbrl_ros.planners.mcts import kernel
from mbrl_ros.planners.mcts.numpy_search import NumpySearch
from mbrl_ros.planners.mcts.search import DEFAULT_LAWS, SearchMemory, SearchNumbers, TreeSearch
from mbrl_ros.types import Array, LinearGaussianDynamics

STAGES, SEGMENT, COMMANDS, LANDSCAPES = 10, 2, (-0.5, 0.0, 0.2, 0.6), range(40)
SIMULATIONS, EXPLORATIONS = (5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560), (0.1, 0.3, 1.0 / np.sqrt(2.0))
HORIZON, DT, JOINTS, HILLS, PLACES, PLANS = 30, 0.1, 2, 6, range(100, 120), 30
PLANNERS: dict[str, dict[str, Any]] = {
    "ilqr": {"control.planner": "ilqr", "planner.iterations": 20},
    "mcts": {"control.planner": "mcts"},
    "mcts, no feedback policy": {
        "control.planner": "mcts",
        "planner.mcts.fixed": ["plan", "hold"],
        "planner.mcts.default": "plan",
    },
}


def landscape() -> CostModel:
    """Return the cost of one state with a phase for each stage."""
    x, u, v, p = (casadi.SX.sym(name) for name in "xuvp")
    return CostModel(
        x, u, v, [("phase", Term(casadi.sin(3.0 * x + p), StateCostSettings(terminal=1.0), {"p": (p, 0.0)}))]
    )


def regrets(exploration: float) -> Array:
    """Return the simple regret of every landscape (rows) and number of simulations (columns)."""
    cost, depths, count = landscape(), STAGES // SEGMENT, len(COMMANDS)
    memory = SearchMemory.allocate(1, 1, cost.np, STAGES, SEGMENT, count)
    memory.F[:], memory.offsets[:] = 1.0, np.array(COMMANDS)[:, None]
    memory.u_lower[:], memory.u_upper[:] = -1.0, 1.0
    library, plan, rows = kernel.load(cost), DEFAULT_LAWS["plan"], []
    for seed in LANDSCAPES:
        phases = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, STAGES + 1)
        memory.p[:] = cost.parameters(STAGES)
        memory.p[:, cost.layout["phase.p"]] = phases[:, None]
        numbers = SearchNumbers(
            horizon=STAGES,
            length=SEGMENT,
            primitives=count,
            simulations=max(SIMULATIONS),
            best_answer=0,
            exploration=exploration,
            widening=1e3,
            growth=1.0,
        )
        search: TreeSearch
        search = (
            NumpySearch(cost, memory, numbers) if library is None else kernel.CompiledSearch(library, memory, numbers)
        )
        costs = [
            search.roll(path, plan) for d in range(1, depths + 1) for path in itertools.product(range(count), repeat=d)
        ]
        found = []
        for simulations in SIMULATIONS:
            search.numbers.simulations = simulations
            search.search()
            found.append(search.numbers.cost)
        rows.append((np.array(found) - min(costs)) / (max(costs) - min(costs)))
    return np.array(rows)


def hills(seed: int) -> CostModel:
    """Return the cost of two positions and their speeds with six hills between start and goal."""
    rng, n = np.random.default_rng(seed), JOINTS
    x, u, v = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("v", n)
    terms = [
        ("goal", Term(x[:n] - 2.0, StateCostSettings(weight=0.3, terminal=10.0))),
        ("speed", Term(x[n:], StateCostSettings(weight=1e-2, terminal=10.0))),
        ("effort", Term(u, CostSettings(weight=1e-2))),
    ]
    for i in range(HILLS):
        bump = casadi.exp(-6.0 * casadi.sumsqr(x[:n] - rng.uniform(0.3, 1.7, n)))
        terms.append((f"hill{i}", Term(bump, TargetSettings(weight=8.0, terminal=1.0))))
    return CostModel(x, u, v, terms)


def costs_of(settings: dict[str, Any], cost: CostModel) -> list[float]:
    """Return the cost of every plan, each from the last one."""
    n, anywhere, high = JOINTS, np.full(2 * JOINTS, np.inf), np.full(JOINTS, 4.0)
    I, O = np.eye(n), np.zeros((n, n))  # noqa: E741  # the usual names
    F = np.block([[I, DT * I, DT**2 / 2.0 * I], [O, I, DT * I]])[None]
    dynamics = LinearGaussianDynamics(F, np.zeros((1, 2 * n)), np.zeros((1, 2 * n, 2 * n)))
    configuration = Configuration.from_flat({**settings, "planner.horizon": HORIZON})
    limits = -high, high, -anywhere, anywhere
    planner = build_planner(configuration, PlannerContext(cost, configuration.planner, 2 * n, n, *limits))
    planner.reset(np.zeros(2 * n), np.zeros(n))
    parameters = cost.parameters(HORIZON)
    return [planner.plan(np.zeros(2 * n), dynamics, parameters, np.zeros(n), ticks=0).cost for _ in range(PLANS)]


def main() -> None:
    """Draw the figure into the file of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    file = parser.parse_args().file
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for C, color in zip(EXPLORATIONS, (INK, ACCENT, WARN), strict=True):
        found = regrets(C)
        mean, error = found.mean(axis=0), found.std(axis=0) / np.sqrt(len(found))
        left.plot(SIMULATIONS, mean, "o-", ms=3, lw=1, color=color, label=f"C = {C:.2f}")
        left.fill_between(SIMULATIONS, mean - error, mean + error, color=color, alpha=0.15, lw=0)
        print(f"C {C:.2f} regret", *(f"{m:.4f}" for m in mean), "optimum found", *(found < 1e-9).sum(axis=0))
    left.set(xscale="log", xlabel="simulations", ylabel="simple regret", ylim=(0.0, None))
    problems = [hills(seed) for seed in PLACES]
    plans = {name: np.array([costs_of(settings, cost) for cost in problems]) for name, settings in PLANNERS.items()}
    best = np.min([costs.min(axis=1) for costs in plans.values()], axis=0)
    for (name, costs), color in zip(plans.items(), (WARN, ACCENT, INK), strict=True):
        above = 100.0 * (costs / best[:, None] - 1.0)
        right.plot(np.arange(1, PLANS + 1), above.mean(axis=0), "o-", ms=3, lw=1, color=color, label=name)
        near = (above[:, -1] < 1.0).sum()
        print(f"{name}: {above.mean(axis=0)[-1]:.1f} % above the best one after {PLANS} plans, within 1 %: {near}")
    right.set(xlabel="plan", ylabel="cost above the best one [%]", yscale="log")
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    main()
