"""Cost and model of a problem on whole trajectories, by CasADi's virtual machine.

Buffers are made once, and calls make no copies: results are overwritten by the next call of the same method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ...codegen.symbolic import casadi
from ...costs import CostModel
from ...exceptions import ConfigurationError, MbrlError, ShapeError
from ...types import Array
from .memory import Memory
from .problem import Problem


class CostEvaluator(Protocol):
    """The objective and its expansion along trajectories, over z = [y; u] with y = [x; v] or y = x."""

    def expand(self, X: Array, U: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        """Return g (H, nz), G (H, nz, nz) of the stages and g (nx,), G (nx, nx) of the last one.

        X (H+1, nx); U (H+1, nu) begins with u_{-1}; p (H+1, np).
        """

    def costs(self, Xs: Array, Us: Array, p: Array) -> Array:
        """Return the objective (S,) of S rollouts Xs (H+1, S, nx), Us (H+1, S, nu)."""


class Evaluator:
    """A `CostEvaluator` of a problem's cost.

    y is [x; v] if a cost depends on the previous command v. `rollouts`: the numbers of rollouts that costs() will be
    asked for.
    """

    def __init__(self, problem: Problem, horizon: int, rollouts: tuple[int, ...]):
        cost, nx, nu, nv, H = problem.cost, problem.nx, problem.nu, problem.nv, horizon
        nz = nx + nv + nu
        given = [(H, nx), (H, nu), (H, nu), (H, cost.np)]
        self._stage = Buffered(_stage_expansion(cost, nv).map(H), given, [(H, nz), (H, nz, nz)])
        self._last = Buffered(_last_expansion(cost), [(nx,), (cost.np,)], [(nx,), (nx, nx)])
        self._costs: dict[int, Buffered] = {}
        self._last_costs: dict[int, Buffered] = {}
        for S in set(rollouts):
            side_by_side = cost.stage.map("side_by_side", "serial", S, [3], [])  # the same p for every rollout
            last_costs = cost.terminal.map("last_costs", "serial", S, [1], [])
            self._costs[S] = Buffered(side_by_side.map(H), [(H, S, nx), (H, S, nu), (H, S, nu), (H, cost.np)], [(H, S)])
            self._last_costs[S] = Buffered(last_costs, [(S, nx), (cost.np,)], [(S,)])

    def expand(self, X: Array, U: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        """See `CostEvaluator`."""
        g, G = self._stage(X[:-1], U[:-1], U[1:], p[:-1])
        g_last, G_last = self._last(X[-1], p[-1])
        return g, G, g_last, G_last

    def costs(self, Xs: Array, Us: Array, p: Array) -> Array:
        """See `CostEvaluator`."""
        (stages,) = self._costs[Xs.shape[1]](Xs[:-1], Us[:-1], Us[1:], p[:-1])
        total: Array = stages.sum(axis=0) + self.last_costs(Xs[-1], p)
        return total

    def last_costs(self, x: Array, p: Array) -> Array:
        """Return the last stage's part of the objective (S,) for x (S, nx)."""
        return self._last_costs[len(x)](x, p[-1])[0]


class ModelEvaluator:
    """phi and its derivatives. `rollouts`: the numbers of states that predict() will be asked for."""

    def __init__(self, problem: Problem, horizon: int, rollouts: tuple[int, ...]):
        if problem.model is None:
            raise ConfigurationError("this problem has no model")
        nx, nu, H, model = problem.nx, problem.nu, horizon, problem.model
        theta = self._theta = model.theta
        self._model = {
            S: Buffered(model.phi.map("side_by_side", "serial", S, [2], []), [(S, nx), (S, nu), theta.shape], [(S, nx)])
            for S in set(rollouts)
        }
        x, u, p, s = (casadi.MX.sym(name, size) for name, size in zip("xups", (nx, nu, theta.size, nx), strict=True))
        dense = casadi.Function("dense", [x, u, p], [casadi.densify(model.jacobian(x, u, p))])
        along = dense.map("along", "serial", H, [2], [])
        self._jacobian = Buffered(along, [(H, nx), (H, nu), theta.shape], [(H, nx + nu, nx)])
        self._curvature: Buffered | None = None
        if problem.second_order:
            symmetric = casadi.densify(casadi.tril2symm(model.curvature(x, u, p, s)))
            whole = casadi.Function("whole", [x, u, p, s], [symmetric])
            self._curvature = Buffered(whole, [(nx,), (nu,), theta.shape, (nx,)], [(nx + nu, nx + nu)])

    def predict(self, x: Array, u: Array) -> Array:
        """Return phi (S, nx) at x (S, nx), u (S, nu)."""
        return self._model[len(x)](x, u, self._theta)[0]

    def jacobian(self, X: Array, U: Array) -> Array:
        """Return d phi / d[x; u] (H, nx, nx+nu) along X (H+1, nx), U (H+1, nu)."""
        transposed: Array = self._jacobian(X[:-1], U[1:], self._theta)[0].transpose(0, 2, 1)
        return transposed

    def curvature(self, x: Array, u: Array, s: Array) -> Array:
        """Return the second derivative (nx+nu, nx+nu) of s^T phi over [x; u]."""
        if self._curvature is None:
            raise ConfigurationError("this problem has no second derivatives")
        return self._curvature(x, u, self._theta, s)[0]


def next_states(memory: Memory, stage: int, model: ModelEvaluator | None, x: Array, u: Array) -> Array:
    """Return the states (S, nx) after x (S, nx), u (S, nu) with F and f of a stage."""
    F, nx = memory.F[stage], x.shape[1]
    following: Array = x @ F[:, :nx].T + u @ F[:, nx:].T + memory.f[stage]
    if model is not None:
        following += model.predict(x, u)
    return following


def with_previous(F: Array) -> Array:
    """Return the dynamics of y = [x; v] (H, nx+nu, nx+2 nu) over [y; u], v' = u, from that of x (H, nx, nx+nu)."""
    H, nx, nu = F.shape[0], F.shape[1], F.shape[2] - F.shape[1]
    F_y = np.zeros((H, nx + nu, nx + 2 * nu))
    F_y[:, :nx, :nx], F_y[:, :nx, nx + nu :] = F[:, :, :nx], F[:, :, nx:]
    F_y[:, nx:, nx + nu :] = np.eye(nu)
    return F_y


class Buffered:
    """A CasADi function called through fixed memory; results are overwritten by the next call.

    `given` and `results`: the shapes its arguments and results have here, or contiguous arrays to hold them, which are
    kept. CasADi's matrices are column-major, so that an (n, m) matrix there is (m, n) here; what is passed in is
    broadcast.

    Raises
    ------
    MbrlError
        CasADi would have to work on a copy of an array, or must not write to it.
    """

    def __init__(
        self,
        function: casadi.Function,
        given: Sequence[tuple[int, ...] | Array],
        results: Sequence[tuple[int, ...] | Array],
    ):
        self._buffer, self._call = function.buffer()
        self._in, self._out = (
            [a if isinstance(a, np.ndarray) else np.zeros(a) for a in memory] for memory in (given, results)
        )
        for arrays, assign in ((self._in, self._buffer.set_arg), (self._out, self._buffer.set_res)):
            for i, array in enumerate(arrays):
                if not (array.flags.carray and array.dtype == np.float64):
                    raise MbrlError(f"buffer {i} of {function.name()} is not contiguous, writeable and of float64")
                assign(i, memoryview(array.reshape(-1).data))  # type: ignore[call-arg]  # C's signature
        sizes = [array.size for array in (*self._in, *self._out)]
        wanted = [function.nnz_in(i) for i in range(function.n_in())]
        wanted += [function.nnz_out(i) for i in range(function.n_out())]
        if sizes != wanted:
            raise ShapeError(f"buffers of {function.name()}", tuple(wanted), tuple(sizes))

    def __call__(self, *arguments: Array | float) -> list[Array]:
        """Evaluate; returns the arrays that hold the results."""
        for array, given in zip(self._in, arguments, strict=True):
            array[...] = given
        self._call()
        return self._out

    def stats(self) -> dict[str, Any]:
        """Return what the function tells of its last call: CasADi's statistics of a solver."""
        found: dict[str, Any] = self._buffer.stats()
        return found


def _stage_expansion(cost: CostModel, nv: int) -> casadi.Function:
    """(x, v, u, p) -> g (nz,), G (nz, nz) over z = [x; v; u], without v where nv is 0."""
    nx, nu = cost.nx, cost.nu
    x, v, u, p = (casadi.SX.sym(name, size) for name, size in zip("xvup", (nx, nu, nu, cost.np), strict=True))
    keep = [*range(nx), *range(nx + nu, nx + nu + nv), *range(nx, nx + nu)]
    g, lower = cost.stage_expansion(x, v, u, p)
    whole = casadi.densify(casadi.tril2symm(lower)[keep, keep])
    return casadi.Function("expansion", [x, v, u, p], [g[keep], whole], {"cse": True})


def _last_expansion(cost: CostModel) -> casadi.Function:
    """(x, p) -> g (nx,), G (nx, nx)."""
    x, p = casadi.SX.sym("x", cost.nx), casadi.SX.sym("p", cost.np)
    g, lower = cost.terminal_expansion(x, p)
    return casadi.Function("last_expansion", [x, p], [g, casadi.densify(casadi.tril2symm(lower))])
