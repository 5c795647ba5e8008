"""The planner of numpy_ilqr.py with its two loops over the horizon in CasADi's virtual machine: the fallback.

It is what runs where nothing compiles. Backward pass and rollouts are one CasADi function each, a chain of H equal
stages. The box QP is solved by the primal-dual active set method (Hintermueller, Ito & Kunisch 2002) in a few passes at
most. Where those do not end at the solution or Q_uu is not positive definite, and for parts that need more
(second-order terms, KL constraint), the loop in numpy is run instead. The results are the same.
"""

from __future__ import annotations

import numpy as np

from ...codegen.symbolic import casadi
from ...types import Array
from .box_qp import step_limits
from .evaluator import Buffered
from .memory import Memory, Numbers
from .numpy_ilqr import NumpyIlqr
from .problem import Problem

PASSES = 6  # of the active set method; two or three are usual


class CasadiIlqr(NumpyIlqr):
    """A `Solver` like NumpyIlqr, with another backward pass and other rollouts."""

    def __init__(self, problem: Problem, memory: Memory, numbers: Numbers):
        super().__init__(problem, memory, numbers)
        H, nx, nu, ny = self.horizon, self.nx, self.nu, self.ny
        nz = ny + nu
        self._backward_chain = Buffered(
            backward_stage(nx, ny, nu).mapaccum("backward", H, 2),
            [(ny, ny), (ny,), (H, ny, nz), (H, nz), (H, nz, nz), (H, nu), (H, nu), (H,)],
            [(H, ny, ny), (H, ny), (H, nu, ny), (H, nu), (H, nu, nu), (H,), (H,), (H,)],
        )
        numbers_of_rollouts = {2, numbers.step_sizes}
        self._rolled = {S: np.zeros((H + 1, S, nx + nu)) for S in numbers_of_rollouts}  # [x_t; u_{t-1}]
        self._roll_chains = {
            S: Buffered(
                roll_stage(problem, ny, S).mapaccum("roll", H, 1),
                [
                    (S, nx + nu),
                    (H, S, ny),
                    (H, S, ny),
                    (H, S, nu),
                    (H, S, nu),
                    (H, S, nu),
                    (H, nu, ny),
                    (H, nx, nx + nu),
                    (H, S, nx),
                    (H, problem.cost.np),
                    (H, memory.theta.size),
                ],
                [rolled[1:], (H, S)],
            )
            for S, rolled in self._rolled.items()
        }

    def backward(self, second_order: bool = False) -> tuple[float, float]:
        """See `NumpyIlqr.backward`."""
        if self.tick.eta or second_order or self.gaps is not None:
            return super().backward(second_order)
        H, nx, ny = self.horizon, self.nx, self.ny
        g, G, V, s = self.g, self.G, np.zeros((ny, ny)), np.zeros(ny)
        V[:nx, :nx], s[:nx] = self.G_last, self.g_last
        if self.barrier:  # as if they were part of the stages' costs
            self.barrier.add_to(V, s, self.X[H], H)
            g, G = g.copy(), G.copy()
            for t in range(1, H):
                self.barrier.add_to(G[t], g[t], self.X[t], t)
        lower, upper = step_limits(self.U[1:], self.memory.u_lower, self.memory.u_upper, self.clamping)
        _, _, K, k, Q_uu, slopes, curves, failures = self._backward_chain(
            V, s, self.F_y[::-1], g[::-1], G[::-1], lower[::-1], upper[::-1], self.tick.mu
        )
        slope, curve = slopes.sum(), curves.sum()
        if failures.any() or not np.isfinite(slope + curve):
            return super().backward()
        self.new_K, self.new_k = K[::-1].copy(), k[::-1].copy()
        self.new_Q_uu = Q_uu[::-1].copy()
        return slope, curve

    def simulate(
        self, x_ref: Array, u_ref: Array, K: Array, k: Array, alpha: Array, gain: Array
    ) -> tuple[Array, Array, Array]:
        """See `NumpyIlqr.simulate`."""
        if self.gaps is not None:
            return super().simulate(x_ref, u_ref, K, k, alpha, gain)
        m, stages = self.memory, self.tick.stages_of_F
        H, nx, ny, S = self.horizon, self.nx, self.ny, len(alpha)
        y_ref = np.concatenate([x_ref[:H], u_ref[:H]], axis=1)[:, None, :ny]
        rolled = self._rolled[S]
        rolled[0, :, :nx], rolled[0, :, nx:] = m.x0, m.u_previous
        _, costs = self._roll_chains[S](
            rolled[0],
            y_ref,
            gain,
            u_ref[1:, None] + alpha * k[:, None],
            m.u_lower,
            m.u_upper,
            K,
            m.F[:stages],
            m.f[:stages, None],
            m.p[:-1],
            m.theta,
        )
        total = costs.sum(axis=0) + self.last_costs(rolled[-1, :, :nx], m.p)
        return rolled[:, :, :nx], rolled[:, :, nx:], total


def backward_stage(nx: int, ny: int, nu: int) -> casadi.Function:
    """(V, s | F^T, g, G, lower, upper, mu) -> (V, s, K^T, k, Q_uu, slope, curve, failure) of one stage.

    failure is 0 when all went well. In place of V = Q_yy + Q_yu K + K^T (Q_uy + Q_uu K) of numpy_ilqr.py stands
    Q_yy + (Q_uy - mu K)^T K, the same, since Q_uu K = -Q_uy - mu K on free rows.
    """
    V, s = casadi.MX.sym("V", ny, ny), casadi.MX.sym("s", ny)
    F_T, g, G = casadi.MX.sym("F_T", ny + nu, ny), casadi.MX.sym("g", ny + nu), casadi.MX.sym("G", ny + nu, ny + nu)
    lower, upper, mu = casadi.MX.sym("lower", nu), casadi.MX.sym("upper", nu), casadi.MX.sym("mu")
    Q, q = casadi.mac(F_T @ V, F_T.T, G), casadi.mac(F_T, s, g)
    Q_uy, Q_uu, q_u = Q[ny:, :ny], Q[ny:, ny:], q[ny:]
    regular = Q_uu + mu * casadi.DM.eye(nu)
    alone = -q_u / casadi.diag(regular)  # by itself each command would meet this bound, or none
    side = (alone > upper) - (alone < lower)
    state = active_set(nu)(casadi.vertcat(casadi.DM.zeros(nu), side, 0.0), regular, q_u, lower, upper)
    k, free = state[:nu], state[nu : 2 * nu] == 0.0
    masked = regular * (free @ free.T) + casadi.diag(1.0 - free)
    K = -casadi.solve(masked, casadi.repmat(free, 1, ny) * Q_uy, "ldl")
    bent = (Q_uy - mu * K).T
    V_new, s_new = casadi.mac(bent, K, Q[:ny, :ny]), casadi.mac(bent, k, q[:ny])
    return casadi.Function(
        "backward_stage",
        [V, s, F_T, g, G, lower, upper, mu],
        [
            0.5 * (V_new + V_new.T),
            s_new,
            K.T,
            k,
            Q_uu,
            casadi.dot(k, q_u),
            0.5 * casadi.bilin(Q_uu, k, k),
            1.0 - state[2 * nu] * positive_definite(nu)(regular),
        ],
    )


def active_set(nu: int) -> casadi.Function:
    """Chain PASSES passes of the active set method; those after the solution do nothing."""
    one_pass = active_set_pass(nu)
    arguments = [casadi.MX.sym(one_pass.name_in(i), *one_pass.size_in(i)) for i in range(one_pass.n_in())]
    nothing = casadi.Function("nothing", arguments, [arguments[0]])
    whole = one_pass
    for _ in range(PASSES - 1):
        state = one_pass(*arguments)
        rest = casadi.Function.if_else("rest", nothing, whole)
        whole = casadi.Function("passes", arguments, [rest(state[2 * nu], state, *arguments[1:])])
    return whole


def active_set_pass(nu: int) -> casadi.Function:
    """(state, Q, q, lower, upper) -> state = [k; side; settled] after one pass.

    side (nu,): -1, 0, 1 for a command at its lower bound, free, at its upper.
    """
    state, Q, q = casadi.SX.sym("state", 2 * nu + 1), casadi.SX.sym("Q", nu, nu), casadi.SX.sym("q", nu)
    lower, upper = casadi.SX.sym("lower", nu), casadi.SX.sym("upper", nu)
    side = state[nu : 2 * nu]
    free = side == 0.0
    bound = casadi.if_else(side > 0, upper, casadi.if_else(side < 0, lower, 0.0))
    rest = -free * (q + Q @ bound)
    M = Q * (free @ free.T) + casadi.diag(1.0 - free)  # the identity in rows and columns of commands at a bound
    L, pivots = factors(M)
    x: list[casadi.SX] = []
    for j in range(nu):
        x.append(rest[j] - sum(L[j, m] * x[m] for m in range(j)))
    x = [entry / pivot for entry, pivot in zip(x, pivots, strict=True)]
    for i in reversed(range(nu)):
        x[i] -= sum(L[m, i] * x[m] for m in range(i + 1, nu))
    k = casadi.vertcat(*x) + bound
    gradient = q + Q @ k
    slack = 1e-12 * (1.0 + casadi.fabs(k))  # so that rounding at a bound cannot make the sides alternate
    fresh = casadi.if_else(free, (k > upper + slack) - (k < lower - slack), side * (side * gradient < 0.0))
    settled = casadi.SX(1.0)
    for i in range(nu):
        settled = casadi.logic_and(settled, fresh[i] == side[i])
    inside = casadi.fmin(casadi.fmax(k, lower), upper)
    return casadi.Function(
        "active_set_pass",
        [state, Q, q, lower, upper],
        [casadi.vertcat(inside, fresh, settled)],
        ["state", "Q", "q", "lower", "upper"],
        ["state_new"],
        {"cse": True},
    )


def factors(M: casadi.SX) -> tuple[casadi.SX, list[casadi.SX]]:
    """Return L below its diagonal of ones, and D: M = L D L^T."""
    n = M.size1()
    L, LD, pivots = casadi.SX(n, n), casadi.SX(n, n), []
    for j in range(n):
        pivots.append(M[j, j] - sum(L[j, m] * LD[j, m] for m in range(j)))
        for i in range(j + 1, n):
            LD[i, j] = M[i, j] - sum(LD[i, m] * L[j, m] for m in range(j))
            L[i, j] = LD[i, j] / pivots[j]
    return L, pivots


def positive_definite(nu: int) -> casadi.Function:
    """Q (nu, nu) -> 1 if it is positive definite, else 0."""
    Q = casadi.SX.sym("Q", nu, nu)
    return casadi.Function("positive_definite", [Q], [casadi.mmin(casadi.vertcat(*factors(Q)[1])) > 0.0], {"cse": True})


def roll_stage(problem: Problem, ny: int, rollouts: int) -> casadi.Function:
    """([x; v] | y_ref, gain, u_ref + alpha k, lower, upper, K^T, F^T, f, p, theta) -> [x'; u], l.

    All but K, F, p and theta have a column per rollout.
    """
    nx, nu = problem.nx, problem.nu
    z, y_ref, gain = (
        casadi.MX.sym(name, size, rollouts) for name, size in (("z", nx + nu), ("y_ref", ny), ("gain", ny))
    )
    u_ref, lower, upper = (casadi.MX.sym(name, nu, rollouts) for name in ("u_ref", "lower", "upper"))
    K_T, F_T, f = casadi.MX.sym("K_T", ny, nu), casadi.MX.sym("F_T", nx + nu, nx), casadi.MX.sym("f", nx, rollouts)
    p, theta = casadi.MX.sym("p", problem.cost.np), casadi.MX.sym("theta", 0)
    u = casadi.mac(K_T.T, (z[:ny, :] - y_ref) * gain, u_ref)
    u = casadi.fmin(casadi.fmax(u, lower), upper)
    following = casadi.mac(F_T.T, casadi.vertcat(z[:nx, :], u), f)
    if problem.model is not None:
        theta = casadi.MX.sym("theta", problem.model.theta.size)
        model = problem.model.phi.map("side_by_side", "serial", rollouts, [2], [])
        following += model(z[:nx, :], u, theta)
    costs = problem.cost.stage.map("side_by_side", "serial", rollouts, [3], [])(z[:nx, :], z[nx:, :], u, p)
    given = [z, y_ref, gain, u_ref, lower, upper, K_T, F_T, f, p, theta]
    return casadi.Function("roll_stage", given, [casadi.vertcat(following, u), costs])
