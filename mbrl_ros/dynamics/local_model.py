r"""From the prior about a trajectory and the posterior of its residual to the dynamics of the whole state.

With the prior's delta(z_t) and its Jacobian J_t at z_t = [x_t; u_t], and W of the regressors [q; qd; v / u_scale; 1]
about their center c (online.py; v = u for an effort, u - x_s for a servo whose input error is that from x_s),

    A_t = J_t + [W_q^T  W_qd^T  W_v^T / u_scale],   for a servo   A_t[x_s] -= W_v^T / u_scale
    b_t = delta(z_t) + w_1 - J_t z_t - W_{1:}^T c

make qd' = qd + A_t [q; qd; u] + b_t, from which the rest of the state follows (state_equations.py). Where only an
offset is learned W is w_1 alone. At the present [x; u] = z the change delta(z_0) + w_1 + J_0 (z - z_0) is expected.

A tick compares the last period with the model (`compare`), learns from it (`learn`) and states the model anew about
the present state (`about`). `LocalModel` is the specification; compiled_model.py makes each of them one call of
compiled code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..types import Array, CommandVector, Gain, LinearGaussianDynamics
from .posterior import RegressionPosterior
from .priors.base import Prior
from .state_equations import StateEquations

# The prior weighs (noise / spread)^2 for the noise that is seen of the median joint, within this range of the believed
# variance: with too little weight noise is taken for motion, with too much nothing is learned.
NOISE_RANGE = (0.1, 30.0)
# A joint weighs its prior by its own variance over this: a sensor is that much worse than the others', but errors that
# are only some times larger come as often from what the model lacks, and a heavier prior would keep it from learning.
UNEVEN = 10.0


class Timing(NamedTuple):
    """What tells the noise of a command whose time is uncertain.

    neighbors (2, n): the commands one period earlier and later; gain (n, n): B; scale: (sigma_d / dt)^2.
    """

    neighbors: Array
    gain: Gain
    scale: float


class Comparison(NamedTuple):
    """What the model says to one period.

    error (n,) and covariance (n, n), that of posterior.py: what was wrong with the prediction, and what was to be
    expected of that; rho: of the uncertain time; finite: whether all that is to be learned from is.
    """

    error: Array
    covariance: Array
    nis: float
    rho: float
    finite: bool


class LocalModel:
    """The dynamics about the present state, by the formulas above.

    prior: delta; u_scale (n,); servo: the slice of x that is x_s, None for efforts; offset_only: see above. gain (n, n)
    is d qd' / d u and expected (n,) the change of the velocities that is expected, both of the last `combine`; failed:
    whether the last `about` could not be computed from the evidence, which was forgotten then.
    """

    def __init__(
        self,
        equations: StateEquations,
        posterior: RegressionPosterior,
        prior: Prior,
        u_scale: Array,
        servo: slice | None,
        offset_only: bool,
    ):
        self._equations, self._posterior, self._prior = equations, posterior, prior
        self._u_scale, self._servo, self._offset_only = u_scale, servo, offset_only
        self.gain: Gain = np.zeros((equations.n, equations.n))
        self.expected: Array = np.zeros(equations.n)
        self.failed = False
        self._stated: LinearGaussianDynamics | None = None
        self._regressors, self._y = np.ones(posterior.size), np.zeros(equations.n)  # of the last `compare`

    def take_prior(self) -> None:
        """Take note that the prior has moved."""

    def regressors(self, x: Array, u: CommandVector) -> Array:
        """Return [q; qd; v / u_scale; 1] at x (2n,), u (n,); where only an offset is learned, [1]."""
        if self._offset_only:
            return np.ones(1)
        regressors = np.empty(self._posterior.size)
        regressors[: x.size], regressors[-1] = x, 1.0
        v = u if self._servo is None else u - x[self._servo]
        np.divide(v, self._u_scale, out=regressors[x.size : -1])
        return regressors

    def compare(self, x: Array, u: CommandVector, after: Array, timing: Timing | None = None) -> Comparison:
        """Compare one period with the model.

        Parameters
        ----------
        x, u
            The joints' state (2n,) at its beginning, and the command (n,) in effect.
        after
            The velocities (n,) at its end.
        timing
            None: the command was in effect exactly then.
        """
        posterior, n = self._posterior, self._equations.n
        y = self._y = after - x[n:] - self._prior.mean(x, u)
        regressors = self._regressors = self.regressors(x, u)
        rho = 0.0 if timing is None else self.timing_noise(timing.neighbors, u, timing.gain, timing.scale)
        nis = posterior.predict(regressors, y, rho)
        finite = math.isfinite(sum(regressors.tolist()) + sum(y.tolist()) + rho)
        return Comparison(posterior.error.copy(), posterior.covariance(rho), nis, rho, finite)

    def learn(self, forgetting: float, weight: float, precision: Array, noise: float, share: float) -> None:
        """Learn from what was compared last.

        Parameters
        ----------
        forgetting, weight
            Of the evidence and of this sample.
        precision
            The coefficients' (D,) in units of the believed noise.
        noise
            The latter's standard deviation [rad/s].
        share
            Factor on the precision.
        """
        posterior = self._posterior
        posterior.add(self._regressors, self._y, forgetting, weight)
        seen = posterior.variance / noise**2
        low, high = NOISE_RANGE
        strength = np.clip(np.maximum(np.sort(seen)[self._equations.n // 2], seen / UNEVEN), low, high) * share
        np.multiply(strength[:, None], precision, out=posterior.precision)
        posterior.add_innovation(weight)

    def learn_noise(self, weight: float) -> None:
        """Learn from what was compared last how large the noise is, and nothing else."""
        self._posterior.add_innovation(weight)

    def about(
        self,
        x: Array,
        u: CommandVector,
        G: Gain,
        along: tuple[Array, Array] | None = None,
        *,
        kept: bool = False,
    ) -> LinearGaussianDynamics:
        """Return the dynamics about x (2n,), u (n,).

        Parameters
        ----------
        x, u
            The present joints' state and command.
        G
            The image Jacobian (m, n).
        along
            X (T, 2n), U (T, n), along which a prior that is not linear is linearized; None: at x, u alone.
        kept
            Leave the coefficients as they are.
        """
        posterior = self._posterior
        if not kept:
            posterior.condition(self.regressors(x, u)[:-1])
        self.failed = posterior.failed
        if self.failed:  # the evidence is of no use; with the prior alone it goes on
            posterior.reset()
            posterior.condition(self.regressors(x, u)[:-1])
        now = np.concatenate((x, u))
        if along is None or self._prior.linear:
            X, U, Z = x[None], u[None], now[None]
        else:
            (X, U), Z = along, np.concatenate(along, axis=1)
        mean, jacobian = self._prior.linearize(X, U)
        return self.combine(mean, jacobian, Z, now, G, linear=self._prior.linear)

    def combine(
        self, mean: Array, jacobian: Gain, Z: Array, now: Array, G: Gain, *, linear: bool
    ) -> LinearGaussianDynamics:
        """Return the dynamics of T stages.

        Parameters
        ----------
        mean, jacobian, Z
            delta (T, n), J (T, n, 3n) and the points z_t (T, 3n) that they belong to.
        now
            The present z (3n,).
        G
            The image Jacobian (m, n).
        linear
            Whether J is the same everywhere; z_0 is the present z then.
        """
        n, W = self._equations.n, self._posterior.W
        slope = jacobian.copy()
        if not self._offset_only:
            slope[:, :, : 2 * n] += W[: 2 * n].T
            by_command = W[2 * n : 3 * n].T / self._u_scale
            slope[:, :, 2 * n :] += by_command
            if self._servo is not None:
                slope[:, :, self._servo] -= by_command
        self.gain = slope[0, :, 2 * n :]
        self.expected = mean[0] + W[-1]
        if not linear:
            self.expected += jacobian[0] @ (now - Z[0])
        offset = mean + W[-1] - (jacobian @ Z[:, :, None])[:, :, 0]
        if not self._offset_only:
            offset -= W[:-1].T @ self._posterior.center
        self._stated = self._equations.assemble(slope, offset, self._posterior.Sigma, G)
        return self._stated

    def stated(self) -> LinearGaussianDynamics | None:
        """Return the dynamics of the last `combine`; None before the first."""
        return self._stated

    def timing_noise(self, neighbors: Array, u: Array, gain: Gain, scale: float) -> float:
        """Return rho = scale max_j D_j / Sigma_jj of online.py.

        Parameters
        ----------
        neighbors, u
            The commands (2, n) in effect one period earlier and later, and the one between (n,).
        gain
            B (n, n).
        scale
            (sigma_d / dt)^2.
        """
        change = gain @ (neighbors - u).T
        D = 0.5 * np.add.reduce(change * change, axis=1)
        return float(scale * np.maximum.reduce(D / self._posterior.variance))
