r"""The controller `pid`: joint PID with a nominal gravity model, the baseline to compare mpc with.

    u = g(q) + w (kp e + ki int e dt + kd ed),   e = q* - q,  ed = qd* - qd

for the effort interface, with g from the URDF's masses times `mass_scale` and w (n,) the effort limits over their
largest, so that one set of gains serves strong and weak joints. Anti-windup: the integral stands still while its joint
is saturated (conditional integration; Astrom & Hagglund 2006, section 3.5). Image targets need more than a joint PID.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from ..config.configuration import Configuration
from ..config.section import Section, setting
from ..exceptions import ConfigurationError, TargetError
from ..references.target_manager import TargetManager
from ..references.targets import Target
from ..robots import Robot
from ..types import Array, Decision, DecisionStatus, Observation
from .base import Controller, Health, TargetTracking


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """Gains of the baseline controller (control.controller: pid)."""

    kp: float = setting(600.0, "position gain of the strongest joint", unit="N m/rad", low=0.0)
    ki: float = setting(1200.0, "integral gain of the strongest joint", unit="N m/(rad s)", low=0.0)
    kd: float = setting(18.0, "velocity gain of the strongest joint", unit="N m s/rad", low=0.0)
    mass_scale: float = setting(0.8, "the gravity model's masses over the URDF's", low=0.0, high=10.0)


def build(settings: Settings, robot: Robot, configuration: Configuration) -> Controller:
    """Build the controller; ConfigurationError for another interface than effort."""
    return PidController(robot, configuration, settings)


class PidController(TargetTracking):
    """PID on the joint reference of the present target."""

    def __init__(self, robot: Robot, configuration: Configuration, gains: Settings):
        from ..robots.rigid_body import gravity

        if robot.interface != "effort":
            raise ConfigurationError(
                f"the PID baseline commands efforts, not {robot.interface}", key="control.controller", value="pid"
            )
        self.robot, self.configuration, self._gains = robot, configuration, gains
        self.dt, self.n, self.m = 1.0 / configuration.control.rate, len(robot.joints), 0
        self.dynamics, self.delay, self.nis_bound = None, None, float("nan")
        super().__init__(TargetManager(robot, configuration.reference, self.dt))
        self._gravity = gravity(robot, self._gains.mass_scale)
        self._weight = robot.effort_limit / robot.effort_limit.max()
        self._integral = np.zeros(self.n)

    def reset(self, observation: Observation) -> None:
        """Rest where the robot is, with an empty integral."""
        self._integral = np.zeros(self.n)
        self.target_manager.reset(observation.q, observation.stamp)

    def hold(self, observation: Observation) -> None:
        """Come to rest and forget every target."""
        self.target_manager.hold(observation.q, observation.qd, observation.stamp)

    def resume(self, observation: Observation, command: Array) -> None:
        """Go on at `observation` after an interruption; the integral stands for gravity and stays."""
        self.target_manager.resume(observation.q, observation.qd, observation.stamp)

    def update_settings(self, configuration: Configuration) -> None:
        """Keep them: none of those it uses is dynamic."""
        self.configuration = configuration

    def health(self) -> Health:
        """Return that all is well: there is no model, and no image."""
        return Health()

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """Refuse it (TargetError): there is no camera."""
        raise TargetError("the PID baseline tracks joints and end-effector points, not features")

    def step(self, observation: Observation) -> Decision:
        """Decide on the command (nu,); see `Controller`."""
        self.check(observation)
        begin = time.perf_counter()
        q, qd, g = observation.q, observation.qd, self._gains
        self.target_manager.place_uncontrolled(observation.uncontrolled)
        self.target_manager.advance(observation.stamp, np.concatenate([q, qd]))
        wanted, speed, _ = self.target_manager.joints.motion_at(observation.stamp)
        error = wanted - q
        gravity = np.array(self._gravity(q)).ravel()
        u = gravity + self._weight * (g.kp * error + g.ki * self._integral + g.kd * (speed - qd))
        limited = np.clip(u, self.robot.command_lower, self.robot.command_upper)
        finite = bool(np.isfinite(u).all())
        self._integral += np.where((limited == u) & finite, np.nan_to_num(error) * self.dt, 0.0)
        status = DecisionStatus.OK if finite else DecisionStatus.PLANNER_FAILED
        return Decision(observation.stamp, limited, status, seconds={"tick": time.perf_counter() - begin})

    def record(self, stamp: float, command: Array) -> None:
        """Do nothing: nothing is learned."""
