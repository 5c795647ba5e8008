r"""The safe effort that brings an arm to rest and carries it, without a model of gravity, friction or load.

    u = u_mean + M_s (a_r - c (qd - v_r) - c^2/3 (q - q_r)) - w,      w <- w + dt c^3/27 M_s (q - q_r)

u_mean is the exponential mean of the commands (time constant supervisor.mean_time): what carried the arm until now. The
reference (q_r, v_r, a_r) starts where the arm is and brakes every joint with its acceleration limit, so the arm stops within
its braking distance and no joint is decelerated by more; one that is faster than its limit brakes in the distance it would
need at its limit. About the reference the law places a triple pole at c/3 wherever M_s = M:

    qdd = a_r - c ed - c^2/3 e - c^3/27 int e,      e = q - q_r,  ed = qd - v_r

With M = r M_s it is stable for r < 9 (Routh), and delay and lag limit the other side. M_s is therefore never less than the
links' inertia at the present pose,

    M_s = L max(1, L^-1 M_fit L^-T) L^T,     M_e(q) = L L^T

with M_e of robots/effective_inertia.py, learned rotors included, and M_fit the inverse of the input gain of the last fit
that could be trusted; max acts on the eigenvalues, which are taken for at most LARGEST.

w is the torque that u_mean lacks, after a change of pose or load. It stands still for a joint whose command is at its limit
and is never more than the limit. Without states nothing can be fed back: u_mean - w alone goes on for
supervisor.blind_time, and then what supervisor.blind_effort says.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from ..config.sections.safety import SupervisorSettings
from ..robots import Robot
from ..robots.effective_inertia import EffectiveInertia
from ..robots.inertia import has_inertials
from ..types import Array, Observation

LARGEST = 4.0  # M_s over M_e: a fit that takes friction for inertia must not shake a light joint
REFRESH = 0.05  # [s] between two evaluations of M_s while the law acts


class Arrest:
    """The law for one robot and period dt [s]. Tell it by `follow` every command that goes out and is not its own."""

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float):
        self.robot, self.settings, self.dt = robot, settings, dt
        self._inertia = EffectiveInertia(robot) if has_inertials(robot) else None
        self._every = max(1, round(REFRESH / dt))
        self._braking = robot.acceleration_limit * dt  # of the reference in a period
        self.fitted: Array | None = None  # M_fit (n, n)
        self.reset(np.zeros(robot.n))

    @property
    def ready(self) -> bool:
        """Whether the inertia is known."""
        return self._inertia is not None

    def believe(self, inertia: Array, rotors: Array | None) -> None:
        """M_fit (n, n) of a fit that can be trusted, and what was learned of the rotors' inertia (n,)."""
        if np.isfinite(inertia).all():
            self.fitted = inertia
        if self._inertia is not None and rotors is not None:
            self._inertia.rotors = rotors

    def reset(self, command: Array) -> None:
        """Begin anew: `command` (n,) is in effect."""
        self.mean, self._weight, self._blind, self._ticks = np.array(command), 0.0, 0, 0
        self._q: Array | None = None  # of the reference
        self._v, self._w = np.zeros(self.robot.n), np.zeros(self.robot.n)

    def forget(self) -> None:
        """What was learned of the inertia is unknown again."""
        self.fitted = None
        if self._inertia is not None:
            self._inertia.reset()

    def begin(self) -> None:
        """The next command begins the law anew, from where the arm is then."""
        self._q = None

    def follow(self, u: Array, share: float = 1.0, release: bool = True) -> None:
        """U (n,) went out for a `share` of a period; `release`: and it was not this law's."""
        self._weight += share  # the first commands are averaged evenly
        self.mean = self.mean + min(1.0, max(share / self._weight, share * self.dt / self.settings.mean_time)) * (
            u - self.mean
        )
        if release:
            if self._q is not None:  # what the law has found out carries the arm from now on
                self.mean, self._w = self.mean - self._w, np.zeros(self.robot.n)
            self._q, self._blind = None, 0

    def command(self, observation: Observation) -> Array:
        """The effort (n,) [N m or N] for this tick."""
        if self._q is None or self._blind:
            self._q, self._v, self._ticks, self._blind = np.array(observation.q), np.array(observation.qd), 0, 0
            excess = np.maximum(1.0, np.abs(self._v) / self.robot.velocity_limit)
            self._braking = excess**2 * self.robot.acceleration_limit * self.dt
        if self._ticks % self._every == 0:
            self._M = self.inertia(observation.q)
        self._ticks += 1
        slower = self._v - np.clip(self._v, -self._braking, self._braking)
        a, c, e = (slower - self._v) / self.dt, self.settings.arrest_rate, observation.q - self._q
        u = self.mean + self._M @ (a - c * (observation.qd - self._v) - c**2 / 3.0 * e) - self._w
        self._q, self._v = self._q + 0.5 * self.dt * (slower + self._v), slower
        limit, change = self.robot.effort_limit, self.dt * c**3 / 27.0 * (self._M @ e)
        winding = (np.abs(u) >= limit) & (np.sign(u) == -np.sign(change))
        self._w = np.clip(self._w + np.where(winding, 0.0, change), -limit, limit)
        return u

    def blind(self) -> Array:
        """The effort (n,) for a tick without a state."""
        self._blind += 1
        if self._blind * self.dt > self.settings.blind_time and self.settings.blind_effort == "zero":
            return np.zeros(self.robot.n)
        return self.mean - self._w

    def inertia(self, q: Array) -> Array:
        """M_s (n, n) at the pose q (n,)."""
        least = self._inertia(q)
        if self.fitted is None:
            return least
        try:
            ratio, modes = eigh(self.fitted, least)  # modes^T least modes = 1
        except (ValueError, np.linalg.LinAlgError):
            return least
        half = least @ modes
        return (half * np.clip(ratio, 1.0, LARGEST)) @ half.T
