"""What is believed about a robot before any data: one prior per file.

A prior gives the mean change of velocity in one tick, delta(x, u), its Jacobian, and how far its coefficients may be
wrong. The posterior regresses what is left, y = (qd' - qd) - delta(x, u), so the prior's mean is never forgotten.
"""

from __future__ import annotations

from typing import Protocol

from ...types import Array


class Prior(Protocol):
    """Mean and Jacobian of delta(x, u) [rad/s per tick] for x = [q; qd] (2n,), u (n,).

    spread (3n+1,): standard deviation of the residual's coefficients by [q, qd, u / u_scale, 1].
    linear: the Jacobian is the same everywhere, so one linearisation holds for the whole horizon.
    """

    spread: Array
    linear: bool
    moving: bool = False  # whether move_to changes anything
    rotors: Array | None = None  # (n,) what was learned of the rotors' inertia [kg m^2 or kg]

    def spread_at(self, x: Array, u: Array) -> Array:
        """The spread for a model about (x, u): the same everywhere, unless the prior knows where it knows less."""
        return self.spread

    def reset(self) -> None:
        """Forget what `learn_gain` was told."""

    def learn_gain(self, q: Array, gain: Array) -> None:
        """The input gain d qd' / d u (n, n) [rad/s per unit of command] was learned, reliably, about the pose q (n,)."""

    def move_to(self, q: Array) -> Array | None:
        """Take a constant Jacobian for the pose q (n,); the change (n, n) of its columns by u, None if nothing changed."""
        return None

    def mean(self, x: Array, u: Array) -> Array:
        """Delta (n,)."""

    def linearise(self, X: Array, U: Array) -> tuple[Array, Array]:
        """Delta (T, n) and its Jacobian (T, n, 3n) at X (T, 2n), U (T, n)."""
