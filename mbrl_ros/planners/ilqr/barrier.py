r"""Limits of states by a primal-dual interior point in the recursion (Waechter & Biegler, Math. Program. 2006).

With z the distance to a limit in half ranges, a limit costs mu b(z) at every stage but the first, which is given,

    b(z) = -ln z  for z > knee,     else  -ln knee - (z / knee - 1),     knee = mu / (P |J|)

J being the cost: the weight mu goes from COARSE |J| to `final_precision` |J|, a tenth at a time, whenever the step
predicts a decrease below SHARPEN mu. The optimum costs at most mu more for each limit and stage than that of the hard
limits. P = `limit_penalty` limits the force by which a plan that is beyond a limit is pulled back: an exact penalty.
While the trajectory keeps all limits, those beyond one are no step (`wall`): from a start within the
limits every plan is.

The Hessian is lambda / |z| instead of mu / z^2, with a multiplier lambda for each limit and stage that follows from the
step, lambda = mu / z - (lambda / z) dz, within SPREAD of mu / z: Newton's step then holds near the limit. The
specification of barrier.h.
"""

from __future__ import annotations

import numpy as np

from ...types import Array
from .memory import COARSE, Memory, Numbers

SHARPEN, SPREAD, LEAST_SCALE = 0.1, 100.0, 1e-12


class Barrier:
    """All limits of one planner, (state, side), side +1 upper, -1 lower; weight, knee and wall are in its tick."""

    def __init__(self, limited: tuple[tuple[int, int], ...], memory: Memory, tick: Numbers):
        self.state = np.array([i for i, _ in limited], dtype=int)
        self.side = np.array([side for _, side in limited], dtype=float)
        self._bound = np.where(self.side > 0, memory.x_upper[self.state], memory.x_lower[self.state])
        self._half_range, self._tick, self.multipliers = memory.half_range[self.state], tick, memory.multipliers

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self.state.size > 0

    def settled(self, decrease: float, tolerance: float) -> bool:
        """Whether the weight is to become smaller, since no more than this decrease is predicted."""
        tick = self._tick
        coarse = bool(self) and tick.barrier > tick.final_precision * tick.scale
        return coarse and decrease <= max(SHARPEN * tick.barrier, tolerance)

    def distance(self, X: Array) -> Array:
        """Return z of every limit (..., limits) at X (..., nx)."""
        z: Array = self.side * (self._bound - X[..., self.state]) / self._half_range
        return z

    def value(self, X: Array) -> Array:
        """Return the costs (..., limits) at X (..., nx)."""
        z, tick = self.distance(X), self._tick
        line = -np.log(tick.knee) - (z / tick.knee - 1.0)
        costs: Array = tick.barrier * np.where(z > tick.knee, -np.log(np.maximum(z, tick.knee)), line)
        return np.where(z > 0.0, costs, costs + tick.wall)

    def add_to(self, V: Array, s: Array, x: Array, t: int) -> None:
        """Add second derivatives to V (.., nx or more, the same) and first ones to s at x (nx,) of stage t."""
        z, i, tick = self.distance(x), self.state, self._tick
        force = tick.barrier / np.maximum(z, tick.knee)
        curvature = np.where(z > tick.knee, self.multipliers[t], force) / np.maximum(np.abs(z), tick.knee)
        np.add.at(s, i, self.side * force / self._half_range)
        np.add.at(V, (i, i), curvature / self._half_range**2)

    def begin(self, X: Array) -> None:
        """Begin a tick at X (H+1, nx): the weight follows the cost, the multipliers are near the centre."""
        tick = self._tick
        tick.scale = max(abs(tick.cost), LEAST_SCALE)
        least, most = tick.final_precision * tick.scale, COARSE * tick.scale
        self._weigh(min(max(tick.barrier, least), most) if tick.barrier > 0.0 else most)
        centre = tick.barrier / np.maximum(self.distance(X[1:]), tick.knee)
        given = np.where(self.multipliers[1:] > 0.0, self.multipliers[1:], centre)
        self.multipliers[1:] = np.minimum(np.maximum(given, centre / SPREAD), centre * SPREAD)

    def sharpen(self) -> None:
        """Take a tenth of the weight, at least that of the end."""
        tick = self._tick
        tick.scale = max(abs(tick.cost), LEAST_SCALE)
        self._weigh(max(0.1 * tick.barrier, tick.final_precision * tick.scale))

    def follow(self, X: Array, X_new: Array) -> None:
        """Move the multipliers with the step from X to X_new (H+1, nx)."""
        if not self:
            return
        if (self.distance(X_new[1:]) > 0.0).all():
            self._tick.wall = np.inf
        knee, mu, new = self._tick.knee, self._tick.barrier, self.distance(X_new[1:])
        old, centre = np.maximum(self.distance(X[1:]), knee), mu / np.maximum(new, knee)
        moved = (mu - self.multipliers[1:] * (new - old)) / old
        self.multipliers[1:] = np.minimum(np.maximum(moved, centre / SPREAD), centre * SPREAD)

    def _weigh(self, weight: float) -> None:
        self._tick.barrier = weight
        self._tick.knee = weight / (self._tick.limit_penalty * self._tick.scale)
