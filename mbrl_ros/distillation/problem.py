"""The learning problem of a student: sizes, whitening, weights and inertia, all fixed before the descent.

    P_i = Q_uu,i over the median of tr Q_uu, capped at twice that median         (Levine & Abbeel, NIPS 2014, step 2)

The inertia follows by least squares (inertia.py). Every eighth target, with all its samples, is held out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.sections.distillation import DistillationSettings
from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from .dataset import Samples
from .inertia import PointMassInertia
from .loss import Batch
from .policy import Policy
from .student import Shape, Whitening

HELD_OUT = 8  # one target in so many
WEIGHT_CAP = 2.0  # largest weight over the median
FEWEST_SAMPLES = 50  # samples


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """What is minimized: the loss of `training`, while that of `held_out` is watched.

    Attributes
    ----------
    shape, white : of the student
    start : theta (size,) at which the descent begins
    mu : (count,) [kg] point masses, and rotor_inertia (n,): see inertia.py
    precision : (n, n) mean of the capped weights, in the unit of the teacher's Q_uu
    """

    shape: Shape
    white: Whitening
    start: Array
    training: Batch
    held_out: Batch
    mu: Array
    rotor_inertia: Array
    precision: Array


def make_shape(robot: Robot, kind: str, nt: int, tasks: int, settings: DistillationSettings) -> Shape:
    """Return the sizes and bounds of a student of `robot` for targets of `kind` and size `nt`."""
    lowest, highest = _finite_limits(robot)
    return Shape(
        joints=robot.joints,
        interface=robot.interface,
        kind=kind,
        nt=nt,
        tasks=tasks,
        window=settings.window,
        inertia_scale=settings.inertia_scale,
        goal_units=settings.goal_units,
        gain_units=settings.gain_units,
        lowest=lowest,
        highest=highest,
        velocity=settings.velocity_fraction * robot.velocity_limit,
        acceleration=settings.acceleration_fraction * robot.acceleration_limit,
        lower=robot.command_lower,
        upper=robot.command_upper,
    )


def capped(P: Array, cap: float = WEIGHT_CAP) -> tuple[Array, float]:
    """Return P (N, n, n) over the median of its traces, none above `cap` times it, and that median."""
    trace = np.trace(P, axis1=1, axis2=2)
    median = float(np.median(trace))
    return P * (np.minimum(1.0, cap * median / trace) / median)[:, None, None], median


def make_problem(
    samples: Samples,
    robot: Robot,
    kind: str,
    settings: DistillationSettings,
    *,
    tasks: int = 1,
    previous: Policy | None = None,
    inertia_model: PointMassInertia | None = None,
    weight_cap: float = WEIGHT_CAP,
) -> Problem:
    """Return everything that comes before the descent.

    Parameters
    ----------
    kind : what a target is (Shape.kind)
    previous : the policy whose theta is the start, and whose sizes and whitening are kept
    inertia_model : of `robot`, where it was made before
    weight_cap : largest weight over the median

    Raises
    ------
    DataError : there are too few samples
    """
    if len(samples) < FEWEST_SAMPLES:
        raise DataError(f"{len(samples)} samples are too few to learn from; at least {FEWEST_SAMPLES} are needed")
    inertia_model = inertia_model or PointMassInertia(robot)
    shape = previous.shape if previous else make_shape(robot, kind, samples.target.shape[1], tasks, settings)
    unit = (shape.upper - shape.lower) / 2.0
    changed = np.abs(samples.dw).max(axis=1) > 0.0
    mu, rotor_inertia = inertia_model.identify(
        samples.q[changed], samples.dq[changed], samples.da[changed], samples.dw[changed], unit
    )
    rotor_inertia = np.maximum(rotor_inertia, 1e-3 * unit / shape.acceleration)
    M = shape.inertia_scale * inertia_model.inertia(samples.q, mu, rotor_inertia)
    P, median = capped(samples.P, weight_cap)
    held_out = samples.epoch % HELD_OUT == HELD_OUT - 1
    if not held_out.any():
        held_out = np.arange(len(samples)) % HELD_OUT == HELD_OUT - 1
    return Problem(
        shape=shape,
        white=previous.white if previous else _whitening(samples),
        start=previous.theta if previous else shape.initial(np.random.default_rng(settings.seed)),
        training=_batch(samples, P, M, ~held_out),
        held_out=_batch(samples, P, M, held_out),
        mu=mu,
        rotor_inertia=rotor_inertia,
        precision=median * P.mean(axis=0),
    )


def _batch(samples: Samples, P: Array, M: Array, rows: NDArray[np.bool_]) -> Batch:
    s = samples.take(rows)
    return Batch(q=s.q, qd=s.qd, a=s.a, w=s.w, target=s.target, task=s.task, u=s.u, P=P[rows], M=M[rows])


def _whitening(samples: Samples) -> Whitening:
    """Return the statistics of `samples`; d = g - q is taken to spread like q."""
    n = samples.q.shape[1]
    spread = np.maximum(samples.q.std(axis=0), 0.1)  # a joint that hardly moved must not count for much
    return Whitening(
        samples.target.mean(axis=0),
        np.maximum(samples.target.std(axis=0), 1e-3),
        np.concatenate([samples.q.mean(axis=0), np.zeros(2 * n)]),
        np.concatenate([spread, np.maximum(samples.qd.std(axis=0), 0.1), spread]),
    )


def _finite_limits(robot: Robot) -> tuple[Array, Array]:
    """Return the joint limits; half a turn around zero for a joint that has none."""
    return (
        np.where(np.isfinite(robot.position_lower), robot.position_lower, -np.pi),
        np.where(np.isfinite(robot.position_upper), robot.position_upper, np.pi),
    )
