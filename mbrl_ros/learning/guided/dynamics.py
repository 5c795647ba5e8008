r"""Time-varying linear-Gaussian dynamics of one initial state, with a Gaussian mixture as their prior.

At stage t the samples z_i = [q; qd; u; delta] (i = 1..N, with mean m and scatter S about it) are taken to be Gaussian
with a normal-inverse-Wishart prior, whose mean mu_0 and covariance Phi are those of the mixture about the samples
(Levine & Abbeel, NIPS 2014):

    Sigma_z = (n0 Phi + S + N n0 / (N + n0) (m - mu_0)(m - mu_0)^T) / (N + n0),   mu_z = (n0 mu_0 + N m) / (N + n0)
    delta | v ~ N(A v + b, Sigma_e),   A = Sigma_dv Sigma_vv^-1,   b = mu_d - A mu_v,   v = [q; qd; u]

so that a few samples are enough, of a system with many more coefficients. The mixture is that of the prior `gmm`,
fitted to all episodes of all initial states.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.dataset import Dataset
from ...dynamics.priors import gmm
from ...dynamics.state_equations import StateEquations
from ...types import Array, LinearGaussianDynamics, Transition

LEAST_VARIANCE = 1e-10  # of a variance, in units of the mixture's scale


def sample_rows(transitions: Sequence[Transition]) -> Array:
    """Return z = [q; qd; u; delta] (T, 4n) of one episode."""
    n = len(transitions[0].u)
    return np.array([np.concatenate([t.x, t.u, t.x_next[n:] - t.x[n:]]) for t in transitions])


def mixture_of(data: Dataset, seed: int, components: int = 0) -> dict[str, Array]:
    """Fit the mixture to all that was seen; components: see `gmm.fit`, and fewer where there are few transitions."""
    n = data.U.shape[1]
    return gmm.fit(data, np.ones(n), components=min(components, len(data.X) // 2), seed=seed)


def fit_stages(
    episodes: Sequence[Array], mixture: dict[str, Array], equations: StateEquations, steps: int, prior_count: float
) -> LinearGaussianDynamics:
    """Fit x' ~ N(F_t [x; u] + f_t, Sigma) for every stage.

    Parameters
    ----------
    episodes
        z (T, 4n) of each episode from the initial state; one that ended early has fewer rows.
    mixture
        Of `mixture_of`.
    equations
        The known rows, of n joints.
    steps
        H. A stage that no episode came to has the model of the last one that was seen.
    prior_count
        n0, in samples.

    Returns
    -------
    LinearGaussianDynamics
        F (H, 2n, 3n), f (H, 2n), Sigma (1, 2n, 2n), the mean over the stages.
    """
    n = equations.n
    A, b, noise = np.zeros((steps, n, 3 * n)), np.zeros((steps, n)), np.zeros((n, n))
    seen = max(len(rows) for rows in episodes)
    for t in range(steps):
        if t >= seen:
            A[t], b[t] = A[seen - 1], b[seen - 1]
            continue
        Z = np.array([rows[t] for rows in episodes if t < len(rows)])
        A[t], b[t], more = conditioned(Z, *gmm.moments(mixture, Z), prior_count, mixture["scale"])
        noise += more / seen
    return equations.assemble(A, b, noise, np.zeros((0, n)))


def conditioned(
    Z: Array, mean: Array, covariance: Array, prior_count: float, scale: Array
) -> tuple[Array, Array, Array]:
    """Return A (n, 3n), b (n,) and Sigma_e (n, n) of samples Z (N, 4n) under the prior mean and covariance."""
    N, v = len(Z), 3 * (Z.shape[1] // 4)
    m = Z.mean(axis=0)
    away = m - mean
    S = (Z - m).T @ (Z - m)
    joint = prior_count * covariance + S + N * prior_count / (N + prior_count) * np.outer(away, away)
    joint = joint / (N + prior_count) / np.outer(scale, scale)
    joint[np.diag_indices(len(joint))] += LEAST_VARIANCE
    center = (prior_count * mean + N * m) / (N + prior_count)
    slope = np.linalg.solve(joint[:v, :v], joint[:v, v:]).T
    noise = joint[v:, v:] - slope @ joint[:v, v:]
    A = slope * scale[v:, None] / scale[:v]
    Sigma = noise * np.outer(scale[v:], scale[v:])
    return A, center[v:] - A @ center[:v], 0.5 * (Sigma + Sigma.T)
