"""Policies asked as teachers: states on trajectories of their own, and their commands there (merge.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataError
from ..types import Array
from .dataset import Samples
from .ensemble import mixture
from .inertia import PointMassInertia
from .policy import Policy
from .problem import HELD_OUT
from .region import state_scores, target_scores
from .student import acceleration, goal

SIDE_BY_SIDE, SLOTS = 64, 4  # trajectories of a teacher side by side, and targets of each
TARGET_NUMBERS = HELD_OUT * -(-SIDE_BY_SIDE * SLOTS // HELD_OUT)  # of a teacher: the same ones of each are held out
STEPS_A_WINDOW, MERGE_SLOT = 4, 2.0  # of the model; [s] from target to target
NEAR_TAUGHT = 0.5  # distance of a target to a taught one, over the largest one that counts as seen
AROUND = 0.1  # of samples around a trajectory, over the spread of the taught states


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Visited:
    """What a teacher was asked: q, qd (N, n), target (N, nt), task (N,), and the number of the target (N,)."""

    q: Array
    qd: Array
    target: Array
    task: NDArray[np.int64]
    epoch: NDArray[np.int64]


def asked(
    policies: Sequence[Policy], same_task: bool, count: int, inertia: PointMassInertia, rng: np.random.Generator
) -> Samples:
    """Return samples at `count` states of each policy."""
    parts, first = [], 0
    for number, policy in enumerate(policies):
        part = labelled(policies if same_task else [policy], visited(policy, count, rng), inertia, rng)
        parts.append(dataclasses.replace(part, task=part.task + first, epoch=part.epoch + number * TARGET_NUMBERS))
        first += 0 if same_task else policy.shape.tasks
    return Samples(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Samples)))


def distances(
    student: Policy, policies: Sequence[Policy], inertia: PointMassInertia, *, same_task: bool, count: int, seed: int
) -> list[float]:
    """Return of each of the student's tasks how far its commands are from those of its teacher.

    sqrt(sum (mu - u)^T P (mu - u) / sum u^T P u) over `count` states of each teacher, a = w = 0; 1: it does nothing.
    """
    rng = np.random.default_rng((seed, 3))
    s = asked(policies, same_task, count, inertia, rng)
    mu = labelled([student], Visited(s.q, s.qd, s.target, s.task, s.epoch), inertia, rng).u
    off, size = (np.einsum("ni,nij,nj->n", x, s.P, x) for x in (mu - s.u, s.u))
    return [
        float(np.sqrt(off[s.task == task].sum() / size[s.task == task].sum())) for task in range(student.shape.tasks)
    ]


def visited(policy: Policy, count: int, rng: np.random.Generator) -> Visited:
    """Return `count` states around trajectories of the teacher, and the targets of each."""
    shape, white, p = policy.shape, policy.white, policy.shape.unpack(policy.theta)
    dt = shape.window / STEPS_A_WINDOW
    steps = max(2, round(MERGE_SLOT / dt))
    every = max(1, steps * SLOTS * SIDE_BY_SIDE // count)
    spread = np.array([np.linalg.inv(part.states.factor) for part in policy.taught])
    rows: list[tuple[Array, Array, Array, Any, Any]] = []
    goals: Array | None = None
    q = qd = np.zeros((SIDE_BY_SIDE, shape.n))
    for slot in range(SLOTS):
        task = rng.integers(shape.tasks, size=SIDE_BY_SIDE)
        target, part = targets_near(policy, task, rng)
        goals, _ = goal(shape, white, p, target, task)
        if slot == 0:
            q, _ = goal(shape, white, p, targets_near(policy, task, rng)[0], task)
        for step in range(steps):
            if (slot * steps + step) % every == 0:
                noise = AROUND * np.einsum("nij,nj->ni", spread[part], rng.standard_normal((SIDE_BY_SIDE, 2 * shape.n)))
                number = slot * SIDE_BY_SIDE + np.arange(SIDE_BY_SIDE)
                rows.append((q + noise[:, : shape.n], qd + noise[:, shape.n :], target, task, number))
            y, _ = acceleration(shape, white, p, q, qd, goals)
            qd = qd + dt * y
            q = np.clip(q + dt * qd, shape.lowest, shape.highest)
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    keep = np.sort(rng.permutation(len(columns[0]))[:count])
    return Visited(*(column[keep] for column in columns))


def targets_near(policy: Policy, task: NDArray[np.int64], rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
    """Return targets (N, nt) near taught ones of `task` (N,), and the numbers (N,) of the parts they are from."""
    shape, count = policy.shape, len(task)
    ranges = np.array([(part.first, part.last) for part in policy.taught])
    may = (ranges[:, 0] <= task[:, None]) & (task[:, None] < ranges[:, 1])
    number: NDArray[np.int64] = np.where(may, rng.random(may.shape), -1.0).argmax(axis=1)
    near = rng.standard_normal((count, shape.nt))
    near *= NEAR_TAUGHT * rng.random((count, 1)) / np.linalg.norm(near, axis=1, keepdims=True)
    found = np.empty((count, shape.nt))
    for k, part in enumerate(policy.taught):
        at, taught = number == k, part.targets
        centers = taught.points[rng.integers(len(taught.points), size=np.count_nonzero(at))]
        found[at] = centers + taught.bound * near[at] @ np.linalg.inv(taught.factor).T
    return np.clip(found, shape.lowest, shape.highest) if shape.kind == "joints" else found, number


def labelled(policies: Sequence[Policy], at: Visited, inertia: PointMassInertia, rng: np.random.Generator) -> Samples:
    """Return samples at the states `at`, with the label of one policy or the mixture of several."""
    N, n = at.q.shape
    labels, inertias = [], []
    for policy in policies:
        shape, p = policy.shape, policy.shape.unpack(policy.theta)
        goals, _ = goal(shape, policy.white, p, at.target, at.task)
        y, _ = acceleration(shape, policy.white, p, at.q, at.qd, goals)
        M = inertia.inertia(at.q, policy.mu, policy.rotor_inertia)
        labels.append(shape.inertia_scale * np.einsum("nij,nj->ni", M, y))
        inertias.append(M)
    each = np.array(labels)
    if not np.isfinite(each).all():
        raise DataError("a policy's commands are not finite: its numbers are too large or too small")
    u, P = each[0], np.broadcast_to(policies[0].precision, (N, n, n)).copy()
    if len(policies) > 1:
        precisions, known = np.array([policy.precision for policy in policies]), known_at(policies, at)
        for i in range(N):
            u[i], P[i] = mixture(each[:, i], precisions, known[:, i])
    da = rng.standard_normal((N, n))
    zero = np.zeros((N, n))
    dw = np.einsum("nij,nj->ni", np.mean(inertias, axis=0), da)
    return Samples(at.q, at.qd, zero, zero, zero, da, dw, u, at.target, P, at.task, at.epoch)


def known_at(policies: Sequence[Policy], at: Visited) -> Array:
    """Return (E, N): 1 where a policy was taught; where none was, at the one whose region is nearest."""
    states = np.hstack((at.q, at.qd))
    score = np.maximum(
        [state_scores(policy.taught, states, at.task) for policy in policies],
        [target_scores(policy.taught, at.target, at.task) for policy in policies],
    )
    nearest = score.min(axis=0)
    known: Array = np.where((score <= 1.0) | (nearest > 1.0) & (score == nearest), 1.0, 0.0)
    return known
