r"""The safe command: what goes out when the controller's command may not.

    position    come to rest within the acceleration limits, then stay (command_limiter.py)
    velocity    come to rest within the acceleration limits (command_limiter.py)
    effort      `supervisor.safe_effort`:
                    arrest     come to rest and carry the arm (arrest.py)
                    zero       u = 0
                    damp       u = -d qd
                    gravity    u = g(q) - d qd, g of the URDF
                    hold       u = u_mean - d qd + k (q_0 - q), q_0 the pose at which the safe command began

d is `supervisor.damping`, k `supervisor.stiffness` and u_mean the exponential mean of the recent commands (time
constant `supervisor.steady_time`). Damping needs a measured velocity: without a state it is left out. d and k are
bounded by the arm's inertia over the period (bounded_gains.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..config.section import per_joint
from ..config.sections.safety import SupervisorSettings
from ..robots import Robot
from ..types import Array, Observation
from .arrest import Arrest
from .bounded_gains import BoundedGains, sinking

SAFE_DAMPING = 0.05  # share of the effort limit that damps a joint at its velocity limit


@dataclass(frozen=True, eq=False, slots=True)
class LinearEffort:
    """u = mean + M a_r - D (qd - v_r) - K (q - q_r) - w, w <- w + h K_i (q - q_r); see guard/laws.py.

    `mean` (n,) [N m or N]; the matrices are (n, n). `brakes`: the reference brakes from the measured state; otherwise
    it rests where the law begins.
    """

    mean: Array
    inertia: Array
    damping: Array
    stiffness: Array
    integral: Array
    brakes: bool


class SafeCommand:
    """The safe command of `robot` for the period `dt` [s]; `applied` tells it every command that goes out.

    `arrest` is the law of arrest.py, None where another safe command is configured.
    """

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float):
        self._robot, self._settings, self._dt = robot, settings, dt
        damping = (
            per_joint(settings.damping, robot.n, "supervisor.damping")
            if settings.damping
            else SAFE_DAMPING * robot.effort_limit / robot.velocity_limit
        )
        stiffness = per_joint(settings.stiffness, robot.n, "supervisor.stiffness")
        self._gains = BoundedGains(robot, damping, stiffness, dt)
        self.arrest = (
            Arrest(robot, settings, dt) if robot.interface == "effort" and settings.safe_effort == "arrest" else None
        )
        self._sinking = ""
        if robot.interface == "effort" and settings.safe_effort == "damp" and not settings.allow_sinking:
            self._sinking = sinking(robot, self._gains)
        self._gravity: Callable[[Array], Array] | None = None
        if robot.interface == "effort" and settings.safe_effort == "gravity":
            from ..robots.rigid_body import gravity  # needs adam-robotics

            model = robot.units.function("gravity", {"robot": robot, "mass_scale": 1.0}, lambda: gravity(robot))
            self._gravity = lambda q: model(q)[0].ravel()
        self._mean: Array = np.zeros(robot.n)  # u_mean
        self._anchor: Array | None = None  # q_0, None while the safe command does not act
        self._weight: Array = np.zeros(robot.n)  # g(q) of the last known pose

    @property
    def unready(self) -> str:
        """Why this robot has no safe command, '' if it has one."""
        if self._sinking:
            return self._sinking
        if self.arrest is None or self.arrest.ready:
            return ""
        return (
            "the safe command 'arrest' needs the inertia of the arm: the URDF has no usable <inertial> for every "
            "controlled joint; add mass and inertia to the links, let them be guessed (robot.guess_inertials), or "
            "choose another supervisor.safe_effort (zero, damp, hold)"
        )

    def reset(self, command: Array) -> None:
        """Start anew with `command` (n,) in effect."""
        self._mean, self._anchor, self._weight = command, None, np.zeros(self._robot.n)
        if self.arrest is not None:
            self.arrest.reset(command)

    def forget_inertia(self) -> None:
        """Forget what was learned of the arm's inertia."""
        if self.arrest is not None:
            self.arrest.forget_inertia()

    def update_inertia(self, inertia: Array | None, rotors: Array | None) -> None:
        """Take over the joint-space inertia (n, n) and rotor inertia (n,) of a consistent model [kg m^2 or kg]."""
        if self.arrest is not None and inertia is not None:
            self.arrest.update_inertia(inertia, rotors)

    def restart(self) -> None:
        """Let the next safe command start anew at the arm's state."""
        if self.arrest is not None:
            self.arrest.restart()

    def applied(self, u: Array, observation: Observation, share: float, ends: bool) -> None:
        """Take the controller's command u (n,) for `observation`, held for a `share` of a period, into the means.

        `ends`: the safe command no longer acts; false while it is blended with the controller's command.
        """
        if self.arrest is not None:
            self.arrest.applied(u, share, ends, observation)
        if self._settings.safe_effort == "hold":
            self._anchor = None
            self._mean = self._mean + min(1.0, share * self._dt / self._settings.steady_time) * (u - self._mean)

    def linear_effort(self, q: Array) -> LinearEffort:
        """Return the safe effort at the pose q (n,) as matrices, for a process that can compute nothing else."""
        n, settings, nothing = self._robot.n, self._settings, np.zeros((self._robot.n, self._robot.n))
        if self.arrest is not None:
            M, c = self.arrest.inertia(q), settings.arrest_rate
            integral = c**3 / 27.0 * self.arrest.integral_inertia(M)
            return LinearEffort(self.arrest.carrying_at_rest, M, c * M, c**2 / 3.0 * M, integral, True)
        if settings.safe_effort == "zero":
            return LinearEffort(np.zeros(n), nothing, nothing, nothing, nothing, False)
        mean = {"damp": np.zeros(n), "hold": self._mean}.get(settings.safe_effort)
        if mean is None:
            mean = self._weight if self._gravity is None else np.array(self._gravity(q)).ravel()
        stiffness = np.diag(self._gains.stiffness(q)) if settings.safe_effort == "hold" else nothing
        return LinearEffort(mean, nothing, np.diag(self._gains.damping(q)), stiffness, nothing, False)

    def command(self, observation: Observation | None) -> Array:
        """Return the safe effort (n,) before the limiter; `observation` is the present state, None without one."""
        if self._settings.safe_effort == "zero":
            return np.zeros(self._robot.n)
        if self.arrest is not None:
            return self.arrest.command_without_state() if observation is None else self.arrest.command(observation)
        damping: Array = np.zeros(self._robot.n)
        if observation is not None:
            damping = -self._gains.damping(observation.q) * observation.qd
        if self._settings.safe_effort == "damp":
            return damping
        if self._gravity is not None:
            if observation is not None:
                self._weight = self._gravity(observation.q)
            return self._weight + damping
        if observation is None:
            return self._mean
        if self._anchor is None:
            self._anchor = np.array(observation.q)
        stiffness: Array = self._gains.stiffness(observation.q) * (self._anchor - observation.q)
        return self._mean + damping + stiffness
