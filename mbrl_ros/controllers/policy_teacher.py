"""The planner beside a policy: it decides while no policy acts, and judges the policies by what it would have done.

It may run at a lower rate than the policy, every k-th tick; in between its last decision stands. Where it does not move
the arm itself, its reference starts anew from the arm once the two are apart.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..config.configuration import Configuration
from ..config.sections.distillation import DistillationSettings
from ..distillation.dataset import Supervision
from ..distillation.imitation import Imitation
from ..references.targets import Target
from ..types import Array, CommandVector, Decision, Observation, Plan
from .mpc import MpcController
from .policy_candidate import PolicyInput
from .policy_selection import Mode, PolicySelection

REFERENCE_APART = (
    0.1  # a reference this far from an arm that somebody else moves starts anew from the arm [rad or m] ...
)
REJOIN = 0.05  # ... at most so often [s]


def teacher_configuration(configuration: Configuration) -> Configuration:
    """Return that of a planner at distillation.teacher_rate beside a policy at control.rate, of the same delay [s].

    It does not excite the arm: its commands need not be those that are applied.
    """
    if configuration.excitation.when != "never":
        configuration = configuration.replace(excitation__when="never")
    control, slower = configuration.control, configuration.distillation.teacher_rate
    if not 0.0 < slower < control.rate:
        return configuration
    return configuration.replace(control__rate=slower, control__delay=control.delay * slower / control.rate)


class PolicyTeacher:
    """`mpc` as the teacher of the policies in `selection`, which decide every dt [s].

    imitation: whose command is applied while teaching; None: the robot is not being taught. sample: what the last tick
    gave to learn from, None for nothing.
    """

    def __init__(
        self,
        mpc: MpcController,
        selection: PolicySelection,
        settings: DistillationSettings,
        dt: float,
        *,
        teaching: bool,
    ):
        self.mpc, self._selection, self._settings = mpc, selection, settings
        self.every = max(1, round(mpc.dt / dt))
        self._seconds = self.every * dt
        self._half = 0.5 * (mpc.robot.command_upper - mpc.robot.command_lower)
        self.imitation = Imitation(settings, mpc.n, self._half, dt) if teaching else None
        self.sample: Supervision | None = None
        self._decision: Decision | None = None
        self._rejoined = -math.inf
        self._known_target: Target | None = None
        self._target_count = 0

    def reset(self, observation: Observation) -> None:
        """Start anew at `observation`."""
        self.mpc.reset(observation)
        self._target_count, self._known_target = 0, None

    def restart(self) -> None:
        """Forget the last decision: time was interrupted."""
        self._decision, self._rejoined = None, -math.inf

    def update_settings(self, configuration: Configuration) -> None:
        """Take over the dynamic settings."""
        self._settings = configuration.distillation
        self.mpc.update_settings(teacher_configuration(configuration))

    def decide(self, observation: Observation, given: PolicyInput, *, due: bool) -> Decision:
        """Decide for the teacher, or as the imitation method wants it.

        Parameters
        ----------
        observation
            The present one.
        given
            The policies' input at the same time, without the target.
        due
            Whether the teacher is to plan; otherwise its last decision stands, if there is one.
        """
        if not due and self._decision is not None:
            return self._decision
        selection, stamp, targets = self._selection, observation.stamp, self.mpc.target_manager
        if selection.changed:  # the arm is where the policy left it
            targets.rejoin(observation.q, observation.qd, stamp)
        elif self.imitation is not None and self.imitation.settings.method != "clone" and selection.current is not None:
            self._rejoin(observation)
        decision = self._decision = self.mpc.step(observation)
        if decision.plan is None or not decision.plan.usable:
            return decision
        label, Q = self._label(decision.plan), decision.plan.Q_uu[0].copy()
        given = dataclasses.replace(given, target=targets.target)
        mu = None if selection.current is None else selection.current.command(given)
        u = decision.u
        if self.imitation is not None:
            precision = None if mu is None or selection.current is None else selection.current.student.policy.precision
            x, resting = np.concatenate((observation.q, observation.qd)), stamp >= targets.end
            step = self.imitation.step(u, label, Q, mu, precision, x, selection.version, resting=resting)
            u, label = step.act, step.label
        if mu is not None and selection.current is not None:
            selection.current.compare(mu, label, Q, self._half, self._seconds)
        if selection.mode is Mode.SHADOW:
            selection.promote_by_rule()
        self.sample = self._sample(stamp, given, label, Q)
        self._decision = dataclasses.replace(decision, u=u)
        return self._decision

    def _sample(self, stamp: float, given: PolicyInput, label: CommandVector, Q: Array) -> Supervision | None:
        """Make the sample of one tick; None where there is no target, or none that policies can have."""
        target = given.target
        if target is not self._known_target:
            self._known_target, self._target_count = target, self._target_count + 1
        if target is None or target.path is not None or self.mpc.target_manager.displaced:
            return None
        count, kind, value = self._target_count, target.kind, target.value
        if kind == "pose" and target.q is not None:  # tracked as the posture that reaches it
            kind, value = "joints", target.q
        return Supervision(stamp, kind, value, given.task, count, given.q, given.qd, given.a, given.w, label, Q)

    def judge(self, observation: Observation, given: PolicyInput, command: CommandVector) -> None:
        """Plan after the acting policy's `command` (n,) has left, to know how far the policies are from the plan."""
        selection = self._selection
        self._rejoin(observation)
        decision = self._decision = self.mpc.step(observation)
        if decision.plan is None or not decision.plan.usable:
            return
        label, Q = self._label(decision.plan), decision.plan.Q_uu[0]
        if selection.current is not None:
            selection.current.compare(command, label, Q, self._half, self._seconds)
        newer = selection.newer
        if newer is not None:
            mu = newer.command(dataclasses.replace(given, target=self.mpc.target_manager.target))
            if mu is not None:
                newer.compare(mu, label, Q, self._half, self._seconds)
                selection.promote_by_rule()
        selection.check_disagreement()

    def _label(self, plan: Plan) -> CommandVector:
        """Return the plan's mean command (n,) over the policy's window."""
        label: CommandVector = plan.u_hat[: max(1, round(self._settings.window / self.mpc.dt))].mean(axis=0)
        return label

    def _rejoin(self, observation: Observation) -> None:
        """Start the reference anew from an arm that somebody else moves, if they are apart."""
        stamp, targets = observation.stamp, self.mpc.target_manager
        if (
            stamp - self._rejoined >= REJOIN
            and np.abs(targets.joint_reference(stamp) - observation.q).max() > REFERENCE_APART
        ):
            self._rejoined = stamp
            targets.rejoin(observation.q, observation.qd, stamp)
