"""Local linear-Gaussian dynamics p(x'|x,u) = N(F [x; u] + f, Sigma), refitted at every tick.

Only what is unknown is learned. With the prior's mean delta(x, u) and the regression's residual W,

    qd' = qd + delta(x, u) + W^T [q; qd; v/u_scale; 1]          (Fu, Levine, Abbeel, IROS 2016)

and the rest of the state follows (state_equations.py). v is the effort, or a servo's input error: u - qd for a
velocity, u - q for a position command. Regressing on the difference keeps the servo's rest (u = q) where it is however
wrong its believed stiffness is.

A linear prior gives one (F, f, Sigma) for the whole horizon; any other is linearized along the last plan, which makes
F time-varying. Estimators: `refit` uses the full posterior of W, `output_error` only its constant row (the offset of
the prior), `frozen` is `refit` until `freeze_after` seconds of data and constant from then on, and `known` has W = 0
without variance: the prior as it is. Sigma is estimated with every estimator, since no prior tells it.

When exactly a command began to act is known only to a standard deviation sigma_d [s]: a time, since it stands for
transport, scheduling and actuator lag. With B = d qd' / du of the last fit and u(t) the command in effect at t, to
first order the sample carries the noise

    D   = mean over k = -1, +1 of (B (u(t + k dt) - u(t)))^2              (n,)
    rho = (sigma_d / dt)^2 max_j D_j / Sigma_jj

besides Sigma: it is learned with the weight 1 / (1 + rho) and its NIS is by P of posterior.py. Without it a
delay that is wrong by one period is learned as an offset at full weight and fed back through B^-1: with almost no
evidence yet that loop has a gain of about one per tick, and the arm is lost within the first tenth of a second.
"""

from __future__ import annotations

import math

import numpy as np

from ..config.sections.dynamics import ConsistencySettings, DynamicsSettings, FeatureSettings
from ..exceptions import ShapeError
from ..robots import Robot
from ..types import Array, LinearGaussianDynamics, Transition
from .base import Innovation, Prediction, TransitionObserver
from .compiled_model import make_local_model
from .compiled_posterior import make_posterior
from .consistency import Consistency, NisBound
from .image_jacobian import FeatureMotion
from .local_model import Comparison, Timing
from .outliers import TailWeights, noise_bias
from .priors.base import Prior
from .priors.nonlinear_model import NonlinearModel, of_prior
from .state_equations import StateEquations

REST_SAMPLES = 10.0
CERTAIN = 1e20  # precision of a coefficient that is known: 1 + 1/CERTAIN = 1


class OnlineDynamics:
    """An `Estimator`: a prior corrected by Bayesian regression on the transitions seen.

    posterior, features (the image Jacobian), prior, local_model and consistency are its parts; stopped: the
    coefficients stay as they are; n joints, m feature coordinates, nx = 2 (n + m) states, nu = n commands.
    """

    def __init__(
        self,
        robot: Robot,
        dt: float,
        settings: DynamicsSettings,
        prior: Prior,
        features: FeatureSettings | None = None,
        consistency: ConsistencySettings | None = None,
    ):
        self.settings, self.prior, self.dt = settings, prior, dt
        self.consistency, self.consistency_settings = Consistency(), consistency or ConsistencySettings()
        self.n = n = len(robot.joints)
        self._u_scale = robot.command_scale
        self.features = FeatureMotion(n, features or FeatureSettings())
        self.m = self.features.m
        self.nx, self.nu = 2 * (n + self.m), n
        self._known = settings.estimator == "known"  # its one coefficient is an offset that is zero
        self._offset_only = self._known or settings.estimator == "output_error"
        self._precision = self._precision_of(prior.spread)
        self.posterior = make_posterior(
            self._precision,
            np.full(n, settings.noise),
            noise_count=settings.noise_count + n,
            noise_forgetting=settings.noise_forgetting,
            noise_bias=noise_bias(n, settings.tails),
        )
        self._tails, self.stopped = TailWeights(n, settings.tails), False
        self._finite = True  # whether all that was predicted last is
        g = min(settings.noise_forgetting, 0.9999)
        self._nis_bound = NisBound(n, max(2.0 * n, self.posterior.noise_dof, (1.0 + g) / (1.0 - g)))
        self.nis_bound: float = self._nis_bound.highest
        self._observer: TransitionObserver | None = None
        self._start: float | None = None
        self._command_rows, self.failed = slice(2 * n, 3 * n), False  # of the regressors
        self._input_gain: Array | None = None
        self._expectation = np.zeros(n), np.zeros(n)  # of the velocity change, and the command at which
        self._equations = StateEquations(n, self.m, dt)
        self.local_model = make_local_model(
            self._equations, self.posterior, prior, robot.command_scale, robot.servo, self._offset_only
        )
        self._model: NonlinearModel | None = None
        # a servo that is where it was commanded after one period is planned with to and fro by the wrong rule; where
        # efforts move an arm, the noise of differences outweighs what the right one gains
        self._positions = robot.interface == "position"

    def reset(self, q: Array | None = None) -> None:
        """Forget everything but the prior, which is taken for the pose q (n,); None: for the pose it has now."""
        self.prior.reset()
        if q is not None:
            self.prior.move_to(q)
        self.local_model.take_prior()
        self._precision = self._precision_of(self.prior.spread)
        self.posterior.precision[:] = self._precision
        self.posterior.reset()
        self._tails.reset()
        self.features.reset()
        self._equations.reset()
        self.consistency, self._start, self.stopped, self._input_gain = Consistency(), None, False, None

    def move_prior(self, q: Array, reliable: bool = False) -> None:
        """Take the prior for the pose q (n,); what was learned becomes the residual of its new input gain, exactly.

        `reliable`: it is known well enough when commands acted for the prior to learn from the fitted input gain.
        """
        if self._known:
            self.prior.move_to(q)
            self.local_model.take_prior()
        if self._offset_only or self.stopped:
            return
        if reliable and self._input_gain is not None:
            self.prior.learn_gain(q, self._input_gain)
        change = self.prior.move_to(q)
        self.local_model.take_prior()
        if change is not None:
            self._precision = self._precision_of(self.prior.spread)
            self.posterior.rebase(self._command_rows, change * self._u_scale)
            self.posterior.condition(self.posterior.center)

    def evidence(self) -> dict[str, Array]:
        """Return all that was learned, as arrays; prior_gain (n, n) is the input gain of the prior it refers to."""
        return {**self.posterior.evidence(), "prior_gain": self.prior_gain(np.zeros(self.nx))}

    def restore(self, evidence: dict[str, Array]) -> None:
        """Take up what `evidence` returned, here or in another process with the same robot and settings."""
        if self._known:  # the noise alone, also of an estimator that learned an offset
            evidence = {**evidence, "S": np.zeros((1, 1)), "C": np.zeros((1, self.n)), "precision": self._precision}
        self.posterior.restore(evidence)
        if not self._offset_only:
            change = self.prior_gain(np.zeros(self.nx)) - evidence["prior_gain"]
            self.posterior.rebase(self._command_rows, change * self._u_scale)
            self.posterior.condition(self.posterior.center.copy())

    def update_settings(self, settings: DynamicsSettings) -> None:
        """Take over the dynamic settings, between two ticks."""
        self.settings = settings

    def show_transitions_to(self, observer: TransitionObserver | None) -> None:
        """Show every transition that is learned from to `observer`, before it is learned from; None: to nobody."""
        self._observer = observer

    @property
    def input_gain(self) -> Array:
        """See `Estimator`."""
        return self.prior_gain(np.zeros(self.nx)) if self._input_gain is None else self._input_gain

    @property
    def noise_std(self) -> Array:
        """See `Estimator`."""
        std: Array = np.sqrt(self.posterior.variance)
        return std

    @property
    def expectation(self) -> tuple[Array, Array]:
        """See `Estimator`."""
        return self._expectation

    def prior_gain(self, x: Array) -> Array:
        """Return the prior's d qd' / d u (n, n) at x (nx,) without a command."""
        return np.array(self.prior.linearize(x[None, : 2 * self.n], np.zeros((1, self.n)))[1][0, :, 2 * self.n :])

    def update(self, transition: Transition, neighbors: Array | None = None, timing_std: float = 0.0) -> Innovation:
        """Predict one transition and learn from it; the innovation is that of the model before. See `predict`."""
        return self.learn(self.predict(transition, neighbors, timing_std))

    def assume_rest(self, q: Array, u: Array) -> None:
        """Take it that u (nu,) holds the arm at rest at q (n,), as if it had been seen in REST_SAMPLES transitions."""
        x = np.concatenate((q, np.zeros(self.n)))
        self.posterior.add(self.regressors(x, u), -self.prior.mean(x, u), 1.0, REST_SAMPLES)

    def predict(self, transition: Transition, neighbors: Array | None = None, timing_std: float = 0.0) -> Prediction:
        """Compare one transition with the model; see `Estimator`."""
        if not transition.x.shape == transition.x_next.shape == (self.nx,) or transition.u.shape != (self.nu,):
            raise _wrong_shape(transition, self.nx, self.nu)
        n, timing = self.n, None
        if timing_std > 0.0 and neighbors is not None:
            timing = Timing(neighbors, self.input_gain, (timing_std / self.dt) ** 2)
        comparison = self.local_model.compare(transition.x[: 2 * n], transition.u, transition.x_next[n : 2 * n], timing)
        return self.predicted(transition, comparison)

    def predicted(self, transition: Transition, comparison: Comparison) -> Prediction:
        """Return what `predict` does, where the local model has made the comparison already."""
        error, covariance, nis, rho, self._finite = comparison
        self.nis_bound = self._nis_bound.at(self.posterior.noise_dof)
        return Prediction(transition, Innovation(error, covariance, nis, self.nis_bound), rho)

    def learn(self, prediction: Prediction) -> Innovation:
        """Learn from what was predicted last, if all of it is finite; return its innovation."""
        if not self._finite:
            self.consistency = self.consistency.after(math.nan, self.nis_bound, self.dt, self.consistency_settings)
            return prediction.innovation
        transition, nis = prediction.transition, prediction.innovation.nis
        weight = self._tails.weight(nis, self.nis_bound, self.posterior.whitened, self.consistency.ratio)
        weight /= 1.0 + prediction.rho
        self.consistency = self.consistency.after(nis, self.nis_bound, self.dt, self.consistency_settings)
        if self._positions:
            self._equations.add(transition.x, transition.x_next)
        if self._observer is not None:
            gain = self._input_gain
            self._observer.add(transition)
            self._input_gain = gain  # an observer may fit the model, and changes nothing by it
        if self._start is None:
            self._start = transition.stamp
        learned_enough = transition.stamp - self._start >= self.settings.freeze_after
        self.stopped = self._known or self.settings.estimator == "frozen" and learned_enough
        if not self.stopped:
            forgetting = self.consistency.forgetting(self.settings.forgetting, self.settings.surprise_forgetting)
            spread = self.prior.spread_at(transition.x[: 2 * self.n], transition.u)
            precision = self._precision if spread is self.prior.spread else self._precision_of(spread)
            share = self.consistency.prior_weight(self.consistency_settings)
            self.local_model.learn(forgetting, weight, precision, self.settings.noise, share)
        else:
            self.local_model.learn_noise(weight)  # the noise it reports stays right
        return prediction.innovation

    def fit(self, x: Array, u: Array, X: Array | None = None, U: Array | None = None) -> LinearGaussianDynamics:
        """Return the model about (x (nx,), u (nu,)); a nonlinear prior is linearized along X (H, nx), U (H, nu)."""
        n, along = self.n, None
        if X is not None and U is not None:
            along = X[:, : 2 * n], U
        # a frozen model stays the affine map it was: about a new center the prior would enter again
        dynamics = self.local_model.about(x[: 2 * n], u, self.features.G, along, kept=self.stopped)
        self.take_fit(u)
        return dynamics

    def take_fit(self, u: Array) -> None:
        """Take note that the local model has been stated, with the present command u (nu,)."""
        model = self.local_model
        self.failed, self._input_gain, self._expectation = model.failed, model.gain, (model.expected, u)

    def residual(self) -> LinearGaussianDynamics:
        """Return what the last fit has beside phi of `nonlinear_model`, for which its parameters are taken."""
        n, theta = self.n, self.nonlinear_model().theta
        theta[:n], theta[n : n + self.m * n] = self.dt * self._equations.theta, self.features.G.ravel()
        nothing = np.zeros((1, n)), np.zeros((1, n, 3 * n)), np.zeros((1, 3 * n)), np.zeros(3 * n)
        return self.local_model.combine(*nothing, self.features.G, linear=True)

    def nonlinear_model(self) -> NonlinearModel:
        """Return the prior's part of the dynamics; see `Estimator`."""
        if self._model is None:
            self._model = of_prior(self.prior, self.settings.prior, self._equations)
        return self._model

    def _precision_of(self, spread: Array) -> Array:
        """Return the precision of the coefficients, in units of the believed noise."""
        if self._known:
            return np.full(1, CERTAIN)
        return np.array((self.settings.noise / (spread[-1:] if self._offset_only else spread)) ** 2)

    def regressors(self, x: Array, u: Array) -> Array:
        """Return [q; qd; v / u_scale; 1], v = u for an effort, u - qd or u - q for a servo, which rests where v = 0."""
        return self.local_model.regressors(x, u)


def _wrong_shape(transition: Transition, nx: int, nu: int) -> ShapeError:
    """Return the error that names the first part of the transition with a wrong shape."""
    parts = (("x", transition.x, nx), ("x_next", transition.x_next, nx), ("u", transition.u, nu))
    return next(ShapeError(f"transition.{name}", (size,), v.shape) for name, v, size in parts if v.shape != (size,))
