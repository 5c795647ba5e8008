r"""The prior interface: what is believed about a robot before any data.

A prior gives the mean change of the velocities in one control period, delta(x, u) (n,) [rad/s or m/s], of x = [q; qd]
(2n,) and u (n,), its Jacobian, and how far the coefficients of that may be off. The posterior (dynamics/posterior.py)
regresses what is left,

    y = (qd' - qd) - delta(x, u) = W^T [q; qd; v / u_scale; 1] + e,     W_ij ~ N(0, spread_i^2),   e ~ N(0, Sigma)

with v the command, or a servo's input error, so that the prior's mean is never forgotten.

A prior plug-in is a module with `Settings` (a section of its own, `prior.NAME.KEY`) and

    build(settings: Settings, robot: Robot, dt: float) -> Prior

`dynamics.prior` names it.
"""

from __future__ import annotations

from typing import Protocol

from ...types import Array, CommandVector, Gain, JointVector
from .expression import MeanExpression


class Prior(Protocol):
    """Mean and Jacobian of delta(x, u) for one robot and one control period."""

    @property
    def spread(self) -> Array:
        """Standard deviation (3n+1,) of the residual's coefficients by [q, qd, v / u_scale, 1]."""

    @property
    def linear(self) -> bool:
        """Whether the Jacobian is the same everywhere, so that one linearization holds for the whole horizon.

        Then mean and Jacobian change in `reset`, `learn_gain` and `move_to` only: a tick works on a copy of them.
        """

    @property
    def moving(self) -> bool:
        """Whether `move_to` changes anything."""

    @property
    def rotors(self) -> JointVector | None:
        """What was learned of the rotors' inertia (n,) [kg m^2 or kg]; None where nothing is."""

    def mean(self, x: Array, u: CommandVector) -> JointVector:
        """Return delta (n,) at x (2n,), u (n,)."""

    def linearize(self, X: Array, U: Array) -> tuple[Array, Gain]:
        """Return delta (T, n) and its Jacobian by [q; qd; u] (T, n, 3n) at X (T, 2n), U (T, n)."""

    def expression(self) -> MeanExpression | None:
        """Return delta as expressions, for planners that plan through it; None where it has none, or is linear."""

    def spread_at(self, x: Array, u: CommandVector) -> Array:
        """Return the spread (3n+1,) for a model about x (2n,), u (n,); `spread` itself where it never differs."""

    def reset(self) -> None:
        """Forget what `learn_gain` learned."""

    def learn_gain(self, q: JointVector, gain: Gain) -> None:
        """Learn from the input gain d qd' / d u (n, n) that was fitted, reliably, about the pose q (n,)."""

    def move_to(self, q: JointVector) -> Gain | None:
        """Take the Jacobian for the pose q (n,), where it is constant otherwise.

        Returns
        -------
        Array or None
            The change (n, n) of its columns by u; None if nothing changed.
        """


class FixedPrior:
    """The part of `Prior` that is the same for priors that learn nothing online and do not depend on the pose."""

    moving = False

    def __init__(self, spread: Array):
        self.spread = spread
        self.rotors: JointVector | None = None

    def expression(self) -> MeanExpression | None:
        """Return None: there are no expressions."""
        return None

    def spread_at(self, x: Array, u: CommandVector) -> Array:
        """See `Prior`."""
        return self.spread

    def reset(self) -> None:
        """Do nothing: nothing was learned."""

    def learn_gain(self, q: JointVector, gain: Gain) -> None:
        """Do nothing: nothing is learned."""

    def move_to(self, q: JointVector) -> Gain | None:
        """Return None: nothing depends on the pose."""
        return None
