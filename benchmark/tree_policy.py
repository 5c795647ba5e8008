"""A discrete policy of motion primitives as a tree's prior and default policy, taught with hard and soft targets.

    python benchmark/tree_policy.py [--maps 11 12 13] [--starts 400] [--tests 30]

A double integrator in the plane is to pass six hills of the cost (their places are drawn with the number of the map),
from random starts, with a random plan in hand. The teacher is the planner mcts with 2000 simulations and fixed steps,
without the feedback policy; z = ln(1 + N) of the visits N of its first segment. The student (32 units) is taught with
hard targets (the most visited primitive) and with soft ones, p = softmax(z / T). Printed: the cost above the lowest
one found, mean over maps and starts that were not taught, over the simulations.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import casadi
import numpy as np

from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, TargetSettings, Term
from mbrl_ros.distillation.choice import ChoicePolicy
from mbrl_ros.distillation.soft_targets import fit_choice
from mbrl_ros.planners.base import PlannerContext
from mbrl_ros.planners.mcts import MctsPlanner, Settings
from mbrl_ros.types import Array, LinearGaussianDynamics

HORIZON, DT, JOINTS, HILLS, FORCE = 30, 0.1, 2, 6, 4.0
FIXED: dict[str, Any] = {"steps": "fixed", "primitives": 10, "fixed": ("plan", "hold"), "default": "plan"}
SIMULATIONS, SEGMENTS, HARD = (10, 30, 100, 300, 1000), 5, 50.0
EYE, NONE = np.eye(JOINTS), np.zeros((JOINTS, JOINTS))
DYNAMICS = LinearGaussianDynamics(
    np.block([[EYE, DT * EYE, DT**2 / 2.0 * EYE], [NONE, EYE, DT * EYE]])[None],
    np.zeros((1, 2 * JOINTS)),
    np.zeros((1, 2 * JOINTS, 2 * JOINTS)),
)


def hills(number: int) -> CostModel:
    """Return the cost of a map."""
    rng = np.random.default_rng(number)
    x, u, v = casadi.SX.sym("x", 2 * JOINTS), casadi.SX.sym("u", JOINTS), casadi.SX.sym("v", JOINTS)
    terms = [
        ("goal", Term(x[:JOINTS] - 2.0, StateCostSettings(weight=0.3, terminal=10.0))),
        ("speed", Term(x[JOINTS:], StateCostSettings(weight=1e-2, terminal=10.0))),
        ("effort", Term(u, CostSettings(weight=1e-2))),
    ]
    for i in range(HILLS):
        place = casadi.SX.sym("place", JOINTS)
        bump = casadi.exp(-6.0 * casadi.sumsqr(x[:JOINTS] - place))
        places = {"place": (place, rng.uniform(0.3, 1.7, JOINTS))}
        terms.append((f"hill{i}", Term(bump, TargetSettings(weight=8.0, terminal=1.0), places)))
    return CostModel(x, u, v, terms)


class Searcher:
    """The planner mcts of one map with some settings."""

    def __init__(self, cost: CostModel, **settings: Any):
        high, anywhere = np.full(JOINTS, FORCE), np.full(2 * JOINTS, np.inf)
        common = PlannerSettings(horizon=HORIZON)
        context = PlannerContext(cost, common, 2 * JOINTS, JOINTS, -high, high, -anywhere, anywhere)
        self.planner, self._p = MctsPlanner(Settings(**{**FIXED, **settings}), context), cost.parameters(HORIZON)

    def plan(self, x: Array, v: Array, hand: Array) -> Any:
        """Return a plan from x after the command v, with the constant command `hand` as the plan in hand."""
        self.planner.reset(x, hand)
        return self.planner.plan(x, DYNAMICS, self._p, v)


def start(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw a state and the command before it."""
    return rng.uniform(-0.5, 0.5, 2 * JOINTS), rng.uniform(-1.0, 1.0, JOINTS)


def taught(cost: CostModel, number: int, starts: int, folder: Path) -> dict[str, str]:
    """Teach with every kind of target; return {its name: the policy's file}."""
    teacher, rng = Searcher(cost, simulations=2000), np.random.default_rng(number)
    rows, visits = [], []
    for _ in range(starts):
        x, v = start(rng)
        for _ in range(SEGMENTS):
            hand = np.clip(v + rng.integers(2) * rng.uniform(-3.0, 3.0, JOINTS), -FORCE, FORCE)
            plan = teacher.plan(x, v, hand)
            z, N = teacher.planner.example
            rows.append(z), visits.append(N)
            x, v = plan.x_hat[5].copy(), plan.u_hat[4].copy()
    X, N = np.array(rows), np.array(visits)
    soft, hard = np.log1p(N), np.where(N.max(axis=1, keepdims=True) == N, HARD, 0.0)
    files = {}
    for name, z, T in (("hard", hard, 1.0), ("T = 1", soft, 1.0), ("T = 3", soft, 3.0), ("T = 10", soft, 10.0)):
        student = fit_choice(X, z, T, units=32, iterations=400)
        files[name] = str(folder / f"{number} {name}.choice")
        ChoicePolicy(student, teacher.planner.options, 1, X[:1000], {"temperature": T}).save(files[name])
    return files


def excess(cost: CostModel, number: int, files: dict[str, str], tests: int) -> dict[str, Array]:
    """Return {policy: cost above the lowest found, over the simulations}, mean over the tests of one map."""
    rng = np.random.default_rng(1000 + number)
    problems = [start(rng) for _ in range(tests)]

    def costs(**settings: Any) -> Array:
        searcher = Searcher(cost, **settings)
        return np.array([searcher.plan(x, v, v).cost for x, v in problems])

    least = np.minimum(costs(simulations=20000), costs(simulations=2000))
    kinds: dict[str, dict[str, Any]] = {"none": {}}
    kinds |= {name: {"policy": file, "default": "policy"} for name, file in files.items()}
    found = {kind: [costs(simulations=n, **settings) for n in SIMULATIONS] for kind, settings in kinds.items()}
    least = np.minimum(least, np.min([each for all_ in found.values() for each in all_], axis=0))
    return {kind: np.array([(each / least - 1.0).mean() for each in all_]) for kind, all_ in found.items()}


def main() -> None:
    """Teach, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="+", type=int, default=[11, 12, 13])
    parser.add_argument("--starts", type=int, default=400)
    parser.add_argument("--tests", type=int, default=30)
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number in args.maps:
            cost = hills(number)
            results.append(excess(cost, number, taught(cost, number, args.starts, Path(folder)), args.tests))
            print(number, {kind: np.round(100.0 * each, 1).tolist() for kind, each in results[-1].items()}, flush=True)
    print(f"{'policy':10} {'  '.join(f'{n:>5}' for n in SIMULATIONS)}")
    for kind in results[0]:
        mean = np.mean([result[kind] for result in results], axis=0)
        print(f"{kind:10} {'  '.join(f'{100.0 * value:5.1f}' for value in mean)}")


if __name__ == "__main__":
    main()
