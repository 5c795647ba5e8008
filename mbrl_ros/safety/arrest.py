r"""The safe effort "arrest": it brings an arm to rest and carries it; no friction or load is known.

    u = u_c + M_s (a_r - c (qd - v_r) - c^2/3 (q - q_r)) - w,      w <- w + dt c^3/27 M_i (q - q_r)

u_c = u_mean + lift(q): u_mean is the exponential mean of the commands (time constant supervisor.mean_time), which
carried the arm until now; lift(q) takes out what accelerated it and brings it to the present pose
(gravity_correction.py). The reference (q_r, v_r, a_r) starts at the arm's state and brakes every joint with its
acceleration limit, so the arm stops within its braking distance and no joint is decelerated by more. A joint that is
faster than its limit brakes within the distance it would need at its limit. About the reference the law places a
triple pole at c/3 wherever M_i = M_s = M:

    qdd = a_r - c ed - c^2/3 e - c^3/27 int e,      e = q - q_r,  ed = qd - v_r

With M = r M_s and M_i = k M_s it is stable for r k < 9 (Routh); delay and lag limit r from below. M_s is therefore
never less than the links' inertia at the present pose,

    M_s = L max(1, L^-1 M_fit L^-T) L^T,     M_e(q) = L L^T

with M_e of robots/effective_inertia.py, learned rotor inertia included, and M_fit the inverse of the input gain of
the last fit whose model was consistent; max acts on the eigenvalues, which are limited to LARGEST_RATIO.

A rotor that is not learned yet may outweigh the links of a wrist some forty times. The integral therefore reckons with
A, UNKNOWN_ROTORS of the largest rotor inertia that effective_inertia.py believes, h / LEAST with the effort limits h:

    M_i = M_s (M_s + diag(A))^-1 M_s.

The law is then stable for every M < 9 (M_s + diag(A)). Where the links outweigh A, M_i is nearly M_s; elsewhere what
u_c lacks is found later, in some 9 (1 + A / M_s) / c. A stays when a rotor is learned: no more than half of it is.

w is the torque that u_c lacks, after a change of load. It is not integrated for a joint whose command is
at its limit and never exceeds the limit. If such a joint moves faster than SWINGING_SPEED, its reference is where the
joint is. Where the arm swings to and fro (guard/swinging.py) damping and stiffness are s times as large, the integral
gain s^2 times. Without states there is no feedback: u_c - w goes on for supervisor.blind_time, followed by what
supervisor.blind_effort names.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg.lapack import dsygvd

from ..config.sections.safety import SupervisorSettings
from ..guard.swinging import SWINGING_SPEED, Swinging
from ..robots import Robot
from ..robots.effective_inertia import EffectiveInertia, knows_inertia
from ..types import Array, Observation
from .gravity_correction import REFRESH, GravityCorrection

LARGEST_RATIO = 4.0  # M_s over M_e: a fit that takes friction for inertia must not shake a light joint
UNKNOWN_ROTORS = 0.5  # of the largest believed: all of them would make the integral slower than it must be


class Arrest:
    """The law for one robot and period dt [s]; `applied` tells it every command that goes out.

    `mean` (n,) is u_mean [N m or N], `fitted` (n, n) M_fit [kg m^2 or kg], None before the first consistent fit.
    """

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float):
        self.robot, self.settings, self.dt = robot, settings, dt
        self._inertia = EffectiveInertia(robot) if knows_inertia(robot) else None
        self._every = max(1, round(REFRESH / dt))
        self._braking = robot.acceleration_limit * dt  # of the reference in a period
        self.fitted: Array | None = None
        self._swinging = Swinging(robot.velocity_limit)
        self._nothing: Array = np.zeros(robot.n)
        self._mean: list[float] = self._nothing.tolist()
        self._weight, self._stateless_ticks, self._ticks = 0.0, 0, 0
        self._q: Array | None = None  # q_r, None before the law begins
        self._v, self._w = np.zeros(robot.n), np.zeros(robot.n)
        self._M = self._M_i = np.zeros((robot.n, robot.n))
        self._gravity = None if self._inertia is None else GravityCorrection(robot, settings.mean_time)
        self._lift = self._nothing
        self._pose: tuple[Array, Array] | None = None  # q, qd of the newest state

    @property
    def mean(self) -> Array:
        """The mean effort u_mean (n,) [N m or N]."""
        return np.array(self._mean)

    @mean.setter
    def mean(self, effort: Array) -> None:
        self._mean = effort.tolist()

    @property
    def ready(self) -> bool:
        """Whether the inertia of the links is known."""
        return self._inertia is not None

    def update_inertia(self, inertia: Array, rotors: Array | None) -> None:
        """Take over M_fit (n, n) of a consistent model and the learned rotor inertia (n,) [kg m^2 or kg]."""
        if inertia is not self.fitted and np.isfinite(inertia).all():
            self.fitted = inertia
        if self._inertia is not None and rotors is not None:
            self._inertia.set_rotor_inertia(rotors)

    def forget_inertia(self) -> None:
        """Forget M_fit and the learned rotor inertia."""
        self.fitted = None
        if self._inertia is not None:
            self._inertia.reset()
        if self._gravity is not None:
            self._gravity.forget()

    def reset(self, command: Array) -> None:
        """Start anew with `command` (n,) in effect."""
        self.mean, self._weight, self._stateless_ticks, self._ticks = np.array(command), 0.0, 0, 0
        self._q = self._pose = None
        self._swinging = Swinging(self.robot.velocity_limit)
        self._v, self._w, self._lift = np.zeros(self.robot.n), np.zeros(self.robot.n), self._nothing
        if self._gravity is not None:
            self._gravity.reset()

    def restart(self) -> None:
        """Let the next command start the law anew at the arm's state."""
        self._q = None

    def brake(self, effort: Array, q: Array) -> None:
        """Let the next command begin to brake an arm that `effort` (n,) [N m or N] is known to carry at q (n,)."""
        if self._q is None:
            self.mean = effort - self._lift_at(q)

    def applied(self, u: Array, share: float = 1.0, ends: bool = True, observation: Observation | None = None) -> None:
        """Take the command u (n,), an answer to `observation`, into the mean; it holds for a `share` of a period.

        `ends`: it was not this law's.
        """
        if observation is not None:
            self._pose = observation.q, observation.qd
            if self._gravity is not None:
                known = None if self.fitted is None else self.inertia
                self._gravity.add(observation.q, observation.qd, u, share * self.dt, known)
        self._weight += share  # the first commands are averaged evenly
        rate = min(1.0, max(share / self._weight, share * self.dt / self.settings.mean_time))
        carries = u if self._lift is self._nothing else u - self._lift
        # for so few numbers lists take less time than arrays
        self._mean = [mean + rate * (one - mean) for mean, one in zip(self._mean, carries.tolist(), strict=True)]
        if ends:
            if self._q is not None:  # what the law has found carries the arm from now on
                self.mean, self._w = self.carrying, np.zeros(self.robot.n)
                self._swinging = Swinging(self.robot.velocity_limit)
                if self._gravity is not None and self._pose is not None:
                    self._gravity.rebase(self._pose[0])
            self._q, self._stateless_ticks, self._lift = None, 0, self._nothing

    def command(self, observation: Observation) -> Array:
        """Return the effort u (n,) [N m or N] for this tick."""
        if self._q is None or self._stateless_ticks:
            self._q, self._v = np.array(observation.q), np.array(observation.qd)
            self._ticks = self._stateless_ticks = 0
            excess = np.maximum(1.0, np.abs(self._v) / self.robot.velocity_limit)
            self._braking = excess**2 * self.robot.acceleration_limit * self.dt
        self._pose = observation.q, observation.qd
        if self._ticks % self._every == 0:
            self._M = self.inertia(observation.q)
            self._M_i = self.integral_inertia(self._M)
            self._lift = self._lift_at(observation.q)
        self._ticks += 1
        slower = self._v - np.clip(self._v, -self._braking, self._braking)
        share = self._swinging.update(observation.qd, self.dt)
        a, c, e = (slower - self._v) / self.dt, self.settings.arrest_rate, observation.q - self._q
        feedback = c * (observation.qd - self._v) + c**2 / 3.0 * e
        u: Array = self.mean + self._lift + self._M @ (a - share * feedback) - self._w
        self._q, self._v = self._q + 0.5 * self.dt * (slower + self._v), slower
        limit, change = self.robot.effort_limit, self.dt * share**2 * c**3 / 27.0 * (self._M_i @ e)
        winding = (np.abs(u) >= limit) & (np.sign(u) == -np.sign(change))
        self._w = np.clip(self._w + np.where(winding, 0.0, change), -limit, limit)
        # the reference must not run away from an arm that was thrown and cannot follow
        beyond = (np.abs(u) > limit) & (np.abs(observation.qd) > SWINGING_SPEED * self.robot.velocity_limit)
        self._q, self._v = np.where(beyond, observation.q, self._q), np.where(beyond, observation.qd, self._v)
        return u

    @property
    def carrying(self) -> Array:
        """Return the effort (n,) [N m or N] that carries the arm where it is."""
        return self.mean + self._lift - self._w

    @property
    def carrying_at_rest(self) -> Array:
        """Return the effort (n,) [N m or N] that carries the arm where it would come to rest."""
        if self._q is not None or self._pose is None:
            return self.carrying
        q, qd = self._pose
        return self.mean + self._lift_at(q + 0.5 * qd * np.abs(qd) / self.robot.acceleration_limit) - self._w

    def command_without_state(self) -> Array:
        """Return the effort (n,) [N m or N] for a tick without a state."""
        if self._q is None and not self._stateless_ticks and self._pose is not None:
            self._lift = self._lift_at(self._pose[0])
        self._stateless_ticks += 1
        if self._stateless_ticks * self.dt > self.settings.blind_time and self.settings.blind_effort == "zero":
            return np.zeros(self.robot.n)
        return self.carrying

    def _lift_at(self, q: Array) -> Array:
        return np.zeros(self.robot.n) if self._gravity is None else self._gravity.lift(q)

    def inertia(self, q: Array) -> Array:
        """Return M_s (n, n) [kg m^2 or kg] at the pose q (n,)."""
        assert self._inertia is not None, "the robot's links have no usable inertia"
        least = self._inertia(q)
        if self.fitted is None:
            return least
        if not math.isfinite(self.fitted.sum() + least.sum()):
            return least
        ratio, modes, failed = dsygvd(self.fitted, least)  # modes^T least modes = 1
        if failed:
            return least
        half = least @ modes
        inertia: Array = (half * np.clip(ratio, 1.0, LARGEST_RATIO)) @ half.T
        return inertia

    def integral_inertia(self, inertia: Array) -> Array:
        """Return M_i (n, n) [kg m^2 or kg] for M_s (n, n), `inertia`."""
        assert self._inertia is not None, "the robot's links have no usable inertia"
        M: Array = inertia @ np.linalg.solve(inertia + np.diag(UNKNOWN_ROTORS * self._inertia.most), inertia)
        symmetric: Array = 0.5 * (M + M.T)
        return symmetric
