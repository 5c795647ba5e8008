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
from .fit import Report, fit, fit_goal_network
from .inertia import PointMassInertia
from .policy import MOST_POLICY_TASKS, Policy
from .region import MOST_PARTS, Taught, target_scores
from .student import goal
from .teachers import asked, targets_near

STATES_ASKED, GOALS_ASKED = 4000, 1000  # states and targets at which each teacher is asked


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
    joined = asked(policies, same_task, samples, inertia, rng)
    about = {"merged_from": [p.about.get("version", 0) for p in policies], "same_task": same_task}
    student: Policy | None = None
    goals = _goals(policies, same_task, rng)
    for _ in range(1 + restarts):
        student = None if student is None else _with_goals(student, goals)
        student, report = fit(
            joined,
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


def _goals(policies: Sequence[Policy], same_task: bool, rng: np.random.Generator) -> _Goals:
    """Return the teachers' goal postures."""
    parts: list[tuple[Any, ...]] = []
    first = 0
    for policy in policies:
        task = rng.integers(policy.shape.tasks, size=GOALS_ASKED)
        tau, _ = targets_near(policy, task, rng)
        teachers = policies if same_task else [policy]
        each = np.array([goal(p.shape, p.white, p.shape.unpack(p.theta), tau, task)[0] for p in teachers])
        known = np.array([target_scores(p.taught, tau, task) for p in teachers]) <= 1.0
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
