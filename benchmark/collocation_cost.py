"""Count the instructions of a plan by collocation on P7 over 30 stages, as multiples of one iteration of iLQR.

    python benchmark/collocation_cost.py [FOLDER]

Cold: from the state and a constant command. Warm: the mean of six ticks in which the arm goes as planned but for noise
of the state (1e-4 rad, 1e-3 rad/s), each from the last plan, shifted. `same model`: the stages have the same dynamics,
as a learned local model has; `P7`: those of the bench, which differ from stage to stage at random and do not move with
the plan. Needs valgrind; what is compiled is compiled for its instruction set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mbrl_ros.bench.counters import CallgrindCounter, under_valgrind
from mbrl_ros.bench.planner.ours import iteration
from mbrl_ros.bench.planner.problems import make
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.planners.base import PlannerContext, build_planner
from mbrl_ros.types import LinearGaussianDynamics

STAGES, TICKS = 30, 6
VARIANTS = [(solver, hessian) for solver in ("fatrop", "ipopt") for hessian in ("exact", "gauss_newton")]


def built(problem, solver, hessian):
    """Build the planner, at rest in its start."""
    flat = {"planner.collocation.solver": solver, "planner.collocation.hessian": hessian}
    configuration = Configuration.from_flat({"control.planner": "collocation", "planner.horizon": STAGES, **flat})
    high, anywhere = np.full(problem.nu, problem.bound), np.full(problem.nx, np.inf)
    limits = -high, high, -anywhere, anywhere
    planner = build_planner(
        configuration, PlannerContext(problem.cost, configuration.planner, problem.nx, problem.nu, *limits)
    )
    planner.reset(problem.x0, np.zeros(problem.nu))
    return planner


def run(folder: Path, counted: bool) -> None:
    """Count, and write the table; or only build and run everything once, so that it is compiled."""
    problem = make("P7", STAGES)
    counter = CallgrindCounter(folder / "log") if counted else None

    def count(function, *arguments):
        if counter is None:
            return 1, function(*arguments)
        counter.start()
        before = len(counter.counts())
        counter.mark()
        answer = function(*arguments)
        counter.mark()
        counter.stop()
        begin, end = counter.counts()[before : before + 2]
        return end - begin, answer

    prepare, iterate = iteration(problem, problem.planner("auto"))
    for _ in range(2):  # the first one also touches memory for the first time
        prepare()
        unit, _ = count(iterate)
    rows = [{"what": "one iteration of iLQR", "instructions": unit}]
    same = LinearGaussianDynamics(
        *(np.tile(a.mean(axis=0), (STAGES, *[1] * (a.ndim - 1))) for a in (problem.dynamics.F, problem.dynamics.f)),
        problem.dynamics.Sigma,
    )
    for label, dynamics in (("same model", same), ("P7", problem.dynamics)):
        for solver, hessian in VARIANTS:
            planner, rng, done = built(problem, solver, hessian), np.random.default_rng(0), []
            x, u = problem.x0, np.zeros(problem.nu)
            for _ in range(TICKS + 1):
                cost, plan = count(planner.plan, x, dynamics, problem.parameters, u)
                done.append((cost, plan.iterations, plan.status.name))
                noise = np.repeat((1e-4, 1e-3), 7) * rng.standard_normal(14)
                x, u = plan.x_hat[1] + noise, plan.u_hat[0].copy()
            warm = done[1:]
            rows.append(
                {
                    "what": f"{label}, {solver}, {hessian}",
                    "cold": [done[0][0] / unit, done[0][1]],
                    "warm": [float(np.mean([c for c, *_ in warm])) / unit, float(np.mean([i for _, i, _ in warm]))],
                    "statuses": sorted({status for *_, status in done}),
                }
            )
            (folder / "table.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def main() -> None:
    """Run this file twice: to compile, and to count."""
    if len(sys.argv) > 2:
        run(Path(sys.argv[1]), sys.argv[2] == "counted")
        return
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    words, needed = under_valgrind(folder / "log")
    environment = {**os.environ, **needed, **{f"{n}_NUM_THREADS": "1" for n in ("OPENBLAS", "OMP", "MKL")}}
    for before, what in (([], "compiled"), (words, "counted")):
        subprocess.run([*before, sys.executable, __file__, str(folder), what], env=environment, check=True)
    print((folder / "table.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
