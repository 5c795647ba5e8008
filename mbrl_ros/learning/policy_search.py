r"""Episodes of a method that improves one policy in the learned model: fit, descend the gradient, act, add the data.

    theta <- theta - rate_k Adam(g / |g|),    g = mean over rollouts of g_i min(1, median |g| / |g_i|)

with the terms g_i of pathwise.py or likelihood_ratio.py on scenarios drawn anew for every step. Few data leave states
at which a member is far off; rollouts that come there cost orders of magnitude more, and their gradients would be all
that counts in a mean. Hence no rollout counts for more than the median norm, which is a bias, and one that is not
finite counts for nothing. Starts of the scenarios are states that were visited, half of them first states of episodes.
Every LOOK_EVERY steps the policy without exploration is judged on scenarios that stay the same for the whole descent
(common random numbers), by the median of their costs, and the one that cost least is kept. The first episode is random;
the policy and its inputs' scale are begun from it, and the policy goes on from episode to episode.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from ..config.section import setting
from ..dynamics.adam import Adam
from ..dynamics.gaussian_ensemble import EnsembleSettings, features
from ..tasks.base import Task
from ..types import Array, CommandVector, StageParameters, StateVector
from .base import Episode, episode_seed, random_commands, roll_out
from .ensemble_model import EnsembleModel
from .gradients.gaussian_expression import parameters_size, step_expression
from .gradients.network_policy import NetworkPolicy
from .gradients.policy_rollouts import PolicyProblem, Rollouts, Scenarios, draw
from .model_based import HELD_PERIODS, RANDOM_SHARE

LOOK_EVERY, LOOK_ROLLOUTS = 10, 10  # steps from one look to the next; rollouts of each member in it
FIRST_SHARE = 0.5  # of the starts
LEAST_INPUT_SCALE = 0.1  # least standard deviation that an input of the policy is divided by
POLICY_STREAM = 3  # beside a seed: what is drawn here is independent of what else is drawn with that seed


@dataclasses.dataclass(frozen=True)
class PolicySettings(EnsembleSettings):
    """Those of the ensemble, of the policy and of the descent."""

    horizon: int = setting(40, "stages of a rollout; 0: the number that the task names", unit="steps", low=0, high=1000)
    rollouts: int = setting(10, "rollouts with each network in a step of the descent", low=1, high=10_000)
    policy_hidden: int = setting(16, "units of the policy's hidden layer; 0: a linear policy", low=0, high=1024)
    policy_updates: int = setting(200, "steps of the descent after an episode", low=1, high=1_000_000)
    policy_rate: float = setting(
        0.03, "first step size of the descent, which falls to 0 as a cosine", low=1e-8, high=1.0
    )
    exploration: float = setting(
        0.1,
        "standard deviation of what the policy adds to its commands in the model, in half ranges about their middle",
        low=1e-6,
        high=10.0,
    )


class Gradient(Protocol):
    """An estimate of dJ/dtheta: gradients/pathwise.py or gradients/likelihood_ratio.py."""

    def __call__(self, theta: Array, W: Array, drawn: Scenarios, p: StageParameters) -> tuple[Array, Array]:
        """Return the costs (M K,) of the rollouts and the terms (M K, size of theta) whose mean is the gradient."""


class PolicySearch:
    """The policy of a task, and its descent in the model.

    model: fitted; make: builds the gradient of a problem with so many stages; replicates: rollouts in a row that share
    start and noise.
    """

    def __init__(
        self,
        task: Task,
        settings: PolicySettings,
        model: EnsembleModel,
        seed: int,
        make: Callable[[PolicyProblem, int], Gradient],
        replicates: int = 1,
    ):
        info = task.info
        self._settings, self._model, self._replicates = settings, model, replicates
        self._H, self._rng = settings.horizon or info.horizon, np.random.default_rng([seed, POLICY_STREAM])
        f = features(model.X, np.zeros((len(model.X), 0)))
        scale = np.maximum(f.std(axis=0), LEAST_INPUT_SCALE)
        self.policy = NetworkPolicy(info.u_lower, info.u_upper, f.mean(axis=0), scale, settings.policy_hidden)
        shape = model.ensemble.shape
        step = step_expression(shape, info.dt)
        problem = PolicyProblem(info.cost, self.policy, step, parameters_size(shape), settings.exploration)
        self.theta, self._p = self.policy.initial(self._rng), info.cost.parameters(self._H)
        self._gradient, self._look = make(problem, self._H), Rollouts(problem, self._H, LOOK_ROLLOUTS)

    def act(self, t: int, x: StateVector) -> CommandVector:
        """Return the policy's command (n,) at x (2n,), without exploration."""
        return self.policy.act(x, self.theta)

    def descend(self, first: Array) -> None:
        """Improve the policy in the model as it is; first (E, 2n): the first states of the episodes."""
        settings, W = self._settings, self._model.ensemble.parameters
        starts = self._starts(first)
        fixed = self._draw(starts, LOOK_ROLLOUTS, 1)
        theta, adam = self.theta.copy(), Adam(self.theta, settings.policy_rate, settings.policy_updates)
        best_cost = self._cost(theta, W, fixed)
        for count in range(1, settings.policy_updates + 1):
            drawn = self._draw(starts, settings.rollouts, self._replicates)
            slope = bounded_mean(self._gradient(theta, W, drawn, self._p)[1])
            norm = float(np.linalg.norm(slope))
            if norm > 0.0:
                adam.step(theta, slope / norm)
            if count % LOOK_EVERY == 0 or count == settings.policy_updates:
                cost = self._cost(theta, W, fixed)
                if cost < best_cost:
                    self.theta, best_cost = theta.copy(), cost

    def _starts(self, first: Array) -> Array:
        """Return the states that rollouts begin at: FIRST_SHARE of the rows are first states of episodes."""
        seen = self._model.X
        share = round(FIRST_SHARE / (1.0 - FIRST_SHARE) * len(seen) / len(first))
        return np.vstack([seen, np.tile(first, (max(1, share), 1))])

    def _draw(self, starts: Array, rollouts: int, replicates: int) -> Scenarios:
        return draw(self._rng, starts, self._model.members, rollouts, self._H, self.policy.outputs, replicates)

    def _cost(self, theta: Array, W: Array, fixed: Scenarios) -> float:
        """Return the median cost of the policy without exploration; one that is not a number counts as infinite."""
        costs = [
            self._look(theta, w, x0, eps, 0.0 * xi, self._p)[2].sum(axis=1)
            for w, x0, eps, xi in zip(W, fixed.x0, fixed.eps, fixed.xi, strict=True)
        ]
        return float(np.median(np.where(np.isfinite(costs), costs, np.inf)))


def bounded_mean(terms: Array) -> Array:
    """Return the mean (size,) of the terms (N, size) that are finite, each of at most their median norm; 0 of none."""
    terms = terms[np.isfinite(terms).all(axis=1)]
    if not len(terms):
        return np.zeros(terms.shape[1])
    norms = np.linalg.norm(terms, axis=1)
    bounded: Array = terms * np.minimum(1.0, np.median(norms) / np.maximum(norms, 1e-300))[:, None]
    mean: Array = bounded.mean(axis=0)
    return mean


def learn_policy(
    task: Task,
    seed: int,
    episodes: int,
    settings: PolicySettings,
    make: Callable[[PolicyProblem, int], Gradient],
    replicates: int = 1,
) -> Iterator[Episode]:
    """See `Method` and the top of this module; make, replicates: see `PolicySearch`."""
    model = EnsembleModel(task.info, settings, seed)
    U = random_commands(task, np.random.default_rng(seed), HELD_PERIODS, RANDOM_SHARE)
    rollout = roll_out(task, episode_seed(seed, 0), lambda t, x: U[t])
    yield rollout.episode("random")
    first = [rollout.transitions[0].x]
    search: PolicySearch | None = None
    for number in range(1, episodes):
        model.add(rollout.transitions)
        model.fit()
        search = search or PolicySearch(task, settings, model, seed, make, replicates)
        search.descend(np.array(first))
        rollout = roll_out(task, episode_seed(seed, number), search.act)
        first.append(rollout.transitions[0].x)
        yield rollout.episode("policy")
