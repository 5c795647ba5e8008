r"""The controller `pid`: joint PID with a nominal gravity model, the baseline to compare mpc with.

    u = g(q) + w (kp e + ki int e dt + kd ed),   e = q* - q,  ed = qd* - qd

for the effort interface, with g from the URDF's masses times `mass_scale` and w (n,) the effort limits over their
largest, so that one set of gains serves strong and weak joints. Anti-windup: the integral stands still while its joint
is saturated (conditional integration; Astrom & Hagglund 2006, section 3.5), and while another command acts, that of a
limit or the safe command. Image targets need more than a joint PID.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config.configuration import Configuration
from ..config.section import Section, setting
from ..robots import Robot
from ..types import Array, Observation
from .base import Controller
from .effort_tracking import EffortTracking


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


class PidController(EffortTracking):
    """PID on the joint reference of the present target."""

    def __init__(self, robot: Robot, configuration: Configuration, gains: Settings):
        from ..robots.rigid_body import gravity

        super().__init__(robot, configuration, "pid")
        self._gains, inputs = gains, {"robot": robot, "mass_scale": gains.mass_scale}
        self._gravity = robot.units.function("gravity", inputs, lambda: gravity(robot, gains.mass_scale))
        self._weight = robot.effort_limit / robot.effort_limit.max()
        self._integral = self._before = np.zeros(self.n)  # now, and before the last step
        self._u: Array = np.zeros(self.n)  # of the last step, within its limits

    def reset(self, observation: Observation) -> None:
        """Rest where the robot is, with an empty integral."""
        self._integral = self._before = np.zeros(self.n)
        self.target_manager.reset(observation.q, observation.stamp)

    def effort(self, observation: Observation, q: Array, qd: Array, qdd: Array) -> Array:
        """Return the efforts (n,), and let the integral go on where they are within their limits."""
        g, error = self._gains, q - observation.q
        gravity = self._gravity(observation.q)[0].ravel()
        u: Array = gravity + self._weight * (g.kp * error + g.ki * self._integral + g.kd * (qd - observation.qd))
        self._u, self._before = np.clip(u, self.robot.command_lower, self.robot.command_upper), self._integral
        if np.isfinite(u).all():
            self._integral = self._integral + np.where(self._u == u, error * self.dt, 0.0)
        return u

    def record(self, stamp: float, command: Array) -> None:
        """Take the integral's last step back where another command (n,) acted; see `Controller`."""
        self._integral = np.where(command == self._u, self._integral, self._before)
