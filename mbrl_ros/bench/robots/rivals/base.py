"""What the rivals have in common: the targets, the reference of the joints, and commands inside their limits."""

from __future__ import annotations

import time

import numpy as np

from ....config.configuration import Configuration
from ....controllers.base import Health, TargetTracking
from ....exceptions import ConfigurationError, TargetError
from ....references.target_manager import TargetManager
from ....references.targets import Target
from ....robots import Robot
from ....types import Array, Decision, DecisionStatus, Observation


class Rival(TargetTracking):
    """Tracks the joint reference of the present target; `effort` of a subclass says how."""

    def __init__(self, robot: Robot, configuration: Configuration):
        if robot.interface != "effort":
            raise ConfigurationError(f"this controller commands efforts, not {robot.interface}", key="robot.interface")
        self.robot, self.configuration = robot, configuration
        self.dt, self.n, self.m = 1.0 / configuration.control.rate, robot.n, 0
        self.dynamics, self.delay, self.nis_bound = None, None, float("nan")
        super().__init__(TargetManager(robot, configuration.reference, self.dt))
        self._delay = max(0, round(configuration.control.delay))
        self._sent: list[Array] = []  # the commands of which the last few may still have to act, oldest first

    def effort(self, observation: Observation, q: Array, qd: Array, qdd: Array) -> Array:
        """Return the command (n,) for the references q, qd and qdd (n,) of now."""
        raise NotImplementedError

    def forget(self) -> None:
        """Forget what was learned."""
        raise NotImplementedError

    def acting(self) -> Array | None:
        """Return the command (n,) that acted in the last period; None: not known.

        The newest one sent, and with a delay of one period the one before it.
        """
        place = len(self._sent) - 1 - self._delay
        return self._sent[place] if place >= 0 else None

    def acting_next(self, newest: Array) -> Array:
        """Return the command (n,) that acts in the period to come, if `newest` (n,) is sent now."""
        known = [*self._sent, newest]
        return known[max(0, len(known) - 1 - self._delay)]

    def step(self, observation: Observation) -> Decision:
        """Decide on the command (nu,); see `Controller`."""
        self.check(observation)
        begin = time.perf_counter()
        self.target_manager.advance(observation.stamp, np.concatenate([observation.q, observation.qd]))
        u = self.effort(observation, *self.target_manager.joints.motion_at(observation.stamp))
        finite = bool(np.isfinite(u).all())
        limited = np.clip(np.nan_to_num(u), self.robot.command_lower, self.robot.command_upper)
        status = DecisionStatus.OK if finite else DecisionStatus.PLANNER_FAILED
        return Decision(observation.stamp, limited, status, seconds={"tick": time.perf_counter() - begin})

    def record(self, stamp: float, command: Array) -> None:
        """Keep the commands that may still act."""
        self._sent = [*self._sent, np.array(command)][-(self._delay + 1) :]

    def reset(self, observation: Observation) -> None:
        """Rest where the robot is."""
        self._sent = []
        self.forget()
        self.target_manager.reset(observation.q, observation.stamp)

    def hold(self, observation: Observation) -> None:
        """Come to rest and forget every target."""
        self.target_manager.hold(observation.q, observation.qd, observation.stamp)

    def resume(self, observation: Observation, command: Array) -> None:
        """Go on at `observation` after an interruption; what was learned stays."""
        self._sent = []
        self.target_manager.resume(observation.q, observation.qd, observation.stamp)

    def update_settings(self, configuration: Configuration) -> None:
        """Keep them: none of those it uses is dynamic."""
        self.configuration = configuration

    def health(self) -> Health:
        """Return that all is well: nothing is predicted that could be wrong."""
        return Health()

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """Refuse it (TargetError): there is no camera."""
        raise TargetError("this controller tracks joints and end-effector points, not features")
