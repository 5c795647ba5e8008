r"""Particles through an ensemble: the expected cost of commands under what is not known and what is noise.

    J(U) = CVaR_a of J(x^p, U),   qd' = qd + mean_m(x, u) + std_m(x, u) eps,   q' = q + dt/2 (qd + qd')

with the member m = m(p, t) of particle p at stage t (Chua et al., NeurIPS 2018, section 5):

    ts_infinity   m(p): a particle keeps its member, which is one possible system, for the whole plan
    ts1           m(p, t) drawn anew at every stage: ignorance acts as noise does

Both are stratified: at every stage each member moves as many particles as any other. CVaR_a is the mean of the worst
share a of the particles (Rockafellar and Uryasev 2000): with a = 1 the expected cost, with a small one what it costs
where the model or chance is bad. Noise eps and members are the same for all plans of a search (common random numbers),
so that a plan is no better than another by luck; they are drawn anew for the next search.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..costs import CostModel
from ..planners.ilqr.evaluator import Evaluator
from ..planners.ilqr.problem import Problem
from ..types import Array, CommandVector, StageParameters, StateVector

PROPAGATIONS = ("ts1", "ts_infinity")


def tail_mean(costs: Array, share: float) -> Array:
    """Return the mean (K,) of the largest `share` of costs (P, K), the last of them in part; infinite if not finite."""
    finite = np.isfinite(costs).all(axis=0)
    kept = np.where(finite, costs, 0.0)
    mean: Array = kept.mean(axis=0)
    if share < 1.0:
        weights = np.clip(share * len(costs) - np.arange(len(costs)), 0.0, 1.0)
        mean = weights @ np.sort(kept, axis=0)[::-1] / weights.sum()
    return np.where(finite, mean, np.inf)


class Members(Protocol):
    """The members of an ensemble, as particles need them."""

    members: int

    def change(self, X: Array, U: Array) -> tuple[Array, Array]:
        """Return mean and std (M, N, n) of qd' - qd at X (M, N, 2n), U (M, N, n): block m by member m."""

    def disagreement(self, X: Array, U: Array) -> Array:
        """Return how far the members are apart (...,) at X (..., 2n), U (..., n), in rms of the changes seen."""


def assignment(propagation: str, H: int, M: int, each: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the order (H, P) in which the P = M `each` particles stand at a stage: `each` in a row share a member."""
    P = M * each
    kept: NDArray[np.int64] = np.tile(np.arange(P), (H, 1))
    return rng.permuted(kept, axis=1) if propagation == "ts1" else kept


class Particles:
    """Particles for plans of H stages.

    propagation: one of PROPAGATIONS; members: M; each: particles of a plan for each member; risk: a of CVaR_a. `draw`
    comes first.
    """

    def __init__(
        self, cost: CostModel, dt: float, horizon: int, propagation: str, members: int, each: int, risk: float = 1.0
    ):
        self._cost, self._dt, self._H, self._propagation = cost, dt, horizon, propagation
        self._M, self._each, self._risk = members, each, risk
        self._evaluators: dict[tuple[int, int], Evaluator] = {}
        self._order, self._noise = np.zeros((horizon, 0), dtype=np.int64), np.zeros((horizon, 0, 1, 0))

    def draw(self, rng: np.random.Generator) -> None:
        """Draw the members and the noise of a search."""
        P, n = self._M * self._each, self._cost.nu
        self._order = assignment(self._propagation, self._H, self._M, self._each, rng)
        self._noise = rng.standard_normal((self._H, P, 1, n))

    def roll(self, model: Members, x0: StateVector, U: Array) -> Array:
        """Return the states (H+1, P, K, 2n) of the particles of plans U (K, H, n) from x0 (2n,), H <= `horizon`."""
        M, each, n, (K, H) = self._M, self._each, U.shape[2], U.shape[:2]
        P = M * each
        X = np.empty((H + 1, P, K, 2 * n))
        X[0] = x0
        with np.errstate(all="ignore"):
            for t, order in enumerate(self._order[:H]):
                x = X[t, order]
                u = np.broadcast_to(U[:, t], (P, K, n)).reshape(M, each * K, n)
                mean, std = model.change(x.reshape(M, each * K, 2 * n), u)
                change = mean.reshape(P, K, n) + std.reshape(P, K, n) * self._noise[t, order]
                rate = x[..., n:] + change
                following = np.concatenate([x[..., :n] + 0.5 * self._dt * (x[..., n:] + rate), rate], axis=-1)
                X[t + 1, order] = following
        return X

    def costs(self, model: Members, x0: StateVector, U: Array, u_previous: CommandVector, p: StageParameters) -> Array:
        """Return the costs (K,) of plans U (K, H, n) over their particles; infinite where one is not finite."""
        X, (K, H), P = self.roll(model, x0, U), U.shape[:2], self._M * self._each
        if (K, H) not in self._evaluators:
            self._evaluators[K, H] = Evaluator(Problem(self._cost), H, (P * K,))
        commands = np.empty((H + 1, P, K, U.shape[2]))
        commands[0], commands[1:] = u_previous, U.transpose(1, 0, 2)[:, None]
        costs = self._evaluators[K, H].costs
        each = costs(X.reshape(-1, P * K, X.shape[3]), commands.reshape(-1, P * K, U.shape[2]), p)
        return tail_mean(each.reshape(P, K), self._risk)

    def disagreement(self, model: Members, x0: StateVector, U: Array) -> Array:
        """Return how far the members are apart (H,) along the plan U (H, n), root mean square over its particles."""
        X = self.roll(model, x0, U[None])[:-1, :, 0]
        with np.errstate(all="ignore"):
            apart = model.disagreement(X, np.broadcast_to(U[:, None], (*X.shape[:2], U.shape[1])))
            rms: Array = np.sqrt((apart**2).mean(axis=1))
        return np.where(np.isfinite(rms), rms, np.inf)
