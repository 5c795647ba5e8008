r"""A policy on a model in closed loop: what the gradients of policies have in common.

    J(theta) = E [ sum_{t<H} l(x_t, u_{t-1}, u_t) + l_H(x_H) ],    x' = F_m(x, u, eps),    u = u(m_theta(x) + std xi)

over the starts x_0, the members m, the noise eps of the model and xi of the policy. What is drawn of them stands in
`Scenarios`, so that J of given scenarios is a function of theta that can be differentiated, and so that two policies,
or two gradients, can be compared under common random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...codegen.symbolic import casadi
from ...costs import CostModel
from ...types import Array, StageParameters
from .gaussian_expression import StepExpression
from .network_policy import NetworkPolicy


@dataclass(frozen=True, eq=False, slots=True)
class PolicyProblem:
    """The cost, the policy with the standard deviation `std` of its v, and the model with the size of its w."""

    cost: CostModel
    policy: NetworkPolicy
    step: StepExpression
    model_size: int
    std: float


@dataclass(frozen=True, eq=False, slots=True)
class Scenarios:
    """What is drawn for K rollouts with each of M members.

    x0 (M, K, nx); eps (M, K, H, n); xi (M, K, H, outputs). `replicates` rollouts in a row share x0 and eps: they differ
    by what the policy draws.
    """

    x0: Array
    eps: Array
    xi: Array
    replicates: int


def draw(
    rng: np.random.Generator,
    starts: Array,
    members: int,
    rollouts: int,
    horizon: int,
    outputs: int,
    replicates: int = 1,
) -> Scenarios:
    """Draw scenarios whose starts are rows of `starts` (N, nx); `rollouts` of each member, a multiple of replicates."""
    groups, n = rollouts // replicates, starts.shape[1] // 2
    x0 = starts[rng.integers(len(starts), size=(members, groups))]
    eps = rng.standard_normal((members, groups, horizon, n))
    xi = rng.standard_normal((members, rollouts, horizon, outputs))
    return Scenarios(x0.repeat(replicates, axis=1), eps.repeat(replicates, axis=1), xi, replicates)


class Rollouts:
    """K rollouts of H stages with one member, without derivatives."""

    def __init__(self, problem: PolicyProblem, horizon: int, rollouts: int):
        cost, policy = problem.cost, problem.policy
        theta, w, x0, eps, xi, p = symbols(problem, horizon)
        x, u, states, commands, costs = x0, casadi.MX.zeros(cost.nu), [x0], [], []
        for t in range(horizon):
            before, u = u, policy.command(policy.mean(x, theta) + problem.std * xi[:, t])
            costs.append(cost.stage(x, before, u, p[:, t]))
            x = problem.step(x, u, eps[:, t], w)
            states.append(x)
            commands.append(u)
        costs.append(cost.terminal(x, p[:, horizon]))
        results = [casadi.horzcat(*states), casadi.horzcat(*commands), casadi.vertcat(*costs)]
        one = casadi.Function("rollout", [theta, w, x0, eps, xi, p], results)
        self._all = one.map("rollouts", "serial", rollouts, [0, 1, 5], [])
        self._K = rollouts

    def __call__(
        self, theta: Array, w: Array, x0: Array, eps: Array, xi: Array, p: StageParameters
    ) -> tuple[Array, Array, Array]:
        """Return states (K, H+1, nx), commands (K, H, nu) and costs (K, H+1); x0, eps and xi: of one member."""
        X, U, costs = self._all(theta, w, x0.T, columns(eps), columns(xi), p.T)
        return rows(X, self._K), rows(U, self._K), costs.full().T


def symbols(problem: PolicyProblem, horizon: int) -> tuple[casadi.MX, ...]:
    """Return theta, w, x0 (nx,), eps (n, H), xi (outputs, H) and p (np, H+1)."""
    cost, policy, H = problem.cost, problem.policy, horizon
    sizes = {"theta": (policy.size, 1), "w": (problem.model_size, 1), "x0": (cost.nx, 1), "eps": (cost.nx // 2, H)}
    sizes |= {"xi": (policy.outputs, H), "p": (cost.np, H + 1)}
    return tuple(casadi.MX.sym(name, *size) for name, size in sizes.items())


def columns(values: Array) -> Array:
    """Return values (K, H, n) as CasADi takes them, (n, K H)."""
    side_by_side: Array = values.reshape(-1, values.shape[-1]).T
    return side_by_side


def rows(values: casadi.DM, K: int) -> Array:
    """Return the values (n, K H) of CasADi as (K, H, n)."""
    found: Array = values.full().T.reshape(K, -1, values.size1())
    return found
