"""The controller to beat: joint PID with a nominal gravity model, behind the same seam as the MPC.

    u = g(q) + w (kp e + ki int e dt + kd ed),   e = q* - q,  ed = qd* - qd

for the effort interface, with g from the URDF's masses times `mass_scale` and w (n,) the effort limits over their
largest, so that one set of gains serves strong and weak joints. Anti-windup: the integral stands still while its joint
is saturated (conditional integration; Astrom & Hagglund 2006, sec. 3.5). Image targets need more than a joint PID.
"""

from __future__ import annotations

import time

import numpy as np

from ..config.configuration import Configuration
from ..exceptions import ConfigurationError, TargetError
from ..references.target_manager import TargetManager
from ..robots import Robot
from ..types import Array, Decision, DecisionStatus, Observation
from .base import Health, TargetTracking


class PidController(TargetTracking):
    """PID on the joint reference of the present target, for comparison."""

    nis_bound, dynamics, delay = float("nan"), None, None

    def __init__(self, robot: Robot, configuration: Configuration | None = None):
        from ..robots.rigid_body import gravity

        c = self.configuration = configuration or Configuration.from_flat({})
        if robot.interface != "effort":
            raise ConfigurationError(
                f"the PID baseline commands efforts, not {robot.interface}", key="control.controller", value="pid"
            )
        self.robot, self.settings, self._gains = robot, c.control, c.pid
        self.dt, self.n, self.m = 1.0 / self.settings.rate, len(robot.joints), 0
        super().__init__(TargetManager(robot, c.reference, self.dt))
        self._gravity = gravity(robot, self._gains.mass_scale)
        self._weight = robot.effort_limit / robot.effort_limit.max()

    def reset(self, observation: Observation) -> None:
        self._integral = np.zeros(self.n)
        self.target_manager.reset(observation.q, observation.stamp)

    def hold(self, observation: Observation) -> None:
        """Come to rest and forget every target."""
        self.target_manager.hold(observation.q, observation.qd, observation.stamp)

    def resume(self, observation: Observation, command: Array) -> None:
        """Go on at `observation` after an interruption; the integral stands for gravity and stays."""
        self.target_manager.resume(observation.q, observation.stamp)

    def update_settings(self, configuration: Configuration) -> None:
        """Keep them: none of those it uses is dynamic."""
        self.configuration = configuration

    def health(self) -> Health:
        """Nothing can be wrong: there is no model, and no image."""
        return Health()

    def set_feature_target(self, s: Array, stamp: float = 0.0):
        raise TargetError("the PID baseline follows joints and end-effector points, not features")

    def step(self, observation: Observation) -> Decision:
        """One tick."""
        begin = time.perf_counter()
        q, qd, g = observation.q, observation.qd, self._gains
        self.target_manager.advance(observation.stamp, np.concatenate([q, qd]))
        wanted, speed, _ = self.target_manager.joints.at(observation.stamp, derivatives=True)
        error = wanted - q
        gravity = np.array(self._gravity(q)).ravel()
        u = gravity + self._weight * (g.kp * error + g.ki * self._integral + g.kd * (speed - qd))
        limited = np.clip(u, self.robot.command_lower, self.robot.command_upper)
        self._integral += np.where(limited == u, error * self.dt, 0.0)
        return Decision(observation.stamp, limited, DecisionStatus.OK, seconds={"tick": time.perf_counter() - begin})

    def record(self, stamp: float, command: Array) -> None:
        """Nothing to learn."""


def build_controller(robot: Robot, configuration: Configuration):
    """The controller that `control.controller` names."""
    from .mpc import MpcController

    name = configuration.control.controller
    if name in ("policy", "teach"):
        from .policy import PolicyController, teacher_configuration

        teacher = MpcController(robot, teacher_configuration(configuration))
        return PolicyController(robot, configuration, teacher, teaching=name == "teach")
    return {"mpc": MpcController, "pid": PidController}[name](robot, configuration)
