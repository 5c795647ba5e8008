"""A synthetic teacher whose answers are known, and what it teaches."""

import numpy as np

from mbrl_ros.config.sections.distillation import DistillationSettings
from mbrl_ros.distillation import student
from mbrl_ros.distillation.dataset import Samples, Supervision
from mbrl_ros.distillation.inertia import PointMassInertia

N = 3


SETTINGS = DistillationSettings(goal_units=8, gain_units=6, iterations=60, fit_samples=2000)


MU, ROTOR_INERTIA = np.array([0.5, 0.4, 0.8]), np.array([0.1, 0.2, 0.1])


def goal_of(target):
    """The posture the synthetic teacher takes for a target (T, 3): smooth, inside the limits."""
    return np.column_stack([0.8 * np.sin(target[:, 0]), 0.6 * target[:, 2], 0.5 * target[:, 0] * target[:, 2]])


def taught_samples(robot, count=1500, seed=0):
    """Samples of a servo of fixed gains around goal_of, on an arm of known masses."""
    rng = np.random.default_rng(seed)
    targets = rng.uniform([-1.0, 0.0, -1.0], [1.0, 0.0, 1.0], (40, 3))
    epoch = rng.integers(40, size=count)
    q, qd, a, w = (scale * rng.standard_normal((count, N)) for scale in (0.6, 0.5, 1.0, 4.0))
    dq, da = 0.02 * rng.standard_normal((count, N)), rng.standard_normal((count, N))
    M = PointMassInertia(robot).inertia(q, MU, ROTOR_INERTIA)
    dw = np.einsum("nij,nj->ni", M, da) + dq @ rng.standard_normal((N, N))
    y = 7.0 * student.shorten(8.0 * (1.2 * student.shorten(3.0 * (goal_of(targets[epoch]) - q) / 1.2) - qd) / 7.0)
    u = w + SETTINGS.inertia_scale * np.einsum("nij,nj->ni", M, y - a)
    P = np.einsum("n,ij->nij", rng.uniform(0.5, 2.0, count), np.diag([1.0, 2.0, 3.0]))
    return Samples(q, qd, a, w, dq, da, dw, u, targets[epoch], P, np.zeros(count, int), epoch)


def sample(stamp, q=0.0, target=(0.1, 0.0, 0.2), **changes):
    values = dict(
        stamp=stamp,
        kind="point",
        target=np.array(target),
        task=0,
        epoch=1,
        q=np.full(N, q),
        qd=np.zeros(N),
        a=np.zeros(N),
        w=np.full(N, q),
        u=np.zeros(N),
        P=np.eye(N),
        source="a",
    )
    return Supervision(**{**values, **changes})
