r"""A posterior p(theta | D) over the parameters of one network of gaussian_networks.py, from which members are sampled.

    p(qd' - qd | x, u, D) ~ 1/M sum_m N(mean_m(z), diag variance_m(z)),    theta_m ~ q(theta) ~ p(theta | D)

`network`     every parameter is a Gaussian of its own, fitted by variational inference (variational.py), which begins
              at a network trained by its likelihood
`last_layer`  such a network trained by its likelihood, of which the last layer of the mean is a Bayesian linear
              regression on the units before it and on z (last_layer.py): the cheap form

Samples are members of a `GaussianEnsemble`, so that whatever takes an ensemble takes a posterior. Inputs, targets and
their scales are those of gaussian_ensemble.py.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from ..config.section import setting
from ..exceptions import DataError
from ..types import Array
from . import gaussian_ensemble
from .adam import Adam
from .gaussian_ensemble import EnsembleSettings, GaussianEnsemble, NetworkSettings, Scales
from .gaussian_networks import NetworkShape, Real
from .last_layer import LastLayer
from .variational import FIRST_SIGMA, bound, divergence, groups, noise_for

POSTERIORS = ("network", "last_layer")
VARIATIONAL_STREAM = 4  # beside a seed: what is drawn here is independent of what else is drawn with that seed


@dataclasses.dataclass(frozen=True)
class PosteriorSettings(NetworkSettings):
    """What is fitted, and how."""

    hidden: int = setting(32, "units of each of the two hidden layers", low=1, high=1024)
    posterior: str = setting(
        "network",
        "which parameters have a posterior: network: all; last_layer: the last layer of the mean",
        choices=POSTERIORS,
    )
    variational_updates: int = setting(
        10_000,
        "steps of the optimizer for the posterior of all parameters, after `updates`",
        low=1,
        high=1_000_000,
    )
    networks: int = setting(5, "networks that are sampled from the posterior for a plan", low=1, high=100)


class Posterior(Protocol):
    """What networks are sampled from."""

    def sample(self, members: int, rng: np.random.Generator) -> GaussianEnsemble:
        """Draw `members` networks."""


class NetworkPosterior:
    """q(theta) = prod_i N(mu_i, sigma_i^2): mu, sigma (size,), of float32."""

    def __init__(self, shape: NetworkShape, mu: Real, sigma: Real, scales: Scales):
        self.shape, self.mu, self.sigma, self.scales = shape, mu, sigma, scales

    def sample(self, members: int, rng: np.random.Generator) -> GaussianEnsemble:
        """See `Posterior`."""
        white = rng.standard_normal((members, self.shape.size), dtype=np.float32)
        return GaussianEnsemble(self.shape, self.mu + self.sigma * white, self.scales)


def fit(z: Array, d: Array, settings: PosteriorSettings, seed: int) -> Posterior:
    """Fit the posterior to the rows z (N, inputs), d (N, outputs).

    Raises
    ------
    DataError : there are no rows, one is not finite, or the fit diverged
    """
    shared = {name: getattr(settings, name) for name in NetworkSettings.infos()}
    network = gaussian_ensemble.fit(z, d, EnsembleSettings(networks=1, **shared), seed)
    if settings.posterior == "last_layer":
        return LastLayer(network, z, d)
    mu, rho = _minimize(network, z, d, settings, np.random.default_rng([seed, VARIATIONAL_STREAM]))
    return NetworkPosterior(network.shape, mu, np.exp(rho), network.scales)


def _minimize(
    network: GaussianEnsemble, z: Array, d: Array, settings: PosteriorSettings, rng: np.random.Generator
) -> tuple[Real, Real]:
    """Return mu and log sigma (size,) at the least F of variational.py, sought from `network` on."""
    shape, N, updates = network.shape, len(z), settings.variational_updates
    group, size, (standard, target) = groups(shape), shape.size, network.scales.standard(z, d)
    parameters = np.empty(2 * size, dtype=np.float32)
    mu, rho = parameters[:size], parameters[size:]
    mu[:], rho[:] = network.theta[0], np.log(FIRST_SIGMA)
    prior, slope = np.empty_like(parameters), np.empty_like(parameters)
    adam, total = Adam(parameters, settings.learning_rate, updates), 0.0
    for _ in range(updates):
        rows, noise = rng.integers(N, size=settings.batch), noise_for(shape, settings.batch, rng)
        loss = bound(shape, mu, rho, standard[rows], target[rows], noise, slope[:size], slope[size:])
        total = loss + divergence(group, mu, rho, prior[:size], prior[size:]) / N
        slope += prior / N
        adam.step(parameters, slope)
    if not np.isfinite(total):
        raise DataError("the fit of a posterior diverged: lower learning_rate")
    return mu, rho
