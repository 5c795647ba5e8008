"""The planner of this package as the bench runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ...config.sections.planner import PlannerSettings
from ...costs import CostModel
from ...planners.ilqr import kernel
from ...planners.ilqr.ilqr import IlqrPlanner
from ...planners.ilqr.numpy_ilqr import NumpyIlqr
from ...planners.ilqr.problem import Problem
from ...types import LinearGaussianDynamics, StateVector
from ..counters import compiler_for
from .numpy_cost import NumpyEvaluator
from .peer import MOST_ITERATIONS, Peer, Runner, Trajectory, Variant
from .problems import BenchProblem
from .quadratic import QuadraticCost, QuadraticProblem

OWN_MARCH = ""  # this processor's own instruction set
PLAIN_MARCH = "x86-64"


def ours(problem: BenchProblem, quadratic: QuadraticProblem, backend: str, march: str = OWN_MARCH) -> Peer:
    """Return this package's iLQR with one of its backends, compiled for `march`."""
    with compiled_for(march):
        planner = problem.planner(backend)
        if backend == "numpy":  # the costs in numpy, too
            assert isinstance(planner.solver, NumpyIlqr)
            planner.solver.evaluate = NumpyEvaluator(problem)
            return Peer(iteration(problem, planner), reason="the specification: its iterations are those of ilqr")
        variants = tuple(exact(quadratic, backend, clamping) for clamping in ("step", "limit"))
        files = binaries(problem.cost, planner)
    return Peer(iteration(problem, planner), variants, binaries=files or ("libcasadi.",))


def iteration(problem: BenchProblem, planner: IlqrPlanner) -> Runner:
    """Return one iteration of the reference problem itself: its cost is expanded, too."""
    parameters, u = problem.parameters, np.zeros(problem.nu)

    def prepare() -> None:
        planner.reset(problem.x0, u)
        planner.U[:] = problem.U

    return prepare, lambda: planner.plan(problem.x0, problem.dynamics, parameters, u)


def exact(problem: QuadraticProblem, backend: str, clamping: str) -> Variant:
    """Return the planner on the quadratic problem, with a growing number of iterations; see `planner.clamping`."""
    cost = QuadraticCost(problem)
    settings = PlannerSettings(horizon=problem.horizon, backend=backend, tolerance=0.0, clamping=clamping)
    planner = IlqrPlanner(cost, settings, problem.nx, problem.nu, problem.low, problem.high)
    dynamics = LinearGaussianDynamics(problem.F, problem.f, np.zeros((problem.horizon, problem.nx, problem.nx)))
    parameters, u = cost.parameters(problem.horizon), np.zeros(problem.nu)
    x0: StateVector = problem.X[0].copy()
    done = {"iterations": 0}

    def prepare() -> None:
        planner.reset(x0, u)
        planner.U[:] = problem.U

    def run(iterations: int) -> None:
        planner.solver.tick.iterations = iterations
        done["iterations"] = planner.plan(x0, dynamics, parameters, u).iterations

    def found() -> Trajectory:
        return planner.X.copy(), planner.U.copy(), done["iterations"]

    return Variant(f"clamping: {clamping}", range(1, MOST_ITERATIONS + 1), prepare, run, found)


def binaries(cost: CostModel, planner: IlqrPlanner) -> tuple[str, ...]:
    """Return the file of a planner's compiled library, () where there is none."""
    library = kernel.load(Problem(cost)) if planner.backend == "compiled" else None
    return () if library is None else (library._name,)


@contextmanager
def compiled_for(march: str) -> Iterator[None]:
    """Let what is compiled within the context be compiled for `march`; OWN_MARCH changes nothing."""
    before = os.environ.get("CXX")
    os.environ.update(compiler_for(march) if march else {})
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("CXX", None)
        else:
            os.environ["CXX"] = before
