"""Samples to policy: the inertia first, by least squares; then theta, by L-BFGS on the precision-weighted loss.

    min_theta  1/N sum_i 1/2 (mu_theta(o_i) - u_i)^T P_i (mu_theta(o_i) - u_i) + decay/2 |theta|^2

with the weights P_i of problem.py and mu_theta the student's command before saturation. The parameters that do best on
the held-out samples are kept, and the fit ends when they have not improved for `patience` iterations. Warm restarts
begin at the previous policy's theta, and keep its whitening. The same samples, settings and previous policy give the
same policy.

At last `members` further goal networks are fitted to the goals of the first, each at a random part of the taught
targets: where they disagree there were no targets (a bootstrap ensemble, Lakshminarayanan et al., NIPS 2017).
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..config.sections.distillation import DistillationSettings
from ..robots import Robot
from ..types import Array
from .dataset import Samples
from .inertia import PointMassInertia
from .loss import goal_back, loss, loss_and_gradient
from .policy import Policy, fingerprint
from .problem import WEIGHT_CAP, Problem, make_problem
from .region import Neighbors, Region, Taught
from .student import Shape, Whitening, goal

MEMBER_ITERATIONS = 150
MOST_TARGETS = 256  # taught targets a policy remembers
PART = 0.7  # share of the targets each further goal network is fitted to
MEMBER_DECAY = 1e-4


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """How a fit went.

    training, held_out: losses on both parts; seconds: of the fit; history (iterations + 1, 2): seconds and held-out
    loss after every iteration.
    """

    training: float
    held_out: float
    iterations: int
    seconds: float
    history: Array


class Stop(Exception):
    """The held-out loss has not improved for long enough."""


def fit(
    samples: Samples,
    robot: Robot,
    kind: str,
    settings: DistillationSettings,
    *,
    tasks: int = 1,
    previous: Policy | None = None,
    inertia_model: PointMassInertia | None = None,
    weight_cap: float = WEIGHT_CAP,
    about: dict[str, Any] | None = None,
) -> tuple[Policy, Report]:
    """Return the policy of `samples` and how it was found.

    Parameters
    ----------
    kind : what a target is: "joints", "point" or "features"
    tasks : how many tasks share the student
    previous : the policy to begin at
    inertia_model : of `robot`, where it was made before
    weight_cap : largest weight of a sample over the median
    about : further entries of the policy's `about`

    Raises
    ------
    DataError : there are too few samples
    """
    begin = time.perf_counter()
    p = make_problem(
        *(samples, robot, kind, settings),
        tasks=tasks,
        previous=previous,
        inertia_model=inertia_model,
        weight_cap=weight_cap,
    )
    theta, report = _descend(p, settings, begin)
    targets: Array = np.unique(np.hstack((samples.target, samples.task[:, None].astype(np.float64))), axis=0)
    rng = np.random.default_rng((settings.seed, 1))
    members, spread = _members(p.shape, p.white, theta, targets, settings.members, rng)
    known = Neighbors.of(targets[:, :-1], settings.region_margin, MOST_TARGETS, rng)
    policy = Policy(
        shape=p.shape,
        white=p.white,
        theta=theta,
        mu=p.mu,
        rotor_inertia=p.rotor_inertia,
        precision=p.precision,
        taught=(Taught(_region(samples, p.shape, settings.region_margin), known, 0, p.shape.tasks),),
        members=members,
        spread_bound=2.0 * settings.region_margin * spread,
        about={
            "samples": len(samples),
            "targets": len(targets),
            **_provenance(report, settings, robot),
            **(about or {}),
        },
    )
    return policy, report


def _region(samples: Samples, shape: Shape, margin: float) -> Region:
    """Return the region of the states of `samples`."""
    floor = np.r_[0.25 * (shape.highest - shape.lowest), shape.velocity]
    return Region.of(np.hstack((samples.q, samples.qd)), margin, floor)


def _provenance(report: Report, settings: DistillationSettings, robot: Robot) -> dict[str, Any]:
    """Return what a policy's `about` tells of its fit."""
    return {
        "training_loss": report.training,
        "held_out_loss": report.held_out,
        "seed": settings.seed,
        "robot": fingerprint(robot),
    }


class _Best:
    """The theta with the lowest held-out loss so far; called after every iteration. Raises Stop after `patience`."""

    def __init__(self, problem: Problem, patience: int, begin: float):
        self._problem, self._patience, self._begin = problem, patience, begin
        self.theta, self.value, self._at = problem.start, np.inf, 0
        self.history: list[tuple[float, float]] = []

    def __call__(self, theta: Array) -> None:
        p = self._problem
        value = loss(p.shape, p.white, theta, p.held_out)
        self.history.append((time.perf_counter() - self._begin, value))
        if value < self.value:
            self.value, self.theta, self._at = value, theta.copy(), len(self.history)
        elif len(self.history) - self._at >= self._patience:
            raise Stop


def _descend(p: Problem, settings: DistillationSettings, begin: float) -> tuple[Array, Report]:
    """Return theta and how it was found; `begin` is when the fit began, by time.perf_counter()."""
    best = _Best(p, settings.patience, begin)

    def objective(theta: Array) -> tuple[float, Array]:
        value, gradient = loss_and_gradient(p.shape, p.white, theta, p.training)
        return value + float(0.5 * settings.decay * theta @ theta), gradient + settings.decay * theta

    best(p.start)
    with contextlib.suppress(Stop):
        minimize(
            objective,
            p.start,
            jac=True,
            method="L-BFGS-B",
            callback=best,
            options={"maxiter": settings.iterations, "maxcor": 20},
        )
    value = loss(p.shape, p.white, best.theta, p.training)
    seconds = time.perf_counter() - begin
    return best.theta, Report(value, best.value, len(best.history) - 1, seconds, np.array(best.history))


def _members(
    shape: Shape, white: Whitening, theta: Array, targets: Array, count: int, rng: np.random.Generator
) -> tuple[Array, float]:
    """Fit `count` further goal networks to theta's goals, each at a random part of `targets` (T, nt + 1: and task).

    Returns
    -------
    Their parameters (count, goal parameters), and the largest root mean square distance [rad] of their goals to
    theta's at a target.
    """
    layout = shape.goal_layout()
    size = sum(int(np.prod(s)) for s in layout.values())
    if not size or not count:
        return np.zeros((0, size)), 1.0
    tau, task = targets[:, :-1], targets[:, -1].astype(np.int64)
    wanted, _ = goal(shape, white, shape.unpack(theta), tau, task)
    members: list[Array] = []
    spread = np.zeros(len(targets))
    for _ in range(count):
        part = rng.random(len(targets)) < PART
        members.append(fit_goal_network(shape, white, tau[part], task[part], wanted[part], shape.initial(rng)[:size]))
        g, _ = goal(shape, white, shape.unpack(members[-1], layout), tau, task)
        spread += np.sum((g - wanted) ** 2, axis=1) / count
    return np.array(members), max(float(np.sqrt(spread.max())), 1e-3)


def fit_goal_network(
    shape: Shape, white: Whitening, tau: Array, task: NDArray[np.int64], goals: Array, start: Array
) -> Array:
    """Fit one goal network from the parameters `start` to the `goals` (T, n) of targets tau (T, nt), task (T,)."""
    layout = shape.goal_layout()

    def objective(part: Array) -> tuple[float, Array]:
        flat = MEMBER_DECAY * part
        g, memory = goal(shape, white, shape.unpack(part, layout), tau, task)
        r = (g - goals) / max(1, len(tau))
        goal_back(shape, shape.unpack(part, layout), memory, r, shape.unpack(flat, layout))
        return 0.5 * float(np.sum(r * r)) * len(tau) + float(0.5 * MEMBER_DECAY * part @ part), flat

    found: Array = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": MEMBER_ITERATIONS}).x
    return found
