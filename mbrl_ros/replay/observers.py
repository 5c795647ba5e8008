"""Stand-ins where nothing is planned: what learns without planning, and a supervisor that lets everything through."""

from __future__ import annotations

import numpy as np

from ..config.configuration import Configuration
from ..config.sections.safety import SupervisorSettings
from ..controllers.mpc import Learner
from ..safety.state_machine import Reason, State
from ..safety.supervisor import Command
from ..types import Decision, DecisionStatus, Observation


class PassiveObserver(Learner):
    """Learns as MpcController does and proposes nothing: no planner is built, targets mean nothing to it."""

    target, reference_end = None, float("nan")

    def step(self, observation: Observation) -> Decision:
        x, _ = self._state(observation)
        innovation = self._learn(observation.stamp, x)
        u = self.history.computed_at(observation.stamp - self.dt)
        self.dynamics.fit(x, u)  # the next prediction is made about this point
        self._previous = (observation.stamp, x)
        return Decision(
            observation.stamp,
            u,
            DecisionStatus.OK,
            nis=innovation.nis if innovation else float("nan"),
            nis_dof=self.n if innovation else 0,
            innovation=innovation.error if innovation else None,
        )

    def update_settings(self, configuration: Configuration) -> None:
        self.configuration, self.settings = configuration, configuration.control
        self.dynamics.settings = configuration.dynamics

    def ignore(self, *_: object) -> None:
        """There is no target to keep or forget."""

    hold = adapt_to_lateness = set_joint_target = set_point_target = set_feature_target = set_trajectory = ignore


class NullSupervisor:
    """Lets everything through; for a replay that computes no commands."""

    state, resuming, unready = State.ACTIVE, False, ""
    settings = SupervisorSettings()

    def reset(self, observation: Observation | None) -> None:
        """Nothing to forget."""

    def forget_inertia(self) -> None:
        """Nothing was learned."""

    def interrupted(self, cause: Reason) -> None:
        """Nothing to ramp."""

    def filter(self, decision: Decision, observation: Observation, warnings: Reason = Reason.NONE) -> Command:
        return Command(decision.u, State.ACTIVE)

    def failed(self, observation: Observation) -> Command:
        return Command(np.zeros_like(observation.q), State.FAULT, Reason.CONTROLLER_ERROR)

    def stop(self, observation: Observation | None, reason: Reason = Reason.STOPPING) -> Command:
        return Command(np.zeros(0), State.FAULT, reason)

    def stale(self, age: float) -> Command:
        return Command(np.zeros(0), State.DEGRADED, Reason.STALE_STATE)
