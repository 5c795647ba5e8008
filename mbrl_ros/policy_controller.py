"""A policy behind the seam reset/step/record, with its teacher beside it: taught, in shadow, acting, fallen back.

    TEACH    the teacher's plans are turned into samples; who acts is up to the school (distillation/teachers.py)
    SHADOW   the teacher acts; the policy says what it would have done, and the disagreement is measured
    ACT      the policy acts; the teacher plans after the command has left, to know how far they are apart
    FALLEN   something was wrong while the policy acted; the teacher acts until the policy is promoted again

It falls back on an input outside the taught region, on disagreement, and on a supervisor that keeps changing its
commands. Whoever takes over, the command goes over smoothly: at the time t_0 of the change the difference to the
last command is remembered and fades out, u(t) = u_new(t) + (u(t_0) - u_new(t_0)) exp(-(t - t_0) / blend).
"""

from __future__ import annotations

import enum
import math
import time

import numpy as np

from .configuration import Configuration
from .controller import MpcController
from .distillation.dataset import Supervision
from .distillation.policy import Policy, load
from .distillation.runtime import Student
from .distillation.teachers import Teaching, disagreement
from .distillation.window import Window
from .dynamics import CommandHistory
from .exceptions import DataError
from .follower import FollowsTargets
from .robots import Robot
from .types import Array, Decision, DecisionStatus, Observation

MEMORY = 0.1  # time over which disagreement is averaged [s]
APART = 0.1  # a teacher's reference this far from an arm it does not move starts anew from there [rad or m]
REJOIN = 0.05  # ... at most so often [s]
SUPERVISED = 20  # ticks in a row whose command the supervisor changed before the planner takes over
CHANGED = 0.01  # fraction of the command range that counts as a change


class Mode(enum.IntEnum):
    TEACH = 0
    SHADOW = 1
    ACT = 2
    FALLEN = 3


class PolicyController(FollowsTargets):
    """`teacher` gets every observation and, through `record`, every command, whoever acts."""

    def __init__(self, robot: Robot, configuration: Configuration, teacher: MpcController, *, teaching: bool = False):
        self.robot, self.configuration, self.teacher = robot, configuration, teacher
        self.settings, control = configuration["distillation"], configuration["control"]
        self.dt, self.n, self.m = 1.0 / control.rate, robot.n, teacher.m
        self.horizon = teacher.horizon
        self.every = max(1, round(teacher.dt / self.dt))
        self.follower = teacher.follower
        self.teaching = Teaching(self.settings, robot.n, self._half(), self.dt) if teaching else None
        self.mode = Mode.TEACH if teaching else Mode.SHADOW
        self.window = Window(robot.n, self.dt, self.settings.window)
        self.history = CommandHistory(robot.n, self.dt, control.delay)
        self.version, self.reason = 0, ""
        self.student: Student | None = None
        self.sample: Supervision | None = None
        if self.settings.file:
            self.use(Student(load(self.settings.file), robot))

    # --- policies -----------------------------------------------------------------------------------------------

    def use(self, student: Student, version: int | None = None) -> None:
        """Take a new policy into shadow (while teaching: into the lesson). DataError if its window is another one."""
        if abs(student.policy.shape.window - self.settings.window) > 1e-9:
            raise DataError(f"the policy averages over {student.policy.shape.window:g} s; set distillation.window to that")
        self.student, self._student_target = student, None
        self.version = self.version + 1 if version is None else version
        if self.mode in (Mode.ACT, Mode.FALLEN):
            self._change(Mode.SHADOW, "new policy")
        self._shadowed, self.disagreement = 0.0, float("nan")

    def promote(self, force: bool = False) -> str:
        """Let the policy act; '' or the reason why not. `force`: without its time in shadow."""
        s = self.settings
        if self.student is None:
            return "there is no policy"
        if self.mode is Mode.TEACH:
            return "the robot is being taught"
        if not force and self._shadowed < s.promote_after:
            return f"it has been in shadow for {self._shadowed:.1f} s of {s.promote_after:g} s"
        if not force and not self.disagreement <= s.promote_disagreement:
            return f"it disagrees with the planner by {self.disagreement:.3f}, more than {s.promote_disagreement:g}"
        self._change(Mode.ACT, "promoted")
        self.disagreement = float("nan")
        return ""

    @property
    def acting(self) -> bool:
        """Whether the policy acts."""
        return self.mode is Mode.ACT

    def demote(self, reason: str = "asked to") -> None:
        """Back to the planner."""
        if self.mode is Mode.ACT:
            self._change(Mode.FALLEN, reason)
            self._shadowed = 0.0

    # --- the seam -------------------------------------------------------------------------------------------------

    def reset(self, observation: Observation) -> None:
        """Start anew: the teacher forgets; a policy goes back into shadow."""
        self.teacher.reset(observation)
        command = observation.q if self.robot.interface == "position" else np.zeros(self.n)
        self._begin(np.clip(command, self.robot.command_lower, self.robot.command_upper))
        if self.mode is not Mode.TEACH:
            self.mode, self.reason = Mode.SHADOW, "start"
        self._epoch, self._known_target = 0, None

    def hold(self, observation: Observation) -> None:
        """Come to rest and forget every target."""
        self.teacher.hold(observation)

    def resume(self, observation: Observation, command: Array) -> None:
        """Go on at `observation` after an interruption, at whose end `command` (nu,) was in effect."""
        self.teacher.resume(observation, command)
        self._begin(command)

    def update_settings(self, configuration: Configuration) -> None:
        """Take over the dynamic settings, between two steps."""
        self.settings = configuration["distillation"]
        self.teacher.update_settings(configuration)

    @property
    def dynamics(self):
        """The teacher's learned dynamics."""
        return self.teacher.dynamics

    @property
    def nis_bound(self) -> float:
        return self.teacher.nis_bound

    def step(self, observation: Observation) -> Decision:
        """One tick: the policy's decision or the teacher's."""
        begin = time.perf_counter()
        stamp = observation.stamp
        self.sample, self._observation = None, observation
        self._aw = self.window.update(stamp, observation.qd, self.history.in_effect(stamp - self.dt))
        decision = self._acted(observation) if self.mode is Mode.ACT else None
        self._policy_acted = decision is not None
        if decision is None:
            decision = self._taught(observation)
        u = self._blended(stamp, decision.u)
        self._proposed = u
        return Decision(stamp, u, decision.status, decision.plan, nis=decision.nis, nis_dof=decision.nis_dof,
                        innovation=decision.innovation,
                        seconds={**decision.seconds, "tick": time.perf_counter() - begin})

    def record(self, stamp: float, command: Array) -> None:
        """`command` (nu,) was published for the observation stamped `stamp`; after that there is time to look back."""
        self.history.record(stamp, command)
        self._last = np.array(command)
        due = self._tick % self.every == 0
        self._tick += 1
        if self._policy_acted:
            if due and self.settings.watch:
                self._watch()
            changed = np.abs(command - self._proposed).max() > CHANGED * self._half().max()
            self._supervised = self._supervised + 1 if changed else 0
            if self._supervised > SUPERVISED:
                self.demote("the supervisor keeps changing its commands")
        if due:
            self.teacher.record(stamp, command)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _begin(self, command: Array) -> None:
        self.history.reset(command)
        self.window.reset()
        self._last, self._offset, self._since, self._changed = np.array(command), np.zeros(self.n), 0.0, False
        self._tick = self._supervised = 0
        self._held: Decision | None = None
        self._rejoined, self._shadowed, self.disagreement = -math.inf, 0.0, float("nan")
        self._student_target, self._policy_acted = None, False

    def _half(self) -> Array:
        return 0.5 * (self.robot.command_upper - self.robot.command_lower)

    def _change(self, mode: Mode, reason: str) -> None:
        self.mode, self.reason, self._changed = mode, reason, True
        self._supervised = 0

    def _says(self, observation: Observation) -> Array | None:
        """The policy's command (n,), or None: no policy, or a target it knows nothing of."""
        target = self.follower.target
        if self.student is None or target is None or target.path is not None:
            return None
        shape = self.student.policy.shape
        if target is not self._student_target:
            value = target.q if shape.kind == "joints" else target.value if target.kind == shape.kind else None
            if value is None or value.size != shape.nt or self.settings.task >= shape.tasks:
                return None
            self.student.set_target(value, self.settings.task)
            self._student_target = target
        return self.student.act(observation.q, observation.qd, *self._aw)

    def _acted(self, observation: Observation) -> Decision | None:
        """The policy's decision, or None with the reason told."""
        begin = time.perf_counter()
        self.follower.advance(observation.stamp, np.concatenate((observation.q, observation.qd)))
        u = self._says(observation)
        if u is None:
            self.demote("a kind of target it was not taught")
            return None
        outside = [name for name, score in self.student.scores.items() if not score <= 1.0]
        if outside or not np.isfinite(u).all():
            self.demote(f"outside of what it was taught ({', '.join(outside) or 'not finite'})")
            return None
        return Decision(observation.stamp, u.copy(), DecisionStatus.OK,
                        seconds={"policy": time.perf_counter() - begin})

    def _taught(self, observation: Observation) -> Decision:
        """The teacher's decision, and what there is to learn from it."""
        if self._tick % self.every and self._held is not None:
            return self._held
        teaching, stamp = self.teaching, observation.stamp
        if self._changed:  # the arm is where the policy left it
            self.follower.rejoin(observation.q, observation.qd, stamp)
        elif teaching is not None and teaching.settings.method != "clone" and self.student is not None:
            self._rejoin(observation)
        decision = self._held = self.teacher.step(observation)
        if decision.plan is None or not decision.plan.usable:
            return decision
        label, Q = self._label(decision.plan), decision.plan.Q_uu[0].copy()
        mu = self._says(observation)
        target = self.follower.target
        if target is not self._known_target:
            self._known_target, self._epoch = target, self._epoch + 1
        u = decision.u
        if teaching is not None:
            lesson = teaching.lesson(u, label, Q, mu, self.student.policy.precision if mu is not None else None,
                                     np.concatenate((observation.q, observation.qd)), self.version)
            u, label = lesson.act, lesson.label
        if mu is not None:
            self._measure(mu, label, Q)
            self._shadowed += teaching is None and self.every * self.dt
        if self.settings.promote == "rule" and self.mode is Mode.SHADOW:
            self.promote()
        if target is not None and target.path is None:
            self.sample = Supervision(stamp, target.kind, target.value, self.settings.task, self._epoch, observation.q,
                                      observation.qd, *self._aw, label, Q)
        self._held = Decision(stamp, u, decision.status, decision.plan, nis=decision.nis, nis_dof=decision.nis_dof,
                              innovation=decision.innovation, seconds=decision.seconds)
        return self._held

    def _watch(self) -> None:
        """After the policy's command has left: what would the teacher have done?"""
        self._rejoin(self._observation)
        decision = self._held = self.teacher.step(self._observation)
        if decision.plan is not None and decision.plan.usable:
            self._measure(self._proposed, self._label(decision.plan), decision.plan.Q_uu[0])
            if self.disagreement > self.settings.fall_back_disagreement:
                self.demote(f"disagrees with the planner by {self.disagreement:.2f}")

    def _label(self, plan) -> Array:
        return plan.u_hat[: max(1, round(self.settings.window / self.teacher.dt))].mean(axis=0)

    def _measure(self, u: Array, label: Array, Q: Array) -> None:
        now = disagreement(u, label, Q, self._half())
        gain = min(1.0, self.every * self.dt / MEMORY)
        self.disagreement = now if math.isnan(self.disagreement) else self.disagreement + gain * (now - self.disagreement)

    def _rejoin(self, observation: Observation) -> None:
        """Someone else moves the arm: the teacher plans from where it is."""
        stamp = observation.stamp
        if (stamp - self._rejoined >= REJOIN
                and np.abs(self.follower.joints.at(stamp) - observation.q).max() > APART):
            self._rejoined = stamp
            self.follower.rejoin(observation.q, observation.qd, stamp)

    def _blended(self, stamp: float, u: Array) -> Array:
        """u after a change of hands: away from the last command without a step."""
        if self._changed:
            self._changed, self._since = False, stamp
            self._offset = self._last - u
        if self.settings.blend == 0.0 or stamp - self._since > 8.0 * self.settings.blend:
            return u
        u = u + math.exp(-(stamp - self._since) / self.settings.blend) * self._offset
        return np.clip(u, self.robot.command_lower, self.robot.command_upper)
