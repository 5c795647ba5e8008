"""A policy behind the seam reset/step/record, with its teacher beside it: taught, in shadow, acting, fallen back.

    TEACH    the teacher's plans are turned into samples; who acts is up to the school (distillation/imitation.py)
    SHADOW   the teacher acts; the policy says what it would have done, and the disagreement is measured
    ACT      the policy acts; the teacher plans after the command has left, to know how far they are apart. A newer policy
             runs in shadow meanwhile, until it is promoted in its place
    FALLEN   something was wrong while the policy acted; the teacher acts until the policy is promoted again

It falls back on an input outside the taught region, on disagreement, and on a supervisor that keeps changing its
commands. Whoever takes over, the command goes over smoothly: at the time t_0 of the change the difference to the
last command is remembered and fades out, u(t) = u_new(t) + (u(t_0) - u_new(t_0)) exp(-(t - t_0) / blend).
"""

from __future__ import annotations

import dataclasses
import enum
import math
import time

import numpy as np

from ..config.configuration import Configuration
from ..config.section import Section
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.dataset import Supervision
from ..distillation.imitation import Imitation
from ..distillation.policy import load
from ..distillation.window import Window
from ..dynamics import CommandHistory
from ..exceptions import DataError
from ..robots import Robot
from ..types import Array, Decision, DecisionStatus, Observation
from .base import Controller, Health, TargetTracking
from .mpc import MpcController
from .policy_candidate import Candidate

APART = 0.1  # a teacher's reference this far from an arm it does not move starts anew from there [rad or m]
REJOIN = 0.05  # ... at most so often [s]
SUPERVISED = 20  # ticks in a row whose command the supervisor changed before the planner takes over
LEAP = 3.0  # times a joint's velocity limit: a position that moved faster was not moved
SMALLEST_LEAP = 0.05  # [rad or m] that sensor noise and late stamps may amount to
CHANGED = 0.01  # fraction of the command range that counts as a change


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """No settings beside those of mpc and `distillation`."""


def build(settings: Settings, robot: Robot, configuration: Configuration) -> Controller:
    """Build the controller with an mpc as its teacher."""
    teacher = MpcController(robot, teacher_configuration(configuration))
    return PolicyController(robot, configuration, teacher)


class Mode(enum.IntEnum):
    TEACH = 0
    SHADOW = 1
    ACT = 2
    FALLEN = 3


def teacher_configuration(configuration: Configuration) -> Configuration:
    """That of a planner at distillation.teacher_rate beside a policy at control.rate; the delay [s] stays the same."""
    control, slower = configuration.control, configuration.distillation.teacher_rate
    if not 0.0 < slower < control.rate:
        return configuration
    return configuration.replace(control__rate=slower, control__delay=control.delay * slower / control.rate)


class PolicyController(TargetTracking):
    """`teacher` gets every observation and, through `record`, every command, whoever acts."""

    def __init__(self, robot: Robot, configuration: Configuration, teacher: MpcController, *, teaching: bool = False):
        super().__init__(teacher.target_manager)
        self.robot, self.configuration, self.teacher = robot, configuration, teacher
        self.settings, control = configuration.distillation, configuration.control
        self.dt, self.n, self.m = 1.0 / control.rate, robot.n, teacher.m
        self.horizon = teacher.horizon
        self.every = max(1, round(teacher.dt / self.dt))
        self.teaching = Imitation(self.settings, robot.n, self._half(), self.dt) if teaching else None
        self.mode = Mode.TEACH if teaching else Mode.SHADOW
        self.window = Window(robot.n, self.dt, self.settings.window)
        self.history = CommandHistory(robot.n, self.dt, control.delay)
        self.reason = ""
        self.current: Candidate | None = None  # acts, or would
        self.newer: Candidate | None = None  # in shadow while `current` acts
        self.sample: Supervision | None = None
        if self.settings.file:
            self.use(CompiledPolicy(load(self.settings.file), robot))

    # --- policies -----------------------------------------------------------------------------------------------

    @property
    def student(self) -> CompiledPolicy | None:
        return self.current.student if self.current else None

    @property
    def version(self) -> int:
        return self.current.version if self.current else 0

    @property
    def disagreement(self) -> float:
        """Mean disagreement of the policy with the teacher; NaN while unknown."""
        return self.current.disagreement if self.current else math.nan

    def use(self, student: CompiledPolicy, version: int | None = None) -> None:
        """Take a new policy into shadow (while teaching: into the lesson); one that acts goes on acting. DataError if
        its window is another one.
        """
        if abs(student.policy.shape.window - self.settings.window) > 1e-9:
            raise DataError(
                f"the policy averages over {student.policy.shape.window:g} s; set distillation.window to that"
            )
        known = max((c.version for c in (self.current, self.newer) if c), default=0)
        candidate = Candidate(student, known + 1 if version is None else version)
        if self.mode is Mode.ACT:
            self.newer = candidate
            return
        self.current, self.newer = candidate, None
        if self.mode is Mode.FALLEN:
            self._change(Mode.SHADOW, "new policy")

    def promote(self, force: bool = False) -> str:
        """Let the newest policy act; '' or the reason why not. `force`: without its time in shadow."""
        candidate = self.newer or self.current
        if candidate is None:
            return "there is no policy"
        if self.mode is Mode.TEACH:
            return "the robot is being taught"
        doubt = "" if force or (candidate is self.current and self.mode is Mode.ACT) else candidate.doubt(self.settings)
        if not doubt:
            self.current, self.newer = candidate, None
            self._change(Mode.ACT, "promoted")
            candidate.restart()
        return doubt

    @property
    def acting(self) -> bool:
        """Whether the policy acts."""
        return self.mode is Mode.ACT

    def demote(self, reason: str = "asked to") -> None:
        """Back to the planner; a newer policy than the one that fell stays in shadow in its place."""
        if self.mode is Mode.ACT:
            self.current.shadowed = 0.0
            self._change(Mode.SHADOW if self.newer else Mode.FALLEN, reason)
            self.current, self.newer = self.newer or self.current, None

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
        self.configuration, self.settings = configuration, configuration.distillation
        self.teacher.update_settings(teacher_configuration(configuration))

    @property
    def dynamics(self):
        """The teacher's learned dynamics."""
        return self.teacher.dynamics

    @property
    def delay(self):
        """What the teacher knows of the commands' delay."""
        return self.teacher.delay

    def health(self) -> Health:
        """What is known to be wrong with the teacher's model and the features."""
        return self.teacher.health()

    @property
    def nis_bound(self) -> float:
        return self.teacher.nis_bound

    def step(self, observation: Observation) -> Decision:
        """One tick: the policy's decision or the teacher's."""
        begin = time.perf_counter()
        stamp = observation.stamp
        self.sample, self._observation = None, observation
        self._aw = self.window.update(stamp, observation.qd, self.history.in_effect(stamp - self.dt))
        leapt = self._leaps(observation)
        decision = self._acted(observation, leapt) if self.mode is Mode.ACT else None
        self._policy_acted = decision is not None
        if decision is None:
            decision = self._taught(observation)
        u = self._blended(stamp, decision.u)
        self._proposed = u
        return Decision(
            stamp,
            u,
            decision.status,
            decision.plan,
            nis=decision.nis,
            nis_dof=decision.nis_dof,
            innovation=decision.innovation,
            inertia=decision.inertia,
            rotors=decision.rotors,
            admitted=decision.admitted if decision.stamp == stamp else None,
            seconds={**decision.seconds, "tick": time.perf_counter() - begin},
        )

    def adapt_to_lateness(self, periods: int, authority: float, std: float) -> None:
        """See MpcController; the policy itself is not changed."""
        self.teacher.adapt_to_lateness(periods, authority, std)

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
        self._seen: tuple[float, Array] | None = None  # stamp and positions of the last observation
        self._held: Decision | None = None
        self._rejoined, self._policy_acted = -math.inf, False
        for candidate in filter(None, (self.current, self.newer)):
            candidate.restart()

    def _half(self) -> Array:
        return 0.5 * (self.robot.command_upper - self.robot.command_lower)

    def _change(self, mode: Mode, reason: str) -> None:
        self.mode, self.reason, self._changed = mode, reason, True
        self._supervised = 0

    def _says(self, candidate: Candidate | None, observation: Observation) -> Array | None:
        """A policy's command (n,), or None: no policy, or a target it knows nothing of."""
        return candidate and candidate.says(
            self.target_manager.target, self.settings.task, observation.q, observation.qd, *self._aw
        )

    def _leaps(self, observation: Observation) -> bool:
        """Whether a position is another than the joint can have reached since the last observation."""
        last, self._seen = self._seen, (observation.stamp, observation.q)
        if last is None:
            return False
        reach = np.maximum(SMALLEST_LEAP, LEAP * self.robot.velocity_limit * (observation.stamp - last[0]))
        return bool((np.abs(observation.q - last[1]) > reach).any())

    def _acted(self, observation: Observation, leapt: bool) -> Decision | None:
        """The policy's decision, or None with the reason told."""
        begin = time.perf_counter()
        self.target_manager.advance(observation.stamp, np.concatenate((observation.q, observation.qd)))
        u = self._says(self.current, observation)
        if u is None:
            self.demote("a kind of target it was not taught")
            return None
        outside = self.current.outside() + ["a position that leapt"] * leapt
        if outside or not np.isfinite(u).all():
            self.demote(f"outside of what it was taught ({', '.join(outside) or 'not finite'})")
            return None
        return Decision(observation.stamp, u.copy(), DecisionStatus.OK, seconds={"policy": time.perf_counter() - begin})

    def _taught(self, observation: Observation) -> Decision:
        """The teacher's decision, and what there is to learn from it."""
        if self._tick % self.every and self._held is not None:
            return self._held
        teaching, stamp = self.teaching, observation.stamp
        if self._changed:  # the arm is where the policy left it
            self.target_manager.rejoin(observation.q, observation.qd, stamp)
        elif teaching is not None and teaching.settings.method != "clone" and self.student is not None:
            self._rejoin(observation)
        decision = self._held = self.teacher.step(observation)
        if decision.plan is None or not decision.plan.usable:
            return decision
        label, Q = self._label(decision.plan), decision.plan.Q_uu[0].copy()
        mu = self._says(self.current, observation)
        target = self.target_manager.target
        if target is not self._known_target:
            self._known_target, self._epoch = target, self._epoch + 1
        u = decision.u
        if teaching is not None:
            labeled = teaching.step(
                u,
                label,
                Q,
                mu,
                self.student.policy.precision if mu is not None else None,
                np.concatenate((observation.q, observation.qd)),
                self.version,
                resting=stamp >= self.target_manager.end,
            )
            u, label = labeled.act, labeled.label
        if mu is not None:
            self._rate(self.current, mu, label, Q)
        if self.settings.promote == "rule" and self.mode is Mode.SHADOW:
            self.promote()
        if target is not None and target.path is None:
            self.sample = Supervision(
                stamp,
                target.kind,
                target.value,
                self.settings.task,
                self._epoch,
                observation.q,
                observation.qd,
                *self._aw,
                label,
                Q,
            )
        self._held = dataclasses.replace(decision, u=u)
        return self._held

    def _watch(self) -> None:
        """After the policy's command has left: what would the teacher have done?"""
        self._rejoin(self._observation)
        decision = self._held = self.teacher.step(self._observation)
        if decision.plan is None or not decision.plan.usable:
            return
        label, Q = self._label(decision.plan), decision.plan.Q_uu[0]
        self._rate(self.current, self._proposed, label, Q)
        mu = self._says(self.newer, self._observation)
        if mu is not None:
            self._rate(self.newer, mu, label, Q)
            if self.settings.promote == "rule":
                self.promote()
        if self.disagreement > self.settings.fall_back_disagreement:
            self.demote(f"disagrees with the planner by {self.disagreement:.2f}")

    def _label(self, plan) -> Array:
        return plan.u_hat[: max(1, round(self.settings.window / self.teacher.dt))].mean(axis=0)

    def _rate(self, candidate: Candidate, u: Array, label: Array, Q: Array) -> None:
        seconds = self.every * self.dt
        candidate.compare(u, label, Q, self._half(), seconds)
        candidate.shadowed += seconds

    def _rejoin(self, observation: Observation) -> None:
        """Someone else moves the arm: the teacher plans from where it is."""
        stamp = observation.stamp
        if (
            stamp - self._rejoined >= REJOIN
            and np.abs(self.target_manager.joints.at(stamp) - observation.q).max() > APART
        ):
            self._rejoined = stamp
            self.target_manager.rejoin(observation.q, observation.qd, stamp)

    def _blended(self, stamp: float, u: Array) -> Array:
        """U after a change of hands: away from the last command without a step."""
        if self._changed:
            self._changed, self._since = False, stamp
            self._offset = self._last - u
        if self.settings.blend == 0.0 or stamp - self._since > 8.0 * self.settings.blend:
            return u
        u = u + math.exp(-(stamp - self._since) / self.settings.blend) * self._offset
        return np.clip(u, self.robot.command_lower, self.robot.command_upper)
