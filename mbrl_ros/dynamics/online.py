"""Local linear-Gaussian dynamics p(x'|x,u) = N(F [x; u] + f, Sigma), refitted at every tick.

Only what is unknown is learned. With the prior's mean delta(x, u) and the regression's residual W,

    qd' = qd + delta(x, u) + W^T [q; qd; v/u_scale; 1]          learned (Fu, Levine, Abbeel, IROS 2016)
    q'  = q + dt (qd + qd') / 2                                 known: the trapezoid rule
    sd' = G qd',   s' = s + dt (sd + sd') / 2                   known, but for the image Jacobian G

v is the effort, or what a servo sees: u - qd for a velocity, u - q for a position command. Regressing on the
difference keeps the servo's rest (u = q) where it is however wrong its believed stiffness is.

A linear prior gives one (F, f, Sigma) for the whole horizon; any other is linearised along the last plan, which makes
F time-varying. Estimators: `refit` uses the full posterior of W, `output_error` only its constant row (the offset of
the prior), `frozen` is `refit` until `freeze_after` seconds of data and constant from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

from .. import plugins
from ..data.dataset import Keeper
from ..settings import DynamicsSettings, FeatureSettings, TrustSettings
from ..types import Array, LinearGaussianDynamics, Transition
from .features import FeatureMotion
from .posterior import make_posterior
from .priors import Prior
from .trust import Trust

# The prior weighs as much as (noise / spread)^2 says of the noise that is seen, within this range of the believed
# variance: with too little weight noise is taken for motion, with too much nothing is learned.
NOISE_RANGE = (0.1, 30.0)


@dataclass(frozen=True, eq=False, slots=True)
class Innovation:
    """One-step-ahead error r of the velocities (n,) [rad/s] and what was predicted of it.

    covariance (n, n) = Sigma (1 + phi^T (S+Lambda)^-1 phi); nis = r^T covariance^-1 r; bound: below it lies 95 % of
    the NIS of a model that is right, with Sigma estimated from nu innovations: nu n / (nu - n + 1) F_0.95(n, nu - n + 1)
    (Hotelling's distribution), which is the chi-squared bound for large nu.
    """

    error: Array
    covariance: Array
    nis: float
    bound: float


class OnlineDynamics:
    """update(transition) learns; fit(x, u) gives the model about (x, u)."""

    def __init__(self, robot, dt: float, settings: DynamicsSettings, prior: Prior,
                 features: FeatureSettings | None = None, trust: TrustSettings | None = None):
        self.settings, self.prior, self.dt = settings, prior, dt
        self.trust, self.trust_settings = Trust(), trust or TrustSettings()
        self.n = n = len(robot.joints)
        self._u_scale, self._servo = robot.command_scale, robot.servo
        self.features = FeatureMotion(n, features or FeatureSettings())
        self.m = self.features.m
        self.nx, self.nu = 2 * (n + self.m), n
        self._offset_only = settings.estimator == "output_error"
        self._precision = self._precision_of(prior.spread)
        self.posterior = make_posterior(
            self._precision, np.full(n, settings.noise),
            noise_count=settings.noise_count + n, noise_forgetting=settings.noise_forgetting)
        counts = np.linspace(n + 1.0, max(2.0 * n, self.posterior.count, 1.0 / (1.0 - min(settings.noise_forgetting, 0.9999))))
        self._bounds = counts, counts * n / (counts - n + 1) * f_distribution.ppf(0.95, n, counts - n + 1)
        self.nis_bound = float(self._bounds[1][0])
        self.keeper: Keeper | None = None  # set one to keep every transition that is learned from
        self._start: float | None = None
        self._stopped = False
        # rows that are known: q' = q + dt/2 qd + ..., qd' = qd + ..., and the same for features
        self._known_F, self._Sigma = np.zeros((self.nx, self.nx + self.nu)), np.zeros((1, self.nx, self.nx))
        for start, size in ((0, n), (2 * n, self.m)):
            rows = np.arange(start, start + size)
            self._known_F[rows, rows] = 1.0
            self._known_F[rows, rows + size] = 0.5 * dt
        self._known_F[np.arange(n, 2 * n), np.arange(n, 2 * n)] = 1.0

    def reset(self) -> None:
        """Forget everything but the prior."""
        self.posterior.precision[:] = self._precision
        self.posterior.reset()
        self.features.reset()
        self.trust, self._start, self._stopped = Trust(), None, False

    def update(self, transition: Transition) -> Innovation:
        """Learn from one period; the innovation is of the model before it learned."""
        n, x, u = self.n, transition.x[: 2 * self.n], transition.u
        y = transition.x_next[n: 2 * n] - x[n:] - self.prior.mean(x, u)
        regressors = self._regressors(x, u)
        nis = self.posterior.predict(regressors, y)
        self.nis_bound = float(np.interp(self.posterior.noise_dof, *self._bounds))
        self.trust = self.trust.after(nis, self.nis_bound, self.dt, self.trust_settings)
        if self.keeper is not None:
            self.keeper.add(transition)
        if self._start is None:
            self._start = transition.stamp
        self._stopped = self._frozen(transition.stamp)
        if not self._stopped:
            forgetting = self.trust.forgetting(self.settings.forgetting, self.settings.surprise_forgetting)
            self.posterior.add(regressors, y, forgetting)
            seen = float(np.sort(self.posterior.Sigma.diagonal())[n // 2]) / self.settings.noise**2
            weight = min(max(seen, NOISE_RANGE[0]), NOISE_RANGE[1]) * self.trust.prior_weight(self.trust_settings)
            spread = self.prior.spread_at(x, u)
            precision = self._precision if spread is self.prior.spread else self._precision_of(spread)
            np.multiply(precision, weight, out=self.posterior.precision)
        self.posterior.add_innovation()  # also when frozen: what it says of itself stays honest
        covariance = self.posterior.inflation * self.posterior.Sigma
        return Innovation(self.posterior.error.copy(), covariance, nis, self.nis_bound)

    def fit(self, x: Array, u: Array, X: Array | None = None, U: Array | None = None) -> LinearGaussianDynamics:
        """The model about (x (nx,), u (nu,)); a nonlinear prior is linearised along X (H, nx), U (H, nu)."""
        n = self.n
        joints = x[: 2 * n]
        # a frozen model stays the affine map it was: about a new centre the prior would speak again
        W = self.posterior.W if self._stopped else self.posterior.condition(self._centre(joints, u))
        if self.prior.linear or X is None:
            X, U = joints[None], u[None]
        else:
            X = X[:, : 2 * n]
        mean, jacobian = self.prior.linearise(X, U)
        slope = jacobian.copy()
        if not self._offset_only:
            slope[:, :, : 2 * n] += W[: 2 * n].T
            by_command = W[2 * n: 3 * n].T / self._u_scale
            slope[:, :, 2 * n:] += by_command
            if self._servo is not None:
                slope[:, :, self._servo] -= by_command
        offset = mean + W[-1] - np.einsum("tij,tj->ti", jacobian, np.hstack([X, U]))
        if not self._offset_only:
            offset -= W[:-1].T @ self.posterior.centre
        return self._assemble(slope, offset)

    def _assemble(self, slope: Array, offset: Array) -> LinearGaussianDynamics:
        """F, f, Sigma from qd' = qd + slope [q; qd; u] + offset and the known rows."""
        n, m, half, T = self.n, self.m, 0.5 * self.dt, len(offset)
        F, f, Sigma = np.empty((T, self.nx, self.nx + self.nu)), np.empty((T, self.nx)), self._Sigma.copy()
        F[:] = self._known_F
        qd = F[:, n: 2 * n]
        qd[:, :, : 2 * n] += slope[:, :, : 2 * n]
        qd[:, :, self.nx:] = slope[:, :, 2 * n:]
        f[:, n: 2 * n] = offset
        F[:, :n] += half * qd
        f[:, :n] = half * offset
        noise = self.posterior.Sigma
        Sigma[0, n: 2 * n, n: 2 * n] = noise
        Sigma[0, :n, n: 2 * n] = Sigma[0, n: 2 * n, :n] = half * noise
        Sigma[0, :n, :n] = half**2 * noise
        if m:
            G, s, sd = self.features.G, slice(2 * n, 2 * n + m), slice(2 * n + m, None)
            F[:, sd], f[:, sd] = G @ qd, offset @ G.T
            F[:, s] += half * F[:, sd]
            f[:, s] = half * f[:, sd]
            Sigma[0, sd, sd] = G @ noise @ G.T
        return LinearGaussianDynamics(F, f, Sigma)

    def _precision_of(self, spread: Array) -> Array:
        """Of the coefficients, in units of the believed noise."""
        return (self.settings.noise / (spread[-1:] if self._offset_only else spread)) ** 2

    def _regressors(self, x: Array, u: Array) -> Array:
        """[q; qd; v / u_scale; 1] with v = u for an effort, u - qd or u - q for a servo, which rests where v = 0."""
        if self._offset_only:
            return np.ones(1)
        v = u if self._servo is None else u - x[self._servo]
        return np.concatenate([x, v / self._u_scale, [1.0]])

    def _centre(self, x: Array, u: Array) -> Array:
        return self._regressors(x, u)[:-1]

    def _frozen(self, stamp: float) -> bool:
        return self.settings.estimator == "frozen" and stamp - self._start >= self.settings.freeze_after


def build_dynamics(robot, dt: float, settings: DynamicsSettings, prior_sections, features=None,
                   trust=None) -> OnlineDynamics:
    """The dynamics of `robot` for a period dt [s], with the prior that `settings.prior` names."""
    module = plugins.load("dynamics.priors", settings.prior)
    prior = module.build(prior_sections.get(settings.prior, module.Settings()), robot, dt)
    return OnlineDynamics(robot, dt, settings, prior, features, trust)
