r"""Damping and stiffness of the safe commands, bounded by what a sampled loop can apply to the arm's inertia.

With the period dt, M_e(q) of robots/effective_inertia.py and m_j = 1 / (M_e^-1)_jj, the inertia of joint j while the
others are free,

    d_j <= 0.25 m_j / dt,   k_j <= min(0.01 m_j / dt^2, d_j / (4 dt)),

and both are scaled down together where the largest eigenvalue of M_e^-1 diag(d) dt exceeds 0.5, or that of
M_e^-1 diag(k) dt^2 exceeds 0.02. u = -d qd one period late is stable below d = m / dt; above it a joint with little
inertia is shaken. Where the URDF has no inertia nothing is known to bound them by.
"""

from __future__ import annotations

import numpy as np

from ..robots import Robot
from ..robots.effective_inertia import EffectiveInertia, knows_inertia
from ..robots.gravity import GravityEffort
from ..robots.inertia import has_inertials
from ..types import Array

DAMPING, STIFFNESS = 0.25, 0.01  # of inertia over period and over its square
COUPLED = 2.0  # times as much, for all joints together
STIFF_PERIODS = 4.0  # times k dt is the least d
SINKING = 0.05  # of the speed limit, at which an arm may sink
GRAVITY_POSES = 200  # at which gravity is evaluated


class BoundedGains:
    """Damping d (n,) [N m s/rad or N s/m] and stiffness k (n,) [N m/rad or N/m] for the period `dt` [s]."""

    def __init__(self, robot: Robot, damping: Array, stiffness: Array, dt: float):
        self._damping, self._stiffness, self._dt = damping, stiffness, dt
        self._inertia = EffectiveInertia(robot) if knows_inertia(robot) else None

    def damping(self, q: Array) -> Array:
        """Return d (n,) at the pose q (n,)."""
        if self._inertia is None:
            return self._damping
        mobility = np.asarray(np.linalg.inv(self._inertia(q)), dtype=np.float64) * self._dt
        return self._bounded(self._damping, mobility, DAMPING)

    def stiffness(self, q: Array) -> Array:
        """Return k (n,) at the pose q (n,)."""
        most = np.minimum(self._stiffness, self.damping(q) / (STIFF_PERIODS * self._dt))
        if self._inertia is None:
            return most
        mobility = np.asarray(np.linalg.inv(self._inertia(q)), dtype=np.float64) * self._dt**2
        return self._bounded(most, mobility, STIFFNESS)

    @staticmethod
    def _bounded(gain: Array, mobility: Array, bound: float) -> Array:
        """Return the gain (n,): mobility diag(gain) has diagonal <= bound and eigenvalues <= COUPLED bound."""
        gain = np.minimum(gain, bound / mobility.diagonal())
        root = np.sqrt(gain)
        largest = np.linalg.eigvalsh(root[:, None] * mobility * root)[-1]
        bounded: Array = gain * min(1.0, COUPLED * bound / max(largest, 1e-300))
        return bounded


def sinking(robot: Robot, gains: BoundedGains) -> str:
    """Return why damping alone does not keep this arm from sinking, '' if it does or nothing is known of its masses.

    At GRAVITY_POSES seeded poses joint j sinks with |g_j(q)| / d_j; more than SINKING of its speed limit is too fast.
    """
    if not has_inertials(robot):
        return ""
    gravity, random = GravityEffort(robot), np.random.default_rng(0)
    lower, upper = np.maximum(robot.position_lower, -np.pi), np.minimum(robot.position_upper, np.pi)
    fastest = np.zeros(robot.n)
    for q in lower + (upper - lower) * random.random((GRAVITY_POSES, robot.n)):
        fastest = np.maximum(fastest, np.abs(gravity(q)) / np.maximum(gains.damping(q), 1e-9))
    share = fastest / robot.velocity_limit
    worst = int(share.argmax())
    if share[worst] <= SINKING:
        return ""
    return (
        f"under the safe command 'damp' joint '{robot.joints[worst]}' would sink at {share[worst]:.2g} of "
        "its speed limit: set supervisor.safe_effort: arrest, raise supervisor.damping, or "
        "permit it with supervisor.allow_sinking: true"
    )
