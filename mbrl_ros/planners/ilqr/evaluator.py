"""Cost and model of a problem on whole trajectories, by CasADi's virtual machine: buffers made once, calls without copies."""

from __future__ import annotations

import casadi
import numpy as np

from ...exceptions import ShapeError
from ...types import Array
from .problem import Problem


class Evaluator:
    """Numpy in, numpy out. Results are overwritten by the next call of the same method.

    z = [y; u] with y = [x; v], or y = x when no cost depends on the previous command v. `rollouts`: the numbers of rollouts
    that costs() and model() will be asked for.
    """

    def __init__(self, problem: Problem, horizon: int, rollouts: tuple[int, ...]):
        cost, nx, nu, nv, H = problem.cost, problem.nx, problem.nu, problem.nv, horizon
        self.model_given = problem.model is not None
        nz = nx + nv + nu
        x, v, u, p = (casadi.SX.sym(name, size) for name, size in zip("xvup", (nx, nu, nu, cost.np)))
        keep = [*range(nx), *range(nx + nu, nx + nu + nv), *range(nx, nx + nu)]
        g, lower = cost.stage_expansion(x, v, u, p)
        stage = casadi.Function(
            "expansion", [x, v, u, p], [g[keep], casadi.densify(casadi.tril2symm(lower)[keep, keep])], {"cse": True}
        )
        g, lower = cost.terminal_expansion(x, p)
        last = casadi.Function("last_expansion", [x, p], [g, casadi.densify(casadi.tril2symm(lower))])
        given = [(H, nx), (H, nu), (H, nu), (H, cost.np)]
        self._stage = Buffered(stage.map(H), given, [(H, nz), (H, nz, nz)])
        self._last = Buffered(last, [(nx,), (cost.np,)], [(nx,), (nx, nx)])
        self._costs, self._last_costs, self._model = {}, {}, {}
        for S in set(rollouts):
            side_by_side = cost.stage.map("side_by_side", "serial", S, [3], [])  # the same p for every rollout
            self._costs[S] = Buffered(side_by_side.map(H), [(H, S, nx), (H, S, nu), (H, S, nu), (H, cost.np)], [(H, S)])
            self._last_costs[S] = Buffered(
                cost.terminal.map("last_costs", "serial", S, [1], []), [(S, nx), (cost.np,)], [(S,)]
            )
        if self.model_given:
            phi, first, second = problem.model_functions()
            for S in set(rollouts):
                self._model[S] = Buffered(phi.map(S), [(S, nx), (S, nu)], [(S, nx)])
            dense = casadi.Function("dense", [x, u], [casadi.densify(first(x, u))])
            self._jacobian = Buffered(dense.map(H), [(H, nx), (H, nu)], [(H, nx + nu, nx)])
            if problem.second_order:
                s = casadi.SX.sym("s", nx)
                self._curvature = Buffered(
                    casadi.Function("bend", [x, u, s], [casadi.densify(casadi.tril2symm(second(x, u, s)))]),
                    [(nx,), (nu,), (nx,)],
                    [(nx + nu, nx + nu)],
                )

    def expand(self, X: Array, U: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        """G (H, nz), G (H, nz, nz) of the stages, g (nx,), G (nx, nx) of the last; U (H+1, nu) begins with u_{-1}."""
        return *self._stage(X[:-1], U[:-1], U[1:], p[:-1]), *self._last(X[-1], p[-1])

    def costs(self, Xs: Array, Us: Array, p: Array) -> Array:
        """The objective (S,) of S rollouts Xs (H+1, S, nx), Us (H+1, S, nu)."""
        (stages,) = self._costs[Xs.shape[1]](Xs[:-1], Us[:-1], Us[1:], p[:-1])
        return stages.sum(axis=0) + self.last_costs(Xs[-1], p)

    def last_costs(self, x: Array, p: Array) -> Array:
        """The last stage's part of it (S,), x (S, nx)."""
        return self._last_costs[len(x)](x, p[-1])[0]

    def model(self, x: Array, u: Array) -> Array:
        """Phi (S, nx)."""
        return self._model[len(x)](x, u)[0]

    def jacobian(self, X: Array, U: Array) -> Array:
        """D phi / d[x; u] (H, nx, nx+nu) along a trajectory."""
        return self._jacobian(X[:-1], U[1:])[0].transpose(0, 2, 1)

    def curvature(self, x: Array, u: Array, s: Array) -> Array:
        """Second derivative (nx+nu, nx+nu) of s^T phi over [x; u]."""
        return self._curvature(x, u, s)[0]


class Buffered:
    """A CasADi function called through fixed memory; results are overwritten by the next call.

    `given` and `results`: the shapes its arguments and results have here, or contiguous arrays to hold them. CasADi's
    matrices are column-major, so that an (n, m) matrix there is (m, n) here; what is passed in is broadcast.
    """

    def __init__(self, function: casadi.Function, given: list, results: list):
        self._buffer, self._call = function.buffer()
        self._in, self._out = (
            [a if isinstance(a, np.ndarray) else np.zeros(a) for a in memory] for memory in (given, results)
        )
        for i, array in enumerate(self._in):
            self._buffer.set_arg(i, memoryview(array.reshape(-1)))
        for i, array in enumerate(self._out):
            self._buffer.set_res(i, memoryview(array.reshape(-1)))
        sizes = [array.size for array in (*self._in, *self._out)]
        wanted = [function.nnz_in(i) for i in range(function.n_in())] + [
            function.nnz_out(i) for i in range(function.n_out())
        ]
        if sizes != wanted:
            raise ShapeError(f"buffers of {function.name()}", tuple(wanted), tuple(sizes))

    def __call__(self, *arguments: Array) -> list[Array]:
        for array, given in zip(self._in, arguments):
            array[...] = given
        self._call()
        return self._out
