r"""Several policies become one student, without the samples they were taught with.

Each teacher is a Gaussian, pi_i(u | o) = N(u_i(o), P_i^-1). The student minimises sum_i E_i KL(pi_i || pi), whose part
that depends on its mean mu is the loss of loss.py,

    1/2 sum_i E_i (mu(o, i) - u_i(o))^T P_i (mu(o, i) - u_i(o)).

Teachers of different tasks: the task is an input of the student. Where it cannot tell two tasks apart, the minimum is
the precision-weighted mean (sum_i P_i)^-1 sum_i P_i u_i, so that P_i, a mean of capped weights, is not capped again.
Teachers of the same task (a policy ensemble): the label is the Gaussian with the moments of their mixture
(ensemble.py), over those teachers that were taught there.

E_i is over the teacher's own trajectories: it goes from target to target near its taught ones, in a model in which the
acceleration is what the servo wants (student.py: the command makes up for everything else), and the samples lie around
these trajectories. The label of a state at a = w = 0 is u_i = sigma M_i(q) y_i. The teachers' goal postures are known
too: after the first fit the student's goal network is fitted to them, and the fits that follow begin there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.sections.distillation import DistillationSettings
from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from .dataset import Samples
from .ensemble import mixture
from .fit import Report, fit, fit_goal_network
from .inertia import PointMassInertia
from .policy import MOST_POLICY_TASKS, Policy
from .problem import HELD_OUT
from .region import MOST_PARTS, Taught, state_scores, target_scores
from .student import acceleration, goal

SIDE_BY_SIDE, SLOTS = 64, 4  # trajectories of a teacher side by side, and targets of each
TARGET_NUMBERS = HELD_OUT * (
    -(-SIDE_BY_SIDE * SLOTS // HELD_OUT)
)  # numbers of a teacher's targets: the same ones are held out
STEPS_A_WINDOW, MERGE_SLOT = 4, 2.0  # of the model; [s] from target to target
NEAR_TAUGHT = 0.5  # distance of a target to a taught one, over the largest one that counts as seen
AROUND = 0.1  # of samples around a trajectory, over the spread of the taught states
STATES_ASKED, GOALS_ASKED = 4000, 1000  # states and targets at which each teacher is asked


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Visited:
    """What a teacher was asked: q, qd (N, n), target (N, nt), task (N,), and the number of the target (N,)."""

    q: Array
    qd: Array
    target: Array
    task: NDArray[np.int64]
    epoch: NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Goals:
    """The teachers' goal postures goal (T, n) for target (T, nt) and the student's task (T,)."""

    target: Array
    task: NDArray[np.int64]
    goal: Array


def merge(
    policies: Sequence[Policy],
    robot: Robot,
    settings: DistillationSettings,
    *,
    same_task: bool = False,
    samples: int = STATES_ASKED,
    restarts: int = 2,
) -> tuple[Policy, Report]:
    """Return one student of `policies` and how it was fitted; deterministic given `settings.seed`.

    Parameters
    ----------
    robot : the one they were taught on
    settings : of the student; sizes, window, inertia scale and bounds follow the teachers
    same_task : whether all were taught the same; otherwise the tasks of the first policy come first, and so on
    samples : number of states at which each teacher is asked
    restarts : further fits, each starting from the last student

    Raises
    ------
    DataError : fewer than two policies, of another robot, or not alike
    """
    inertia = PointMassInertia(robot)
    settings = _alike(policies, robot, settings, same_task, inertia.count)
    tasks = policies[0].shape.tasks if same_task else sum(p.shape.tasks for p in policies)
    if tasks > MOST_POLICY_TASKS:
        raise DataError(f"the policies have {tasks} tasks together, at most {MOST_POLICY_TASKS} become one")
    rng = np.random.default_rng((settings.seed, 2))
    taught = _taught(policies, same_task)
    asked = _asked(policies, same_task, samples, inertia, rng)
    about = {"merged_from": [p.about.get("version", 0) for p in policies], "same_task": same_task}
    student: Policy | None = None
    goals = _goals(policies, same_task, rng)
    for _ in range(1 + restarts):
        student = None if student is None else _with_goals(student, goals)
        student, report = fit(
            asked,
            robot,
            policies[0].shape.kind,
            settings,
            tasks=tasks,
            previous=student,
            inertia_model=inertia,
            weight_cap=np.inf,
            about=about,
        )
    assert student is not None  # restarts are not negative
    return dataclasses.replace(student, taught=taught), report


def _taught(policies: Sequence[Policy], same_task: bool) -> tuple[Taught, ...]:
    """Return where the student of `policies` was taught: where each of them was, for its tasks."""
    found: list[Taught] = []
    first = 0
    for policy in policies:
        found += [dataclasses.replace(t, first=t.first + first, last=t.last + first) for t in policy.taught]
        first += 0 if same_task else policy.shape.tasks
    if len(found) > MOST_PARTS:
        raise DataError(f"the policies were taught in {len(found)} regions together, at most {MOST_PARTS} become one")
    return tuple(found)


def _asked(
    policies: Sequence[Policy], same_task: bool, count: int, inertia: PointMassInertia, rng: np.random.Generator
) -> Samples:
    """Return samples at `count` states of each policy."""
    parts, first = [], 0
    for number, policy in enumerate(policies):
        visited = _visited(policy, count, rng)
        part = _labelled(policies if same_task else [policy], visited, inertia, rng)
        parts.append(dataclasses.replace(part, task=part.task + first, epoch=part.epoch + number * TARGET_NUMBERS))
        first += 0 if same_task else policy.shape.tasks
    return Samples(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Samples)))


def _alike(
    policies: Sequence[Policy], robot: Robot, settings: DistillationSettings, same_task: bool, points: int
) -> DistillationSettings:
    """Return the settings of a student of `policies`; DataError unless they can have one, of `points` masses."""
    if len(policies) < 2:
        raise DataError(f"at least two policies become one, got {len(policies)}")
    shapes = [policy.shape for policy in policies]
    for policy in policies:
        policy.check(robot)
        if policy.mu.size != points:
            raise DataError(f"a policy holds {policy.mu.size} point masses, this robot has {points} moving points")
    for name in ("kind", "nt", "window", "inertia_scale", *(["tasks"] if same_task else [])):
        values = [getattr(shape, name) for shape in shapes]
        if any(value != values[0] for value in values):
            raise DataError(f"the policies differ in '{name}': {values}")
    velocity = max(float((s.velocity / robot.velocity_limit).max()) for s in shapes)
    hardest = max(float((s.acceleration / robot.acceleration_limit).max()) for s in shapes)
    return settings.replace(
        window=shapes[0].window,
        inertia_scale=shapes[0].inertia_scale,
        goal_units=max(settings.goal_units, *(s.goal_units for s in shapes)),
        gain_units=max(settings.gain_units, *(s.gain_units for s in shapes)),
        velocity_fraction=min(velocity, 1.0),
        acceleration_fraction=hardest,
    )


def _visited(policy: Policy, count: int, rng: np.random.Generator) -> _Visited:
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
        target, part = _targets(policy, task, rng)
        goals, _ = goal(shape, white, p, target, task)
        if slot == 0:
            q, _ = goal(shape, white, p, _targets(policy, task, rng)[0], task)
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
    return _Visited(*(column[keep] for column in columns))


def _targets(policy: Policy, task: NDArray[np.int64], rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
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


def _labelled(policies: Sequence[Policy], at: _Visited, inertia: PointMassInertia, rng: np.random.Generator) -> Samples:
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
        precisions, known = np.array([policy.precision for policy in policies]), _known(policies, at)
        for i in range(N):
            u[i], P[i] = mixture(each[:, i], precisions, known[:, i])
    da = rng.standard_normal((N, n))
    zero = np.zeros((N, n))
    dw = np.einsum("nij,nj->ni", np.mean(inertias, axis=0), da)
    return Samples(at.q, at.qd, zero, zero, zero, da, dw, u, at.target, P, at.task, at.epoch)


def _goals(policies: Sequence[Policy], same_task: bool, rng: np.random.Generator) -> _Goals:
    """Return the teachers' goal postures."""
    parts: list[tuple[Any, ...]] = []
    first = 0
    for policy in policies:
        task = rng.integers(policy.shape.tasks, size=GOALS_ASKED)
        tau, _ = _targets(policy, task, rng)
        asked = policies if same_task else [policy]
        each = np.array([goal(p.shape, p.white, p.shape.unpack(p.theta), tau, task)[0] for p in asked])
        known = np.array([target_scores(p.taught, tau, task) for p in asked]) <= 1.0
        known |= ~known.any(axis=0)
        parts.append((tau, task + first, np.einsum("et,etn->tn", known / known.sum(axis=0), each)))
        first += 0 if same_task else policy.shape.tasks
    return _Goals(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _with_goals(student: Policy, taught: _Goals) -> Policy:
    """Return `student` with its goal network fitted to the teachers' goal postures."""
    shape = student.shape
    size = sum(int(np.prod(s)) for s in shape.goal_layout().values())
    theta = student.theta.copy()
    if size:
        start = theta[:size]
        theta[:size] = fit_goal_network(shape, student.white, taught.target, taught.task, taught.goal, start)
    return dataclasses.replace(student, theta=theta)


def _known(policies: Sequence[Policy], at: _Visited) -> Array:
    """Return (E, N): 1 where a policy was taught; where none was, at the one whose region is nearest."""
    states = np.hstack((at.q, at.qd))
    score = np.maximum(
        [state_scores(policy.taught, states, at.task) for policy in policies],
        [target_scores(policy.taught, at.target, at.task) for policy in policies],
    )
    nearest = score.min(axis=0)
    known: Array = np.where((score <= 1.0) | (nearest > 1.0) & (score == nearest), 1.0, 0.0)
    return known
