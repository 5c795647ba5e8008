r"""The controller `policy`: a distilled policy with an mpc as its teacher beside it.

The teacher gets every observation and every applied command, whoever acts (policy_teacher.py). A policy acts after it
was promoted (policy_selection.py); it is demoted at once, and the teacher takes over, when an input is outside of what
it was taught, a position jumps, it disagrees with the teacher, the supervisor keeps changing its commands, or the
closed loop is bad.

Whoever takes over, the command changes smoothly: at the time t_0 of a change the difference to the last applied command
is kept and fades out,

    u(t) = u_new(t) + (u(t_0) - u_new(t_0)) exp(-(t - t_0) / blend)
"""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np

from ..config.configuration import Configuration
from ..config.section import Section
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.dataset import Supervision
from ..distillation.policy import load
from ..distillation.window import Window
from ..dynamics import CommandHistory, OnlineDynamics
from ..dynamics.delay_monitor import DelayMonitor
from ..robots import Robot
from ..types import CommandVector, Decision, DecisionStatus, Observation
from .base import Controller, Health
from .mpc import MpcController
from .policy_candidate import Candidate, PolicyInput
from .policy_selection import Mode, PolicySelection
from .policy_teacher import PolicyTeacher, teacher_configuration
from .position_check import PositionCheck
from .target_tracking import TargetTracking

CHANGED = 0.01  # fraction of the command range that counts as a change


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """No settings beside those of mpc and `distillation`."""


def build(settings: Settings, robot: Robot, configuration: Configuration) -> Controller:
    """Build the controller with an mpc as its teacher."""
    teacher = MpcController(robot, teacher_configuration(configuration))
    return PolicyController(robot, configuration, teacher)


class PolicyController(TargetTracking):
    """A policy or its `teacher` decides; `teaching`: the robot is being taught, and no policy can be promoted."""

    def __init__(self, robot: Robot, configuration: Configuration, teacher: MpcController, *, teaching: bool = False):
        super().__init__(teacher.target_manager)
        self.robot, self.configuration = robot, configuration
        distillation, self.dt = configuration.distillation, 1.0 / configuration.control.rate
        self.n, self.m = robot.n, teacher.m
        self.horizon = teacher.horizon
        self.selection = PolicySelection(distillation, teaching=teaching)
        self.teacher = PolicyTeacher(teacher, self.selection, distillation, self.dt, teaching=teaching)
        self._window = Window(robot.n, self.dt, distillation.window)
        self._history = CommandHistory(robot.n, self.dt, configuration.control.delay)
        self._blend = CommandBlend(robot)
        self._positions = PositionCheck(robot)
        self._observation: Observation | None = None
        self._input: PolicyInput | None = None
        self._proposed: CommandVector = np.zeros(robot.n)
        self._policy_acted, self._tick = False, 0
        if distillation.file:
            self.use(CompiledPolicy(load(distillation.file), robot))

    # --- policies -----------------------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """Who acts."""
        return self.selection.mode

    @property
    def reason(self) -> str:
        """Why the mode changed last."""
        return self.selection.reason

    @property
    def acting(self) -> bool:
        """Whether the policy acts."""
        return self.selection.mode is Mode.ACT

    @property
    def newer(self) -> Candidate | None:
        """A newer policy in shadow while another one acts."""
        return self.selection.newer

    @property
    def student(self) -> CompiledPolicy | None:
        """The policy that acts, or would."""
        return self.selection.current.student if self.selection.current else None

    @property
    def version(self) -> int:
        """Its version; 0 without one."""
        return self.selection.version

    @property
    def disagreement(self) -> float:
        """Its mean disagreement with the teacher; NaN while unknown."""
        return self.selection.disagreement

    @property
    def sample(self) -> Supervision | None:
        """What the last tick gave to learn from; None for nothing."""
        return self.teacher.sample

    def use(self, student: CompiledPolicy, version: int | None = None) -> None:
        """Take a new policy into shadow; see `PolicySelection.use`."""
        self.selection.use(student, version)

    def promote(self, force: bool = False) -> str:
        """Let the newest policy act; '' or the reason why not. `force`: without its time in shadow."""
        return self.selection.promote(force)

    def demote(self, reason: str = "asked to") -> None:
        """Return to the planner, for a reason."""
        self.selection.demote(reason)

    # --- as every controller ------------------------------------------------------------------------------------

    @property
    def dynamics(self) -> OnlineDynamics:
        """The teacher's learned dynamics."""
        return self.teacher.mpc.dynamics

    @property
    def delay(self) -> DelayMonitor:
        """What the teacher knows of the commands' delay."""
        return self.teacher.mpc.delay

    @property
    def nis_bound(self) -> float:
        """That of the teacher."""
        return self.teacher.mpc.nis_bound

    def health(self) -> Health:
        """Return what is known to be wrong with the teacher's model and the features."""
        return self.teacher.mpc.health()

    def reset(self, observation: Observation) -> None:
        """Start anew: the teacher forgets; a policy goes back into shadow."""
        self.teacher.reset(observation)
        rest = observation.q if self.robot.interface == "position" else np.zeros(self.n)
        self._restart(np.clip(rest, self.robot.command_lower, self.robot.command_upper))
        self.selection.reset()

    def hold(self, observation: Observation) -> None:
        """Come to rest and forget every target."""
        self.teacher.mpc.hold(observation)

    def resume(self, observation: Observation, command: CommandVector) -> None:
        """Continue after an interruption at whose end `command` (nu,) was in effect; see `Controller`."""
        self.teacher.mpc.resume(observation, command)
        self._restart(command)

    def assume_held(self, observation: Observation, command: CommandVector) -> None:
        """Tell the planner; see `Controller`."""
        self.teacher.mpc.assume_held(observation, command)

    def skip_transition(self, forget: float = 0.0) -> None:
        """Let the planner's model learn nothing in the next step; see `Controller`."""
        self.teacher.mpc.skip_transition(forget)

    def update_settings(self, configuration: Configuration) -> None:
        """Take over the dynamic settings, between two steps."""
        self.configuration = configuration
        self.selection.update_settings(configuration.distillation)
        self.teacher.update_settings(configuration)

    def adapt_to_lateness(self, periods: int, authority: float, std: float) -> None:
        """Adapt the teacher; the policy itself is not changed. See `Controller`."""
        self.teacher.mpc.adapt_to_lateness(periods, authority, std)

    def limit_gain(self, share: float) -> None:
        """Lower that of the teacher, which then acts in place of the policy; see `Controller`."""
        if share < 1.0 and self.acting:
            self.demote("the closed loop is bad")
        self.teacher.mpc.limit_gain(share)

    def step(self, observation: Observation) -> Decision:
        """Decide on the command (nu,), by the policy or the teacher; see `Controller`."""
        self.check(observation)
        begin, stamp, distillation = time.perf_counter(), observation.stamp, self.configuration.distillation
        a, w = self._window.update(stamp, observation.qd, self._history.in_effect(stamp - self.dt))
        given = PolicyInput(None, distillation.task, observation.q, observation.qd, a, w)
        self._observation, self._input, self.teacher.sample = observation, given, None
        jumped = self._positions.jumped(stamp, observation.q)
        decision = self._acted(observation, given, jumped) if self.acting else None
        self._policy_acted = decision is not None
        if decision is None:
            due = self._tick % self.teacher.every == 0
            decision = self.teacher.decide(observation, given, due=due)
        if self.selection.take_change():
            self._blend.start(stamp, decision.u)
        u = self._proposed = self._blend.applied(stamp, decision.u, distillation.blend)
        return dataclasses.replace(
            decision,
            stamp=stamp,
            u=u,
            admitted=decision.admitted if decision.stamp == stamp else None,
            seconds={**decision.seconds, "tick": time.perf_counter() - begin},
        )

    def record(self, stamp: float, command: CommandVector) -> None:
        """Take note of the applied command (nu,), after which there is time to judge the policy; see `Controller`."""
        self._history.record(stamp, command)
        self._blend.record(command)
        due = self._tick % self.teacher.every == 0
        self._tick += 1
        if self._policy_acted:
            if due and self.configuration.distillation.watch and self._observation and self._input:
                self.teacher.judge(self._observation, self._input, self._proposed)
            half = 0.5 * (self.robot.command_upper - self.robot.command_lower).max()
            self.selection.count_supervised(bool(np.abs(command - self._proposed).max() > CHANGED * half))
        if due:
            self.teacher.mpc.record(stamp, command)

    def _restart(self, command: CommandVector) -> None:
        """Begin with `command` (nu,) in effect: time was interrupted."""
        self._history.reset(command)
        self._window.reset()
        self._blend.reset(command)
        self._positions.reset()
        self._tick, self._policy_acted = 0, False
        self.teacher.restart()
        self.selection.restart()

    def _acted(self, observation: Observation, given: PolicyInput, jumped: bool) -> Decision | None:
        """Return the policy's decision; None, and the policy is demoted, where it must not act."""
        begin, current = time.perf_counter(), self.selection.current
        self.target_manager.place_uncontrolled(observation.uncontrolled)
        self.target_manager.advance(observation.stamp, np.concatenate((observation.q, observation.qd)))
        if self.target_manager.displaced:
            self.demote("joints that are not controlled have moved the end effector, and policies take them at zero")
            return None
        given = dataclasses.replace(given, target=self.target_manager.target)
        if current is None or (u := current.command(given)) is None:
            self.demote("a kind of target it was not taught")
            return None
        outside = current.outside() + ["a position that jumped"] * jumped
        if outside or not np.isfinite(u).all():
            self.demote(f"outside of what it was taught ({', '.join(outside) or 'not finite'})")
            return None
        return Decision(observation.stamp, u.copy(), DecisionStatus.OK, seconds={"policy": time.perf_counter() - begin})


class CommandBlend:
    """Makes a change of who acts smooth; see the top of this module."""

    def __init__(self, robot: Robot):
        self._robot = robot
        self._since, self._last, self._offset = -math.inf, np.zeros(robot.n), np.zeros(robot.n)

    def reset(self, command: CommandVector) -> None:
        """Begin with `command` (nu,) in effect and nothing to blend."""
        self._last, self._offset, self._since = np.array(command), np.zeros(self._robot.n), -math.inf

    def record(self, command: CommandVector) -> None:
        """Take note of the applied command (nu,)."""
        self._last = np.array(command)

    def start(self, stamp: float, u: CommandVector) -> None:
        """Blend from the last applied command to u (nu,), from `stamp` [s] on."""
        self._since, self._offset = stamp, self._last - u

    def applied(self, stamp: float, u: CommandVector, time_constant: float) -> CommandVector:
        """Return what is to be applied at `stamp` [s] in place of u (nu,); `time_constant` [s], 0: no blending."""
        if time_constant == 0.0 or stamp - self._since > 8.0 * time_constant:
            return u
        u = u + math.exp(-(stamp - self._since) / time_constant) * self._offset
        limited: CommandVector = np.clip(u, self._robot.command_lower, self._robot.command_upper)
        return limited
