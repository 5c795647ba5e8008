"""The process that plans for `BackgroundPlanner`.

    python -m mbrl_ros.planners.background_child CONNECTION JOB MEMORY

The arguments are file descriptors: a connection, a pickled `Job` and the shared memory. It says BUILT, or what is
wrong, then answers every PLAN with DONE, and ends when the connection does. A plan that takes longer than the job's
timeout ends the process (SIGALRM), since nothing else interrupts a solver that hangs.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ..config import registry
from ..config.section import Section
from ..config.sections.planner import PlannerSettings
from ..costs import CostModel
from ..costs.cost_model import CostFunctions
from ..dynamics.priors.nonlinear_model import NonlinearModel
from ..exceptions import ConfigurationError, MbrlError
from ..types import Array, LinearGaussianDynamics
from .background_memory import Sizes, shared_arrays
from .base import Planner, PlannerContext

PLAN, SETTINGS, DONE, BUILT, BUILT_WITH_MODEL = b"p", b"s", b"d", b"r", b"m"
COST_PARTS = ("nx", "nu", "np", "layout", "uses_u_previous")
COST_FUNCTIONS = ("stage", "stage_expansion", "terminal", "terminal_expansion", "derived")


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """What to build: the planner `name` with its settings; cost: COST_PARTS and COST_FUNCTIONS of the cost.

    model: phi, or why there is none; limits: u_lower, u_upper, x_lower, x_upper; timeout [s] of a plan.
    """

    name: str
    settings: Section
    common: PlannerSettings
    cost: dict[str, Any]
    model: NonlinearModel | ConfigurationError | None
    limits: tuple[Array, Array, Array, Array]
    sizes: Sizes
    timeout: float


class SentCost(CostModel):
    """An objective without its terms: `parameters` and `schedule` are known to the process that has them."""

    def __init__(self, parts: dict[str, Any]):  # the terms that CostModel.__init__ wants stay behind
        for name in COST_PARTS:
            setattr(self, name, parts[name])
        functions = CostFunctions(*(parts[name] for name in COST_FUNCTIONS))
        self._functions = lambda: functions


def main(arguments: list[str]) -> int:
    """Build the planner, then plan until the connection ends; 1 if it cannot be built."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):  # the control thread's priority is not for this process
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    channel, job_file, memory_file = (int(argument) for argument in arguments)
    connection = Connection(channel)
    with os.fdopen(job_file, "rb") as file:
        file.seek(0)
        job: Job = pickle.load(file)
    try:
        planner = build(job)
    except MbrlError as error:
        connection.send_bytes(str(error).encode())
        return 1
    with os.fdopen(memory_file, "r+b") as file:
        shared = shared_arrays(file, job.sizes)
    connection.send_bytes(BUILT if planner.model is None else BUILT_WITH_MODEL)
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = connection.recv_bytes()
            if message == PLAN:
                signal.setitimer(signal.ITIMER_REAL, job.timeout)
                answer(planner, shared)
                signal.setitimer(signal.ITIMER_REAL, 0.0)
                connection.send_bytes(DONE)
            else:
                planner.update_settings(pickle.loads(message[len(SETTINGS) :]))
    return 0


def build(job: Job) -> Planner:
    """Build the planner of a job."""

    def model() -> NonlinearModel:
        if isinstance(job.model, NonlinearModel):
            return job.model
        raise job.model or ConfigurationError("this problem has no nonlinear model")

    nx, nu = job.sizes.nx, job.sizes.nu
    context = PlannerContext(SentCost(job.cost), job.common, nx, nu, *job.limits, None if job.model is None else model)
    planner: Planner = registry.load("planner", job.name).build(job.settings, context)
    return planner


def answer(planner: Planner, shared: Mapping[str, Array]) -> None:
    """Solve the problem in the shared memory, and write the plan there."""
    ticks, anew, stages, share = shared["request"]
    if planner.model is not None:
        planner.model.theta[:] = shared["theta"]
    planner.limit_commands(shared["u_lower"].copy(), shared["u_upper"].copy())
    planner.limit_step(float(share))
    if anew:
        planner.reset(shared["reset_x"].copy(), shared["reset_u"].copy())
    dynamics = LinearGaussianDynamics(*(shared[name][: int(stages)].copy() for name in ("F", "f", "Sigma")))
    given = shared["x0"].copy(), dynamics, shared["p"].copy(), shared["u_previous"].copy()
    plan = planner.plan(*given, int(ticks))
    shared["X"][:], shared["U"][:] = plan.x_hat, plan.u_hat
    shared["answer"][:] = np.array([plan.cost, plan.status, plan.iterations])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
