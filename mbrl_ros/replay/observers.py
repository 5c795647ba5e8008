"""What takes the place of controller and supervisor where nothing is planned.

The passive observer learns without planning; the null supervisor lets every command through.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from ..config.configuration import Configuration
from ..config.sections.safety import SupervisorSettings
from ..controllers.base import Health
from ..controllers.model_learner import ModelLearner
from ..dynamics import OnlineDynamics
from ..dynamics.delay_monitor import DelayMonitor
from ..dynamics.priors import Prior
from ..exceptions import TargetError
from ..references.jogging import JogCounts
from ..references.segments import Waypoints
from ..references.targets import Target
from ..references.trajectory_joins import TrajectoryJoins
from ..references.trajectory_progress import Progress, Stage
from ..robots import Robot
from ..safety.collision_rule import CollisionRule
from ..safety.command import Command
from ..safety.state_machine import Guard, Reason, Request, State
from ..types import Array, Decision, DecisionStatus, Observation


class PassiveObserver:
    """A `Controller` that learns as MpcController does and repeats the last command: it plans nothing."""

    def __init__(self, robot: Robot, configuration: Configuration, prior: Prior | None = None):
        """`prior`: instead of the one that dynamics.prior names."""
        self.robot, self.configuration = robot, configuration
        self.learner = ModelLearner(robot, configuration, prior)
        self.dt, self.n, self.m = self.learner.dt, self.learner.n, self.learner.m
        self.target: Target | None = None
        self.uncontrolled: Array | None = None
        self.targets_accepted = self.targets_adopted = self.targets_forgotten = 0
        self.reference_end = float("nan")
        self.joins = TrajectoryJoins(robot, self.dt)
        self.jog_counts = JogCounts()

    @property
    def dynamics(self) -> OnlineDynamics:
        """See `Controller`."""
        return self.learner.dynamics

    @property
    def delay(self) -> DelayMonitor:
        """See `Controller`."""
        return self.learner.delay

    @property
    def nis_bound(self) -> float:
        """See `Controller`."""
        return self.learner.dynamics.nis_bound

    def reset(self, observation: Observation) -> None:
        """See `Controller`."""
        self.learner.reset(observation)

    def resume(self, observation: Observation, command: Array) -> None:
        """Continue with the recorded command that is in effect, whatever `command` of this replay is."""
        self.learner.resume(self.learner.history.computed_at(observation.stamp))

    def assume_held(self, observation: Observation, command: Array) -> None:
        """Do nothing: what was recorded is learned as it is."""

    def rejoin(self, observation: Observation) -> None:
        """Do nothing: there is no motion towards a goal."""

    def wait_for_arm(self, observation: Observation) -> None:
        """Do nothing: there is no motion."""

    def skip_transition(self, forget: float = 0.0) -> None:
        """Do nothing: what was recorded is learned whole."""

    def hold(self, observation: Observation) -> None:
        """Do nothing: there is no target to forget."""

    def place_uncontrolled(self, r: Array) -> None:
        """Do nothing: what is learned does not depend on them."""

    def step(self, observation: Observation) -> Decision:
        """Learn from the last transition; the decision is the last command."""
        learner, stamp = self.learner, observation.stamp
        x, _ = learner.state(observation)
        innovation = learner.learn(stamp, x)
        u = learner.history.computed_at(stamp - self.dt)
        learner.dynamics.fit(x, u)  # the next prediction is made about this point
        learner.remember(stamp, x)
        return Decision(
            stamp,
            u,
            DecisionStatus.OK,
            nis=innovation.nis if innovation else float("nan"),
            nis_dof=self.n if innovation else 0,
            innovation=innovation.error if innovation else None,
        )

    def record(self, stamp: float, command: Array) -> None:
        """See `Controller`."""
        self.learner.record(stamp, command)

    def health(self) -> Health:
        """See `Controller`."""
        return self.learner.health()

    def update_settings(self, configuration: Configuration) -> None:
        """See `Controller`."""
        self.configuration = configuration
        self.learner.update_settings(configuration)

    def adapt_to_lateness(self, periods: int, authority: float, std: float) -> None:
        """Do nothing: commands are those that were recorded."""

    def limit_gain(self, share: float) -> None:
        """Do nothing: commands are those that were recorded."""

    def set_joint_target(self, q: Array, stamp: float = 0.0) -> Target:
        """Refuse it, as every target."""
        raise TargetError("nothing is planned in this replay")

    def set_point_target(self, p: Array, stamp: float = 0.0) -> Target:
        """Refuse it, as every target."""
        raise TargetError("nothing is planned in this replay")

    def set_pose_target(self, pose: Array, stamp: float = 0.0) -> Target:
        """Refuse it, as every target."""
        raise TargetError("nothing is planned in this replay")

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """Refuse it, as every target."""
        raise TargetError("nothing is planned in this replay")

    def set_trajectory(self, points: Waypoints, stamp: float = 0.0) -> Target:
        """Refuse it, as every target."""
        raise TargetError("nothing is planned in this replay")

    def set_twist(self, twist: Array, frame: str = "", stamp: float = 0.0) -> Target:
        """Refuse it, as every target."""
        raise TargetError("nothing is planned in this replay")

    def set_velocities(self, qd: Array, stamp: float = 0.0) -> Target:
        """Refuse it, as every target."""
        raise TargetError("nothing is planned in this replay")

    def progress(self, points: Waypoints) -> Progress:
        """Return that the arm does not follow it."""
        return Progress(Stage.DROPPED)

    def take_target_notes(self) -> list[str]:
        """Return nothing: no trajectory begins."""
        return []

    def refuse_targets_while(self, reason: Callable[[], str]) -> None:
        """Do nothing: every target is refused."""

    def asked_at(self, forgotten: int) -> AbstractContextManager[None]:
        """Do nothing: every target is refused."""
        return nullcontext()

    def joint_reference(self, stamp: float) -> Array:
        """Return NaN (n,): there is no reference."""
        return np.full(self.n, np.nan)


class NullSupervisor:
    """A `CommandSupervisor` that lets everything through."""

    def __init__(self) -> None:
        self.state, self.cause = State.ACTIVE, Reason.NONE
        self.held_by_guard: Array | None = None
        self.collisions: CollisionRule | None = None
        self.settings = SupervisorSettings()
        self.resuming, self.rejoining, self.unready, self.refusal = False, False, "", ""

    def reset(self, observation: Observation | None) -> None:
        """Do nothing: there is no state to reset."""

    def forget_inertia(self) -> None:
        """Do nothing: no inertia was learned."""

    def interrupted(self, cause: Reason, observation: Observation, command: Array) -> Array:
        """Change nothing: there is no ramp."""
        return command

    def override(self, guard: Guard, command: Array | None = None, speed: Array | None = None) -> None:
        """Do nothing: no guard commands anything here."""

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
