"""What controllers have in common that track the reference of the joints with efforts, and learn nothing on line."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

import numpy as np

from ..config.configuration import Configuration
from ..exceptions import ConfigurationError, TargetError
from ..references.target_manager import TargetManager
from ..references.targets import Target
from ..robots import Robot
from ..types import Array, Decision, DecisionStatus, Observation
from .base import Health
from .target_tracking import TargetTracking


class EffortTracking(TargetTracking, ABC):
    """Tracks the joint reference of the present target; `effort` of a subclass says how.

    Raises
    ------
    ConfigurationError
        The interface of the robot is not effort.
    """

    def __init__(self, robot: Robot, configuration: Configuration, name: str):
        if robot.interface != "effort":
            raise ConfigurationError(
                f"the controller '{name}' commands efforts, not {robot.interface}", key="control.controller", value=name
            )
        self.robot, self.configuration, self._name = robot, configuration, name
        self.dt, self.n, self.m = 1.0 / configuration.control.rate, robot.n, 0
        self.dynamics, self.delay, self.nis_bound = None, None, float("nan")
        super().__init__(TargetManager(robot, configuration.reference, self.dt))

    @abstractmethod
    def effort(self, observation: Observation, q: Array, qd: Array, qdd: Array) -> Array:
        """Return the efforts (n,) [N m or N] for the references q, qd and qdd (n,) of now; limits are not applied."""

    def step(self, observation: Observation) -> Decision:
        """Decide on the command (nu,); see `Controller`."""
        self.check(observation)
        begin = time.perf_counter()
        self.target_manager.place_uncontrolled(observation.uncontrolled)
        self.target_manager.advance(observation.stamp, np.concatenate([observation.q, observation.qd]))
        u = self.effort(observation, *self.target_manager.joints.motion_at(observation.stamp))
        limited = np.clip(u, self.robot.command_lower, self.robot.command_upper)
        status = DecisionStatus.OK if np.isfinite(u).all() else DecisionStatus.PLANNER_FAILED
        return Decision(observation.stamp, limited, status, seconds={"tick": time.perf_counter() - begin})

    def hold(self, observation: Observation) -> None:
        """Come to rest and forget every target."""
        self.target_manager.hold(observation.q, observation.qd, observation.stamp)

    def resume(self, observation: Observation, command: Array) -> None:
        """Go on at `observation` after an interruption; what was learned stays."""
        self.target_manager.resume(observation.q, observation.qd, observation.stamp)

    def update_settings(self, configuration: Configuration) -> None:
        """Keep them: none of those it uses is dynamic."""
        self.configuration = configuration

    def health(self) -> Health:
        """Return that all is well: nothing is predicted that could be wrong, and there is no image."""
        return Health()

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """Refuse it (TargetError): there is no camera."""
        raise TargetError(f"the controller '{self._name}' tracks joints and end-effector points, not features")
