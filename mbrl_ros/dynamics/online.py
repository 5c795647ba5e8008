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

When exactly a command began to act is known only to a standard deviation sigma_d [s]: a time, since it stands for transport,
scheduling and actuator lag. With B = d qd' / du of the last fit and u(t) the command in effect at t, to first order the
sample carries the noise

    D   = mean over k = -1, +1 of (B (u(t + k dt) - u(t)))^2              (n,)
    rho = (sigma_d / dt)^2 max_j D_j / Sigma_jj

besides Sigma: it is learned with the weight 1 / (1 + rho) and its NIS is that of (inflation + rho) Sigma. Without it a
delay that is wrong by one period is learned as an offset at full weight and fed back through B^-1: with almost no
evidence yet that loop has a gain of about one per tick, and the arm is lost within the first tenth of a second.
"""

from __future__ import annotations

import bisect

import numpy as np
from scipy.stats import f as f_distribution

from ..config import registry
from ..config.sections.dynamics import ConsistencySettings, DynamicsSettings, FeatureSettings
from ..types import Array, LinearGaussianDynamics, Transition
from .base import Innovation, Prediction, TransitionObserver
from .consistency import Consistency
from .image_jacobian import FeatureMotion
from .posterior import make_posterior
from .priors import Prior

# The prior weighs as much as (noise / spread)^2 says of the noise that is seen, within this range of the believed
# variance: with too little weight noise is taken for motion, with too much nothing is learned.
NOISE_RANGE = (0.1, 30.0)


class OnlineDynamics:
    """update(transition) learns; fit(x, u) gives the model about (x, u)."""

    def __init__(
        self,
        robot,
        dt: float,
        settings: DynamicsSettings,
        prior: Prior,
        features: FeatureSettings | None = None,
        consistency: ConsistencySettings | None = None,
    ):
        self.settings, self.prior, self.dt = settings, prior, dt
        self.consistency, self.consistency_settings = Consistency(), consistency or ConsistencySettings()
        self.n = n = len(robot.joints)
        self._u_scale, self._servo = robot.command_scale, robot.servo
        self.features = FeatureMotion(n, features or FeatureSettings())
        self.m = self.features.m
        self.nx, self.nu = 2 * (n + self.m), n
        self._offset_only = settings.estimator == "output_error"
        self._precision = self._precision_of(prior.spread)
        self.posterior = make_posterior(
            self._precision,
            np.full(n, settings.noise),
            noise_count=settings.noise_count + n,
            noise_forgetting=settings.noise_forgetting,
        )
        counts = np.linspace(
            n + 1.0, max(2.0 * n, self.posterior.count, 1.0 / (1.0 - min(settings.noise_forgetting, 0.9999)))
        )
        bounds = counts * n / (counts - n + 1) * f_distribution.ppf(0.95, n, counts - n + 1)
        self._bounds = counts.tolist(), bounds.tolist()
        self.nis_bound: float = self._bounds[1][0]
        self._observer: TransitionObserver | None = None
        self._start: float | None = None
        self._stopped = False
        self._command_rows = slice(2 * n, 3 * n)  # of the regressors
        self._input_gain: Array | None = None
        # rows that are known: q' = q + dt/2 qd + ..., qd' = qd + ..., and the same for features
        self._known_F, self._Sigma = np.zeros((self.nx, self.nx + self.nu)), np.zeros((1, self.nx, self.nx))
        for start, size in ((0, n), (2 * n, self.m)):
            rows = np.arange(start, start + size)
            self._known_F[rows, rows] = 1.0
            self._known_F[rows, rows + size] = 0.5 * dt
        self._known_F[np.arange(n, 2 * n), np.arange(n, 2 * n)] = 1.0

    def reset(self, q: Array | None = None) -> None:
        """Forget everything but the prior, which is taken for the pose q (n,); None: where it is."""
        self.prior.reset()
        if q is not None:
            self.prior.move_to(q)
        self._precision = self._precision_of(self.prior.spread)
        self.posterior.precision[:] = self._precision
        self.posterior.reset()
        self.features.reset()
        self.consistency, self._start, self._stopped, self._input_gain = Consistency(), None, False, None

    def move_prior(self, q: Array, reliable: bool = False) -> None:
        """Take the prior for the pose q (n,); what was learned becomes the residual of its new input gain, exactly.

        `reliable`: when the commands acted is known well enough that the prior may learn from the fitted input gain, too.
        """
        if self._offset_only or self._stopped:
            return
        if reliable and self._input_gain is not None:
            self.prior.learn_gain(q, self._input_gain)
        change = self.prior.move_to(q)
        if change is not None:
            self._precision = self._precision_of(self.prior.spread)
            self.posterior.rebase(self._command_rows, change * self._u_scale)
            self.posterior.condition(self.posterior.centre)

    def evidence(self) -> dict[str, Array]:
        """All that was learned, as arrays; prior_gain (n, n) is the input gain of the prior it is stated about."""
        return {**self.posterior.evidence(), "prior_gain": self.prior_gain(np.zeros(self.nx))}

    def restore(self, evidence: dict[str, Array]) -> None:
        """Take up what `evidence()` returned, here or in another process with the same robot and settings."""
        self.posterior.restore(evidence)
        if not self._offset_only:
            change = self.prior_gain(np.zeros(self.nx)) - evidence["prior_gain"]
            self.posterior.rebase(self._command_rows, change * self._u_scale)
            self.posterior.condition(self.posterior.centre.copy())

    def update_settings(self, settings: DynamicsSettings) -> None:
        """Take over the dynamic settings, between two ticks."""
        self.settings = settings

    def show_transitions_to(self, observer: TransitionObserver | None) -> None:
        """Show every transition that is learned from to `observer`, before it is learned from; None: to nobody."""
        self._observer = observer

    @property
    def input_gain(self) -> Array:
        """D qd' / d u (n, n) of the last fit, the prior's before the first [rad/s per unit of command]."""
        return self.prior_gain(np.zeros(self.nx)) if self._input_gain is None else self._input_gain

    def prior_gain(self, x: Array) -> Array:
        """The prior's d qd' / d u (n, n) at x (nx,) without a command."""
        return np.array(self.prior.linearise(x[None, : 2 * self.n], np.zeros((1, self.n)))[1][0, :, 2 * self.n :])

    def update(self, transition: Transition, neighbours: Array | None = None, timing_std: float = 0.0) -> Innovation:
        """Learn from one period; the innovation is of the model before it learned. See `predict`."""
        return self.learn(self.predict(transition, neighbours, timing_std))

    def predict(self, transition: Transition, neighbours: Array | None = None, timing_std: float = 0.0) -> Prediction:
        """Compare one period with the model.

        neighbours (2, nu): the commands in effect one period earlier and later; timing_std [s]: standard deviation of the
        time from which on the command was in effect. None and 0: it is known exactly.
        """
        n, x, u = self.n, transition.x[: 2 * self.n], transition.u
        y = transition.x_next[n : 2 * n] - x[n:] - self.prior.mean(x, u)
        regressors = self._regressors(x, u)
        posterior = self.posterior
        nis, rho = posterior.predict(regressors, y), 0.0
        if timing_std > 0.0 and neighbours is not None:
            change = self.input_gain @ (neighbours - u).T
            D = 0.5 * np.add.reduce(change * change, axis=1)
            rho = float((timing_std / self.dt) ** 2 * np.maximum.reduce(D / posterior.variance))
            nis *= posterior.inflation / (posterior.inflation + rho)
        self.nis_bound = _interpolated(posterior.noise_dof, *self._bounds)
        return Prediction(
            transition,
            Innovation(posterior.error.copy(), (posterior.inflation + rho) * posterior.Sigma, nis, self.nis_bound),
            rho,
            regressors,
            y,
        )

    def learn(self, prediction: Prediction) -> Innovation:
        """Learn from what was predicted last; returns its innovation."""
        transition, weight = prediction.transition, 1.0 / (1.0 + prediction.rho)
        n, x, u = self.n, transition.x[: 2 * self.n], transition.u
        self.consistency = self.consistency.after(
            prediction.innovation.nis, self.nis_bound, self.dt, self.consistency_settings
        )
        if self._observer is not None:
            gain = self._input_gain
            self._observer.add(transition)
            self._input_gain = gain  # an observer may fit the model, and changes nothing by it
        if self._start is None:
            self._start = transition.stamp
        self._stopped = self._frozen(transition.stamp)
        if not self._stopped:
            forgetting = self.consistency.forgetting(self.settings.forgetting, self.settings.surprise_forgetting)
            self.posterior.add(prediction.regressors, prediction.y, forgetting, weight)
            seen = sorted(self.posterior.variance.tolist())[n // 2] / self.settings.noise**2
            strength = min(max(seen, NOISE_RANGE[0]), NOISE_RANGE[1]) * self.consistency.prior_weight(
                self.consistency_settings
            )
            spread = self.prior.spread_at(x, u)
            precision = self._precision if spread is self.prior.spread else self._precision_of(spread)
            np.multiply(precision, strength, out=self.posterior.precision)
        self.posterior.add_innovation(weight)  # also when frozen: what it says of itself stays honest
        return prediction.innovation

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
            by_command = W[2 * n : 3 * n].T / self._u_scale
            slope[:, :, 2 * n :] += by_command
            if self._servo is not None:
                slope[:, :, self._servo] -= by_command
        self._input_gain = slope[0, :, 2 * n :]
        offset = mean + W[-1] - (jacobian @ np.concatenate((X, U), axis=1)[:, :, None])[:, :, 0]
        if not self._offset_only:
            offset -= W[:-1].T @ self.posterior.centre
        return self._assemble(slope, offset)

    def _assemble(self, slope: Array, offset: Array) -> LinearGaussianDynamics:
        """F, f, Sigma from qd' = qd + slope [q; qd; u] + offset and the known rows."""
        n, m, half, T = self.n, self.m, 0.5 * self.dt, len(offset)
        F, f, Sigma = np.empty((T, self.nx, self.nx + self.nu)), np.empty((T, self.nx)), self._Sigma.copy()
        F[:] = self._known_F
        qd = F[:, n : 2 * n]
        qd[:, :, : 2 * n] += slope[:, :, : 2 * n]
        qd[:, :, self.nx :] = slope[:, :, 2 * n :]
        f[:, n : 2 * n] = offset
        F[:, :n] += half * qd
        f[:, :n] = half * offset
        noise = self.posterior.Sigma
        Sigma[0, n : 2 * n, n : 2 * n] = noise
        Sigma[0, :n, n : 2 * n] = Sigma[0, n : 2 * n, :n] = half * noise
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


def _interpolated(x: float, at: list[float], values: list[float]) -> float:
    """np.interp, which is slow for one x: `values` at the rising points `at`, linear between and constant beyond them."""
    i = bisect.bisect_right(at, x) - 1
    if i < 0 or i >= len(at) - 1:
        return values[0 if i < 0 else -1]
    return (values[i + 1] - values[i]) / (at[i + 1] - at[i]) * (x - at[i]) + values[i]


def build_dynamics(
    robot, dt: float, settings: DynamicsSettings, prior_sections, features=None, consistency=None
) -> OnlineDynamics:
    """The dynamics of `robot` for a period dt [s], with the prior that `settings.prior` names."""
    module = registry.load("prior", settings.prior)
    prior = module.build(prior_sections.get(settings.prior, module.Settings()), robot, dt)
    return OnlineDynamics(robot, dt, settings, prior, features, consistency)
