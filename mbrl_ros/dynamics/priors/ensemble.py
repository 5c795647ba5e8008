r"""The prior `ensemble`: a bootstrap ensemble of small neural networks (Chua et al., NeurIPS 2018, section 4).

    delta(x, u) = 1/M sum_m (W2_m tanh(W1_m phi + b1_m) + b2_m + L_m phi) * d_scale,
    phi = [sin q, cos q, qd, u, sign-like tanh(qd / qd_scale)], scaled to zero mean and unit variance

p(theta | D) is approximated by M members, each trained on its own bootstrap sample of the data from its own start
(Efron 1979). Where there were no data they disagree: the standard deviation over the members widens the spread. The
linear skip L lets a member be a linear model, which is hard to beat on little data. Training is Adam (Kingma and Ba
2015) with weight decay, and keeps the weights that were best on the rows left out of the bootstrap sample. The mean and
its Jacobian are CasADi expressions, compiled at construction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ...codegen.symbolic import casadi
from ...codegen.units import Units
from ...config.section import Section, setting
from ...console.jobs import run_jobs, worker_count
from ...data.dataset import Dataset
from ...exceptions import ConfigurationError
from ...robots import Robot
from ...types import Array, CommandVector, Gain, JointVector
from .base import FixedPrior, Prior
from .ensemble_expression import mean_expression
from .expression import MeanExpression
from .learned import (
    Progress,
    length_of,
    load_model,
    require,
    require_at_most,
    require_positive,
    spread_of,
    widened,
)
from .stage_function import StageFunction, kept_stage_function

MEMBERS, HIDDEN, EPOCHS = 5, 32, 150
MOST_UNITS = 8192  # that a file may hold: each is evaluated at every stage of a plan
MOST_EXPRESSED_UNITS = 512  # of which an expression is made: some thousand operations each
BATCH_SIZE, LEARNING_RATE, DECAY = 64, 3e-3, 1e-4
NETWORK_ARRAYS = ("W1", "b1", "W2", "b2", "L")


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """The trained ensemble."""

    file: str = setting("", "the trained ensemble (mbrl fit-prior)")
    spread_scale: float = setting(1.0, "factor on the spread found when it was fitted", low=1e-6, high=1e6)


def fit(
    data: Dataset,
    u_scale: CommandVector,
    progress: Progress | None = None,
    *,
    members: int = MEMBERS,
    epochs: int = EPOCHS,
    seed: int = 0,
) -> dict[str, Array]:
    """Return the ensemble's arrays: a leading axis of members, and the scales of phi and delta."""
    qd_scale = np.maximum(0.1 * data.X[:, data.D.shape[1] :].std(axis=0), 1e-6)
    Phi = features(data.X, data.U, qd_scale)
    center, scale = Phi.mean(axis=0), Phi.std(axis=0)
    scale = np.where(scale > 1e-9 * max(1.0, scale.max()), scale, 1.0)
    d_scale = np.maximum(data.D.std(axis=0), 1e-12)
    Phi, D = (Phi - center) / scale, data.D / d_scale
    calls = [(Phi, D, epochs, child) for child in np.random.SeedSequence(seed).spawn(members)]
    if worker_count() > 1:
        trained = run_jobs(train, calls)
    else:
        steps = iter(range(members * epochs) if progress is None else progress(range(members * epochs)))
        trained = [train(*call, steps) for call in calls]
        for _ in steps:  # lets a progress bar close
            break
    weights = {name: np.array([member[name] for member in trained]) for name in NETWORK_ARRAYS}
    return {
        **weights,
        "centre": center,
        "scale": scale,
        "d_scale": d_scale,
        "qd_scale": qd_scale,
        "spread_scale": np.array(1.0),
    }


def features(X: Array, U: Array, qd_scale: JointVector) -> Array:
    """Return phi (N, 5n) of rows X (N, 2n), U (N, n)."""
    n = U.shape[1]
    return np.hstack([np.sin(X[:, :n]), np.cos(X[:, :n]), X[:, n:], U, np.tanh(X[:, n:] / qd_scale)])


def train(
    Phi: Array, D: Array, epochs: int, seed: np.random.SeedSequence, steps: Iterator[int] | None = None
) -> dict[str, Array]:
    """Train one member: Adam on a bootstrap sample, validated on the rows left out; `steps` counts its epochs."""
    N, inputs, outputs, rng = len(Phi), Phi.shape[1], D.shape[1], np.random.default_rng(seed)
    sample = rng.integers(N, size=N)
    left_out = np.setdiff1d(np.arange(N), sample)
    left_out = left_out if len(left_out) else np.arange(N)
    W = {
        "W1": rng.normal(0.0, inputs**-0.5, (HIDDEN, inputs)),
        "b1": np.zeros(HIDDEN),
        "W2": rng.normal(0.0, 0.1 * HIDDEN**-0.5, (outputs, HIDDEN)),
        "b2": np.zeros(outputs),
        "L": np.zeros((outputs, inputs)),
    }
    first, second = ({name: np.zeros_like(value) for name, value in W.items()} for _ in range(2))
    best, best_error, count = W, np.inf, 0
    for epoch in range(epochs):
        rate = LEARNING_RATE * 0.5 * (1.0 + np.cos(np.pi * epoch / epochs))
        for batch in np.array_split(rng.permutation(sample), max(1, N // BATCH_SIZE)):
            count += 1
            for name, gradient in _gradient(W, Phi[batch], D[batch]).items():
                gradient = gradient + DECAY * W[name]
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.999 * second[name] + 0.001 * gradient**2
                step = first[name] / (1.0 - 0.9**count) / (np.sqrt(second[name] / (1.0 - 0.999**count)) + 1e-8)
                W = {**W, name: W[name] - rate * step}
        error = float(np.mean((_forward(W, Phi[left_out])[1] - D[left_out]) ** 2))
        if error < best_error:
            best, best_error = W, error
        if steps is not None:
            next(steps, None)
    return best


def _forward(W: dict[str, Array], Phi: Array) -> tuple[Array, Array]:
    hidden = np.tanh(Phi @ W["W1"].T + W["b1"])
    return hidden, hidden @ W["W2"].T + W["b2"] + Phi @ W["L"].T


def _gradient(W: dict[str, Array], Phi: Array, D: Array) -> dict[str, Array]:
    """Return the gradient of half the mean squared error, by back-propagation."""
    hidden, output = _forward(W, Phi)
    error = (output - D) / len(D)
    inner = (error @ W["W2"]) * (1.0 - hidden**2)
    return {
        "W1": inner.T @ Phi,
        "b1": inner.sum(axis=0),
        "W2": error.T @ hidden,
        "b2": error.sum(axis=0),
        "L": error.T @ Phi,
    }


class EnsemblePrior(FixedPrior):
    """delta (n,) [rad/s per tick] and its Jacobian (n, 3n): the members' mean, compiled; and their disagreement."""

    linear = False

    def __init__(self, arrays: dict[str, Array], n: int, spread: Array, units: Units):
        super().__init__(spread)
        self._arrays = arrays
        self._model = kept_stage_function(units, "ensemble", arrays, lambda: _compiled_mean(arrays, n))

    def expression(self) -> MeanExpression:
        """See `Prior`; ConfigurationError for more than MOST_EXPRESSED_UNITS hidden units."""
        units = self._arrays["b1"].size
        if units > MOST_EXPRESSED_UNITS:
            raise ConfigurationError(
                f"a planner takes an ensemble of at most {MOST_EXPRESSED_UNITS} hidden units for its model, and this "
                f"one has {units}",
                key="prior.ensemble.file",
            )
        return mean_expression(self._arrays, len(self._arrays["qd_scale"]))

    def spread_at(self, x: Array, u: CommandVector) -> Array:
        """Return the spread, widened by the disagreement: where there were no data the prior must not win."""
        return widened(self.spread, self.disagreement(x, u) ** 2)

    def mean(self, x: Array, u: CommandVector) -> JointVector:
        """See `Prior`."""
        return self._model.mean(x, u)

    def linearize(self, X: Array, U: Array) -> tuple[Array, Gain]:
        """See `Prior`."""
        return self._model.linearize(X, U)

    def disagreement(self, x: Array, u: CommandVector) -> JointVector:
        """Return the standard deviation (n,) of delta [rad/s per tick] over the members."""
        a = self._arrays
        phi = (features(x[None], u[None], a["qd_scale"])[0] - a["centre"]) / a["scale"]
        hidden = np.tanh(a["W1"] @ phi + a["b1"])
        each = np.einsum("mij,mj->mi", a["W2"], hidden) + a["b2"] + a["L"] @ phi
        std: JointVector = each.std(axis=0) * a["d_scale"]
        return std


def _compiled_mean(arrays: dict[str, Array], n: int) -> StageFunction:
    """Return the members' mean delta (n,) and its Jacobian (n, 3n)."""
    x, u = casadi.MX.sym("x", 2 * n), casadi.MX.sym("u", n)
    q, qd = x[:n], x[n:]
    qd_scale = casadi.DM(arrays["qd_scale"])
    sign = casadi.tanh(qd / qd_scale)
    phi = (casadi.vertcat(casadi.sin(q), casadi.cos(q), qd, u, sign) - casadi.DM(arrays["centre"])) / casadi.DM(
        arrays["scale"]
    )
    members = len(arrays["W1"])
    per_q, per_sign = (casadi.cos(q), -casadi.sin(q)), (1.0 - sign**2) / qd_scale

    def by_input(W: casadi.DM) -> casadi.MX:
        """Return W d phi / d[q; qd; u] (rows, 3n): phi's five blocks are diagonal in q, q, qd, u and qd."""
        rows = W.shape[0]
        S, C, V, U, T = casadi.horzsplit(W / casadi.repmat(casadi.DM(arrays["scale"]).T, rows, 1), n)
        wide = [casadi.repmat(part.T, rows, 1) for part in (*per_q, per_sign)]
        return casadi.horzcat(S * wide[0] + C * wide[1], V + T * wide[2], U)

    # every member's hidden layer stacked into one, the output layers side by side: the mean is one product
    W1, b1 = casadi.DM(np.vstack(list(arrays["W1"]))), casadi.DM(np.concatenate(list(arrays["b1"])))
    W2, b2 = casadi.DM(np.hstack(list(arrays["W2"])) / members), casadi.DM(arrays["b2"].mean(axis=0))
    L, d_scale = casadi.DM(arrays["L"].mean(axis=0)), casadi.DM(arrays["d_scale"])
    hidden = casadi.tanh(W1 @ phi + b1)
    delta = d_scale * (W2 @ hidden + b2 + L @ phi)
    gates = casadi.repmat(1.0 - hidden**2, 1, 3 * n)
    jacobian = casadi.repmat(d_scale, 1, 3 * n) * (W2 @ (gates * by_input(W1)) + by_input(L))
    return StageFunction("ensemble", x, u, delta, jacobian, optimize="-O3")


def from_arrays(arrays: dict[str, Array], robot: Robot, dt: float, spread_scale: float = 1.0) -> EnsemblePrior:
    """Make the prior of what `fit` returned; DataError if that does not fit the robot."""
    n, members = len(robot.joints), length_of(arrays, "W1")
    hidden = arrays["W1"].shape[1] if members and arrays["W1"].ndim == 3 else 0
    require_at_most("ensemble", MOST_UNITS, members * hidden, "hidden units of all members together")
    require(
        "ensemble",
        arrays,
        {
            "W1": (members, hidden, 5 * n),
            "b1": (members, hidden),
            "W2": (members, n, hidden),
            "b2": (members, n),
            "L": (members, n, 5 * n),
            "centre": (5 * n,),
            "scale": (5 * n,),
            "d_scale": (n,),
            "qd_scale": (n,),
            "spread_scale": (),
        },
    )
    require_positive("ensemble", arrays, "scale", "d_scale", "qd_scale", "spread_scale")
    return EnsemblePrior(arrays, n, spread_of(arrays, n, dt, spread_scale), robot.units)


def build(settings: Settings, robot: Robot, dt: float) -> Prior:
    """Build the saved prior; DataError if it was fitted for another robot, interface or period."""
    return from_arrays(load_model("ensemble", settings.file, robot, dt), robot, dt, settings.spread_scale)
