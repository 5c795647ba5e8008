r"""What the mean effort of a motion lacks to carry the arm at rest at one pose.

    lift(q) = s (g(q) - g_mean) - M qdd_mean

g is the gravity of the robot's description, M the safe effort's inertia M_s (arrest.py), not the fitted one, which may
be wrong by any factor where a motion did not excite it; g_mean and qdd_mean are exponential means over the
time of the mean effort. A description knows how gravity changes with the
pose, but not the load, nor whether the driver carries the arm already, nor how the arm is mounted. The share s of g
in the efforts u is therefore learned, from what does not accelerate the arm, tau = u_mean - M (change of qd) / h, over
steps of h = REFRESH:

    s = clip(sum h dtau^T W dg / (RIDGE + sum h dg^T W dg), 0, LARGEST_SHARE),   W = diag(effort limit)^-2,

dtau and dg being the deviations from the means so far, with a memory of SHARE_MEMORY seconds. Without motion s is 0,
and nothing is assumed of gravity.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..robots import Robot
from ..robots.gravity import GravityEffort
from ..types import Array

REFRESH = 0.05  # [s] between two evaluations
RIDGE = 1e-4  # [s]: as much as a change of gravity by 1 % of the effort limit for a second
SHARE_MEMORY, LARGEST_SHARE = 20.0, 2.0  # [s]; of s


class GravityCorrection:
    """The lift of one robot for a mean effort with the time constant `time` [s]."""

    def __init__(self, robot: Robot, time: float):
        self._gravity, self._limit, self._memory = GravityEffort(robot), robot.effort_limit, time
        self._limits: list[float] = self._limit.tolist()
        self._mean: Array = np.zeros(robot.n)  # g_mean
        self._before: Array = np.zeros(robot.n)  # g where the step began
        self.forget()
        self.reset()

    def forget(self) -> None:
        """Forget s."""
        self._seen, self._up, self._down = 0.0, 0.0, 0.0
        self._tau_seen, self._g_seen = [0.0] * self._limit.size, [0.0] * self._limit.size  # means of all that was

    def reset(self) -> None:
        """Begin the means anew; s stays."""
        self._time, self._spurt = 0.0, np.zeros(self._limit.size)  # [s]; M qdd_mean
        self._begin(None, 0.0)

    def _begin(self, qd: Array | None, h: float) -> None:
        """Begin a step of h [s] at the velocity qd (n,); None: it is not known."""
        self._elapsed, self._impulse, self._from = h, [0.0] * self._limit.size, qd

    def rebase(self, q: Array) -> None:
        """Let the mean effort be the one for the pose q (n,)."""
        self._mean, self._spurt = self._gravity(q), np.zeros(self._limit.size)

    def add(self, q: Array, qd: Array, u: Array, h: float, inertia: Callable[[Array], Array] | None) -> None:
        """Take in that the effort u (n,) [N m or N] acts from the state q, qd (n,) on for h [s].

        `inertia` returns M (n, n) [kg m^2 or kg] at a pose (n,): None as long as it is not known; s is not learned
        then.
        """
        if self._time and self._elapsed < REFRESH:
            self._elapsed += h  # for so few numbers lists take less time than arrays
            self._impulse = [total + h * one for total, one in zip(self._impulse, u.tolist(), strict=True)]
            return
        g, span = self._gravity(q), self._elapsed or h
        self._time += span
        newest = min(1.0, max(span / self._time, span / self._memory))
        self._mean = self._mean + newest * (g - self._mean)
        if inertia is not None and self._from is not None and math.isfinite(sum(qd.tolist())):
            spurt = inertia(q) @ (qd - self._from) / span
            self._spurt = self._spurt + newest * (spurt - self._spurt)
            self._learn(np.array(self._impulse) / span - spurt, 0.5 * (g + self._before), span)
        self._before = g
        self._begin(qd, h)
        self._impulse = (h * u).tolist()

    def lift(self, q: Array) -> Array:
        """Return lift(q) (n,) [N m or N], at most the effort limit."""
        if not self._time:
            return np.zeros(self._limit.size)
        lift: Array = self.share * (self._gravity(q) - self._mean) - self._spurt
        return np.clip(lift, -self._limit, self._limit)

    @property
    def share(self) -> float:
        """Return s."""
        return float(np.clip(self._up / (RIDGE + self._down), 0.0, LARGEST_SHARE))

    def _learn(self, tau: Array, g: Array, h: float) -> None:
        kept = math.exp(-h / SHARE_MEMORY)
        self._seen = kept * self._seen + h
        newest, up, down = h / self._seen, 0.0, 0.0
        tau_seen, g_seen = self._tau_seen, self._g_seen
        for j, (effort, weight, limit) in enumerate(zip(tau.tolist(), g.tolist(), self._limits, strict=True)):
            dtau, dg = effort - tau_seen[j], weight - g_seen[j]
            tau_seen[j] += newest * dtau
            g_seen[j] += newest * dg
            up += dtau * dg / limit**2
            down += dg * dg / limit**2
        share = h * (1.0 - newest)  # Welford: a deviation from the mean before times one from the mean after
        self._up, self._down = kept * self._up + share * up, kept * self._down + share * down
