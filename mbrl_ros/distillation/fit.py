"""Samples to policy: the inertia first, by least squares; then theta, by L-BFGS on the precision-weighted loss.

    min_theta  1/N sum_i 1/2 (mu_theta(o_i) - u_i)^T P_i (mu_theta(o_i) - u_i) + decay/2 |theta|^2,
    P_i = Q_uu,i over the median of tr Q_uu, capped at twice that median         (Levine & Abbeel, NIPS 2014, step 2)

Every eighth target, with all its samples, is held out; the parameters that do best on those are kept, and the fit ends
when they have not improved for `patience` iterations. Warm restarts begin at the previous policy's theta, and keep
its whitening. The same samples, settings and previous policy give the same policy.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from scipy.optimize import minimize

from ..config.sections.distillation import DistillationSettings
from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from . import student
from .dataset import Samples
from .inertia import PointMassInertia
from .policy import Policy, fingerprint
from .region import Neighbors, Region
from .student import Shape, Whitening

HELD_OUT = 8  # one target in so many
CAP = 2.0  # largest weight over the median
FEWEST = 50  # samples
MEMBER_ITERATIONS = 150
MOST_TARGETS = 256  # taught targets a policy remembers
SEEN = 0.7  # share of the targets each further goal network is fitted to


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """How a fit went: losses on both parts, iterations, seconds, and the held-out loss after every iteration with its
    time [s].
    """

    training: float
    held_out: float
    iterations: int
    seconds: float
    history: Array


class Stop(Exception):
    """The held-out loss has not improved for long enough."""


def make_shape(robot: Robot, kind: str, nt: int, tasks: int, settings: DistillationSettings) -> Shape:
    return Shape(
        robot.joints,
        robot.interface,
        kind,
        nt,
        tasks,
        settings.window,
        settings.inertia_scale,
        settings.goal_units,
        settings.gain_units,
        *_finite_limits(robot),
        settings.velocity_fraction * robot.velocity_limit,
        settings.acceleration_fraction * robot.acceleration_limit,
        robot.command_lower,
        robot.command_upper,
    )


def capped(P: Array) -> tuple[Array, float]:
    """P (N, n, n) over the median of its traces, none above CAP times it, and that median."""
    trace = np.trace(P, axis1=1, axis2=2)
    median = float(np.median(trace))
    return P * (np.minimum(1.0, CAP * median / trace) / median)[:, None, None], median


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """What is minimised: the loss of `training`, while that of `held_out` is watched; both as student.loss takes data.
    mu (count,) [kg], rotor_inertia (n,): inertia.py; precision (n, n): the mean of the capped weights, in the teacher's units.
    """

    shape: Shape
    white: Whitening
    start: Array
    training: SimpleNamespace
    held_out: SimpleNamespace
    mu: Array
    rotor_inertia: Array
    precision: Array


def make_problem(
    samples: Samples,
    robot: Robot,
    kind: str,
    settings: DistillationSettings,
    *,
    tasks: int = 1,
    previous: Policy | None = None,
    inertia_model: PointMassInertia | None = None,
) -> Problem:
    """Everything that comes before the descent. DataError if there are too few samples."""
    if len(samples) < FEWEST:
        raise DataError(f"{len(samples)} samples are too few to learn from; at least {FEWEST} are needed")
    inertia_model = inertia_model or PointMassInertia(robot)
    shape = previous.shape if previous else make_shape(robot, kind, samples.target.shape[1], tasks, settings)
    unit = (shape.upper - shape.lower) / 2.0
    told = np.abs(samples.dw).max(axis=1) > 0.0
    mu, rotor_inertia = inertia_model.identify(
        samples.q[told], samples.dq[told], samples.da[told], samples.dw[told], unit
    )
    rotor_inertia = np.maximum(rotor_inertia, 1e-3 * unit / shape.acceleration)
    M = shape.inertia_scale * inertia_model.inertia(samples.q, mu, rotor_inertia)
    P, median = capped(samples.P)
    held_out = samples.epoch % HELD_OUT == HELD_OUT - 1
    if not held_out.any():
        held_out = np.arange(len(samples)) % HELD_OUT == HELD_OUT - 1
    parts = [
        SimpleNamespace(q=s.q, qd=s.qd, a=s.a, w=s.w, target=s.target, task=s.task, u=s.u, P=P[k], M=M[k])
        for k in (~held_out, held_out)
        for s in (samples.take(k),)
    ]
    start = previous.theta if previous else shape.initial(np.random.default_rng(settings.seed))
    return Problem(
        shape,
        previous.white if previous else _whitening(samples),
        start,
        *parts,
        mu,
        rotor_inertia,
        median * P.mean(axis=0),
    )


def fit(
    samples: Samples,
    robot: Robot,
    kind: str,
    settings: DistillationSettings,
    *,
    tasks: int = 1,
    previous: Policy | None = None,
    inertia_model: PointMassInertia | None = None,
    about: dict | None = None,
) -> tuple[Policy, Report]:
    """The policy of `samples` and how it was found. DataError if there are too few of them."""
    begin = time.perf_counter()
    p = make_problem(samples, robot, kind, settings, tasks=tasks, previous=previous, inertia_model=inertia_model)
    theta, report = _descend(p, settings, begin)
    states = Region.of(
        np.hstack((samples.q, samples.qd)),
        settings.region_margin,
        np.r_[0.25 * (p.shape.highest - p.shape.lowest), p.shape.velocity],
    )
    targets = np.unique(np.hstack((samples.target, samples.task[:, None])), axis=0)
    rng = np.random.default_rng((settings.seed, 1))
    members, spread = _members(p.shape, p.white, theta, targets, settings, rng)
    nearby = Neighbors.of(targets[:, :-1], settings.region_margin, MOST_TARGETS, rng)
    policy = Policy(
        p.shape,
        p.white,
        theta,
        p.mu,
        p.rotor_inertia,
        p.precision,
        states,
        nearby,
        members,
        2.0 * settings.region_margin * spread,
        {
            "samples": len(samples),
            "targets": len(targets),
            "training_loss": report.training,
            "held_out_loss": report.held_out,
            "seed": settings.seed,
            "robot": fingerprint(robot),
            **(about or {}),
        },
    )
    return policy, report


def _descend(p: Problem, settings: DistillationSettings, begin: float) -> tuple[Array, Report]:
    best, history = [np.inf, p.start, 0], []

    def objective(theta: Array):
        value, gradient = student.loss(p.shape, p.white, theta, p.training)
        return value + 0.5 * settings.decay * theta @ theta, gradient + settings.decay * theta

    def watch(theta: Array) -> None:
        value = student.loss(p.shape, p.white, theta, p.held_out, gradient=False)[0]
        history.append((time.perf_counter() - begin, value))
        if value < best[0]:
            best[:] = value, theta.copy(), len(history)
        elif len(history) - best[2] >= settings.patience:
            raise Stop

    watch(p.start)
    with contextlib.suppress(Stop):
        minimize(
            objective,
            p.start,
            jac=True,
            method="L-BFGS-B",
            callback=watch,
            options={"maxiter": settings.iterations, "maxcor": 20},
        )
    value = student.loss(p.shape, p.white, best[1], p.training, gradient=False)[0]
    return best[1], Report(value, best[0], len(history) - 1, time.perf_counter() - begin, np.array(history))


def _members(
    shape: Shape,
    white: Whitening,
    theta: Array,
    targets: Array,
    settings: DistillationSettings,
    rng: np.random.Generator,
) -> tuple[Array, float]:
    """Goal networks from other beginnings, each fitted to theta's goals at a random part of the taught `targets`
    (T, nt + 1: and task), and the largest distance [rad] of their goals to those at all targets.
    """
    layout = shape.goal_layout()
    size = sum(int(np.prod(s)) for s in layout.values())
    if not size or not settings.members:
        return np.zeros((0, size)), 1.0
    wanted, _ = student.goal(shape, white, shape.unpack(theta), targets[:, :-1], targets[:, -1].astype(int))
    members, spread = [], np.zeros(len(targets))
    for _ in range(settings.members):
        seen = rng.random(len(targets)) < SEEN
        tau, task, goals = targets[seen, :-1], targets[seen, -1].astype(int), wanted[seen]

        def objective(part: Array):
            flat = 1e-4 * part
            g, memory = student.goal(shape, white, shape.unpack(part, layout), tau, task)
            r = (g - goals) / max(1, len(tau))
            student.goal_back(shape, shape.unpack(part, layout), memory, r, shape.unpack(flat, layout))
            return 0.5 * float(np.sum(r * r)) * len(tau) + 0.5e-4 * part @ part, flat

        members.append(
            minimize(
                objective,
                shape.initial(rng)[:size],
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": MEMBER_ITERATIONS},
            ).x
        )
        g, _ = student.goal(
            shape, white, shape.unpack(members[-1], layout), targets[:, :-1], targets[:, -1].astype(int)
        )
        spread += np.sum((g - wanted) ** 2, axis=1) / settings.members
    return np.array(members), max(float(np.sqrt(spread.max())), 1e-3)


def _whitening(samples: Samples) -> Whitening:
    n = samples.q.shape[1]
    spread = np.maximum(samples.q.std(axis=0), 0.1)  # a joint that hardly moved must not count for much
    return Whitening(
        samples.target.mean(axis=0),
        np.maximum(samples.target.std(axis=0), 1e-3),
        np.concatenate([samples.q.mean(axis=0), np.zeros(2 * n)]),
        np.concatenate([spread, np.maximum(samples.qd.std(axis=0), 0.1), spread]),
    )


def _finite_limits(robot: Robot) -> tuple[Array, Array]:
    """Joint limits; half a turn around zero for a joint that has none."""
    return (
        np.where(np.isfinite(robot.position_lower), robot.position_lower, -np.pi),
        np.where(np.isfinite(robot.position_upper), robot.position_upper, np.pi),
    )
