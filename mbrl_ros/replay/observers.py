"""What takes the place of controller and supervisor where nothing is planned.

The passive observer learns without planning; the null supervisor lets every command through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np

from ..config.configuration import Configuration
from ..config.sections.safety import SupervisorSettings
from ..controllers.mpc import Learner
from ..exceptions import TargetError
from ..safety.state_machine import Reason, Request, State
from ..safety.supervisor import Command
from ..types import Array, Decision, DecisionStatus, Observation


class PassiveObserver(Learner):
    """A `Controller` that learns as MpcController does and requests the command in effect: no planner is built."""

    targets_accepted = targets_adopted = 0
    target, reference_end = None, float("nan")

    def step(self, observation: Observation) -> Decision:
        """Learn from the last period."""
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
        """Take over the dynamic settings."""
        self.configuration, self.settings = configuration, configuration.control
        self.dynamics.settings = configuration.dynamics

    def hold(self, observation: Observation) -> None:
        """Do nothing: there is no target to forget."""

    def adapt_to_lateness(self, periods: int, authority: float, std: float) -> None:
        """Do nothing: no command is planned."""

    def refuse_targets_while(self, reason: Callable[[], str]) -> None:
        """Do nothing: every target is refused."""

    def set_joint_target(self, q: Array, stamp: float = 0.0) -> NoReturn:
        """Refuse it."""
        raise TargetError("nothing is planned in this replay")

    def set_point_target(self, p: Array, stamp: float = 0.0) -> NoReturn:
        """Refuse it."""
        raise TargetError("nothing is planned in this replay")

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> NoReturn:
        """Refuse it."""
        raise TargetError("nothing is planned in this replay")

    def set_trajectory(self, times: Array, Q: Array, stamp: float = 0.0) -> NoReturn:
        """Refuse it."""
        raise TargetError("nothing is planned in this replay")

    def joint_reference(self, stamp: float) -> Array:
        """Return NaN (n,): there is no reference."""
        return np.full(self.n, np.nan)


class NullSupervisor:
    """A `CommandSupervisor` that lets everything through."""

    def __init__(self) -> None:
        self.state, self.cause = State.ACTIVE, Reason.NONE
        self.settings = SupervisorSettings()
        self.resuming, self.unready, self.refusal = False, "", ""

    def reset(self, observation: Observation | None) -> None:
        """Do nothing: there is no state to reset."""

    def forget_inertia(self) -> None:
        """Do nothing: no inertia was learned."""

    def interrupted(self, cause: Reason) -> None:
        """Do nothing: there is no ramp."""

    def request(self, request: Request, observation: Observation | None = None) -> bool:
        """Refuse every request."""
        return False

    def filter(self, decision: Decision, observation: Observation, warnings: Reason = Reason.NONE) -> Command:
        """Return the requested command."""
        return Command(decision.u, State.ACTIVE)

    def between(self, u: Array, observation: Observation, share: float) -> Command:
        """Return the requested command."""
        return Command(u, State.ACTIVE)

    def failed(self, observation: Observation) -> Command:
        """Return zero."""
        return Command(np.zeros_like(observation.q), State.FAULT, Reason.CONTROLLER_ERROR)

    def stop(self, observation: Observation | None, reason: Reason = Reason.STOPPING) -> Command:
        """Return no command."""
        return Command(np.zeros(0), State.FAULT, reason)

    def stale(self, age: float) -> Command:
        """Return no command."""
        return Command(np.zeros(0), State.DEGRADED, Reason.STALE_STATE)
