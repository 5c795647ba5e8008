"""Cost and model of a problem on whole trajectories, by CasADi's virtual machine: buffers made once, calls without copies."""

from __future__ import annotations

import casadi
import numpy as np

from ..types import Array
from .problem import Problem


class Evaluator:
    """Numpy in, numpy out. Results are overwritten by the next call of the same method.

    z = [y; u] with y = [x; v], or y = x when no cost depends on the previous command v.
    """

    def __init__(self, problem: Problem, horizon: int, rollouts: int):
        cost, nx, nu, nv = problem.cost, problem.nx, problem.nu, problem.nv
        self.horizon, self.model_given = horizon, problem.model is not None
        x, v, u, p = (casadi.SX.sym(name, size) for name, size in zip("xvup", (nx, nu, nu, cost.np)))
        keep = [*range(nx), *range(nx + nu, nx + nu + nv), *range(nx, nx + nu)]
        g, lower = cost.stage_expansion(x, v, u, p)
        stage = casadi.Function("expansion", [x, v, u, p], [g[keep], casadi.densify(casadi.tril2symm(lower)[keep, keep])],
                                {"cse": True})
        g, lower = cost.terminal_expansion(x, p)
        last = casadi.Function("last_expansion", [x, p], [g, casadi.densify(casadi.tril2symm(lower))])
        side_by_side = cost.stage.map("side_by_side", "serial", rollouts, [3], [])  # the same p for every rollout
        self._stage, self._last = _Buffered(stage.map(horizon)), _Buffered(last)
        self._costs = _Buffered(side_by_side.map(horizon))
        self._last_costs = _Buffered(cost.terminal.map("last_costs", "serial", rollouts, [1], []))
        if self.model_given:
            phi, first, second = problem.model_functions()
            self._model = _Buffered(phi.map(rollouts))
            dense = casadi.Function("dense", [x, u], [casadi.densify(first(x, u))])
            self._jacobian = _Buffered(dense.map(horizon))
            if problem.second_order:
                order = [*range(nx), *range(nx, nx + nu)]
                s = casadi.SX.sym("s", nx)
                self._curvature = _Buffered(casadi.Function(
                    "bend", [x, u, s], [casadi.densify(casadi.tril2symm(second(x, u, s))[order, order])]))

    def expand(self, X: Array, U: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        """g (H, nz), G (H, nz, nz) of the stages, g (nx,), G (nx, nx) of the last; U (H+1, nu) begins with u_{-1}."""
        g, G = self._stage(X[:-1], U[:-1], U[1:], p[:-1])
        g_last, G_last = self._last(X[-1], p[-1])
        H, nz = self.horizon, g.size // self.horizon
        return g.reshape(H, nz), G.reshape(H, nz, nz), g_last.ravel(), G_last.reshape(X.shape[1], -1)

    def costs(self, Xs: Array, Us: Array, p: Array) -> Array:
        """The objective (S,) of S rollouts Xs (H+1, S, nx), Us (H+1, S, nu)."""
        stages, = self._costs(Xs[:-1], Us[:-1], Us[1:], p[:-1])
        last, = self._last_costs(Xs[-1], p[-1])
        return stages.reshape(self.horizon, -1).sum(axis=0) + last.ravel()

    def model(self, x: Array, u: Array) -> Array:
        """phi (S, nx)."""
        return self._model(x, u)[0].reshape(x.shape)

    def jacobian(self, X: Array, U: Array) -> Array:
        """d phi / d[x; u] (H, nx, nx+nu) along a trajectory."""
        J, = self._jacobian(X[:-1], U[1:])
        return J.reshape(self.horizon, -1, X.shape[1]).transpose(0, 2, 1)

    def curvature(self, x: Array, u: Array, s: Array) -> Array:
        """Second derivative (nx+nu, nx+nu) of s^T phi over [x; u]."""
        bend, = self._curvature(x, u, s)
        return bend.reshape(x.size + u.size, -1)


class _Buffered:
    """A CasADi function called through fixed memory. Its matrices are column-major: (n, H) there is (H, n) here."""

    def __init__(self, function: casadi.Function):
        self._buffer, self._call = function.buffer()
        self._in = [np.zeros(function.nnz_in(i)) for i in range(function.n_in())]
        self._out = [np.zeros(function.nnz_out(i)) for i in range(function.n_out())]
        for i, array in enumerate(self._in):
            self._buffer.set_arg(i, memoryview(array))
        for i, array in enumerate(self._out):
            self._buffer.set_res(i, memoryview(array))

    def __call__(self, *inputs: Array) -> list[Array]:
        for array, given in zip(self._in, inputs):
            array[:] = given.ravel()
        self._call()
        return self._out
