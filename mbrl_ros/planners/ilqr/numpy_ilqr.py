r"""The planner in readable numpy: the specification of kernel.cpp, name by name, and what runs where nothing compiles.

With y = [x; v] (v = u_{t-1}, only if a cost depends on it), z = [y; u] and y' = F z + .., one iteration is

    expand    g_t, G_t: gradient and Gauss-Newton Hessian of l at stage t; F_t: the model's Jacobian + the given F
    backward  Q = G_t + F^T V F (+ s . phi_zz),  q = g_t + F^T s            (V, s: value function at t+1)
              k = argmin 1/2 k^T (Q_uu + mu I) k + q_u^T k,  u_lower <= u + k <= u_upper
              K = -(Q_uu + mu I)^-1 Q_uy on free commands, 0 on clamped ones
              V = Q_yy + Q_yu K + K^T Q_uy + K^T Q_uu K,  s = q_y + Q_yu k + K^T (q_u + Q_uu k)
    roll      u = clamp(u_ref + alpha k + K (y - y_ref)), all step sizes alpha = 2^-i side by side; the cheapest is kept

Equations: Tassa, Erez & Todorov 2012 (5-11), Tassa, Mansard & Todorov 2014 (algorithm 1). State limits: see
limits.py. KL bound: see trust.py.
"""

from __future__ import annotations

import time

import numpy as np

from ...types import Array, PlanStatus
from .barrier import Barrier
from .box_qp import NotPositiveDefinite, box_step
from .evaluator import Evaluator
from .problem import Problem

MU_MIN, MU_MAX, DELTA0 = 1e-6, 1e10, 2.0
FAILED = (PlanStatus.NOT_POSITIVE_DEFINITE, PlanStatus.NOT_FINITE, PlanStatus.DIVERGED, PlanStatus.INFEASIBLE_BOX)


class Twin:
    """The same fields as tick.h's Tick as attributes of `tick` (itself), arrays in place of pointers, and the same calls.

    `stages` keeps (Q, q, V, s) of the last backward pass for the tests.
    """

    def __init__(self, problem: Problem, arrays: dict[str, Array], horizon: int, step_sizes: int, **fields):
        self.tick = self
        self.problem, self.horizon, self.step_sizes = problem, horizon, step_sizes
        self.nx, self.nu, self.ny = problem.nx, problem.nu, problem.nx + problem.nv
        self.iterations_done = self.status = 0
        self.mu, self.eta, self.cost = 0.0, 0.0, np.inf
        self.__dict__.update(arrays)
        self.__dict__.update(fields)
        self.barrier = Barrier(problem.limited, self.x_lower, self.x_upper, self.half_range, self.limit_penalty)
        self.alphas = 0.5 ** np.arange(step_sizes)[:, None]
        self.evaluate = Evaluator(problem, horizon, (2, step_sizes))  # the replays of a warm start, the line search
        self.call = lambda _: self.plan(), None

    # --- one tick ------------------------------------------------------------------------------------------------

    def plan(self) -> None:
        self.shift()
        self.solve()
        self.commit()

    def shift(self) -> None:
        for array in (self.x_hat, self.u_hat, self.K, self.K_u, self.k, self.Q_uu):
            by = min(self.ticks, len(array) - 1)
            if by > 0:
                array[:-by] = array[by:].copy()
                array[-by:] = array[-by - 1]

    def solve(self) -> None:
        self.iterations_done = 0
        S = self.stages_of_F
        given = (
            self.x0,
            self.u_previous,
            self.F[:S],
            self.f[:S],
            self.p,
            self.Sigma[:S] if self.problem.trust else self.x0,
        )
        if not np.all(self.u_lower <= self.u_upper):
            self.status = PlanStatus.INFEASIBLE_BOX
        elif not all(np.isfinite(array).all() for array in given):
            self.status = PlanStatus.NOT_FINITE
        else:
            with np.errstate(all="ignore"):
                self.status = self._iterate()
            if self.status in FAILED:
                self.mu, self.delta = 0.0, 1.0

    def commit(self) -> None:
        if self.status in FAILED:
            return
        self.x_hat[:], self.u_hat[:], self.k[:] = self.X, self.U, self.new_k
        self.K[:] = self.new_K[:, :, : self.nx]
        if self.ny > self.nx:
            self.K_u[:] = self.new_K[:, :, self.nx :]
        self.Q_uu[:] = self.new_Q_uu / (self.temperature + self.eta)

    def _iterate(self) -> PlanStatus:
        begin = time.perf_counter()
        K, gain = self._gains(), np.arange(2.0)[:, None]  # the old commands without, and with, the old feedback
        self.merit = np.inf
        moved, improved = self._roll(self.x_hat, self.u_hat, K, self.k, 0.0 * gain, gain), False
        if not moved:
            return PlanStatus.DIVERGED
        while self.iterations_done < self.iterations:
            if moved:
                self.X, self.U = self.X_best, self.U_best
                self._sharpen()
                self._expand()
            while True:
                try:
                    slope, curve = self._backward()
                    break
                except NotPositiveDefinite:
                    self._harder()
                    if self.mu > MU_MAX:
                        return PlanStatus.NOT_POSITIVE_DEFINITE
            if not np.isfinite(slope + curve):
                return PlanStatus.NOT_FINITE
            self.iterations_done += 1
            moved = False
            settled = -(slope + curve) <= self.tolerance * (1.0 + abs(self.merit))
            if settled:
                if not self.barrier or self.precision <= self.final_precision:
                    return PlanStatus.CONVERGED
                self._sharpen()
            else:
                moved = self._roll(self.X, self.U, self.new_K, self.new_k, self.alphas, np.ones_like(self.alphas))
                self._softer() if moved else self._harder()
            improved = improved or moved
            if self.mu > MU_MAX:
                break
            spent, done = time.perf_counter() - begin, self.iterations_done
            if 0.0 < self.time_budget * done < spent * (done + 1) and done < self.iterations:
                if moved:
                    self.X, self.U = self.X_best, self.U_best
                return PlanStatus.TIME_BUDGET
        if moved:
            self.X, self.U = self.X_best, self.U_best
        return PlanStatus.MAX_ITERATIONS if improved else PlanStatus.NO_IMPROVEMENT

    # --- expansion and Riccati recursion -------------------------------------------------------------------------

    def _expand(self) -> None:
        H, nx, ny = self.horizon, self.nx, self.ny
        self.g, self.G, self.g_last, self.G_last = self.evaluate.expand(self.X, self.U, self.p)
        F = np.broadcast_to(self.F[: self.stages_of_F], (H, nx, nx + self.nu))
        if self.evaluate.model_given:
            F = F + self.evaluate.jacobian(self.X, self.U)
        if ny == nx:
            self.F_y = F
        else:  # y' = [x'; u]
            self.F_y = np.zeros((H, ny, ny + self.nu))
            self.F_y[:, :nx, :nx], self.F_y[:, :nx, ny:] = F[:, :, :nx], F[:, :, nx:]
            self.F_y[:, nx:, ny:] = np.eye(self.nu)

    def _backward(self) -> tuple[float, float]:
        """Fills new_K (H, nu, ny), new_k, new_Q_uu; returns the model's J(alpha) - J = alpha slope + alpha^2 curve."""
        H, nx, ny, nu = self.horizon, self.nx, self.ny, self.nu
        self.new_K, self.new_k = np.empty((H, nu, ny)), np.empty((H, nu))
        self.new_Q_uu, self.stages = np.empty((H, nu, nu)), [None] * H
        V, s = np.zeros((ny, ny)), np.zeros(ny)
        V[:nx, :nx], s[:nx] = self.G_last, self.g_last
        self.barrier.add_to(V, s, self.X[H], self.precision)
        lower, upper = self.u_lower - self.U[1:], self.u_upper - self.U[1:]
        slope = curve = 0.0
        for t in range(H - 1, -1, -1):
            F = self.F_y[t]
            Q, q = self.G[t] + F.T @ (V @ F), self.g[t] + s @ F
            if self.problem.second_order and self.evaluate.model_given:
                i = np.r_[:nx, ny : ny + nu]
                Q[np.ix_(i, i)] += self.evaluate.curvature(self.X[t], self.U[t + 1], s[:nx])
            if self.eta:
                self._add_pull(Q, q, t)
            Q_uu, Q_uy, q_u = Q[ny:, ny:], Q[ny:, :ny], q[ny:]
            k, K = box_step(Q_uu + self.mu * np.eye(nu) if self.mu else Q_uu, q_u, lower[t], upper[t], Q_uy)
            Q_uu_k = Q_uu @ k
            slope, curve = slope + k @ q_u, curve + 0.5 * k @ Q_uu_k
            Q_yu_K = Q_uy.T @ K
            V = Q[:ny, :ny] + Q_yu_K + Q_yu_K.T + K.T @ (Q_uu @ K)
            s = q[:ny] + k @ Q_uy + (q_u + Q_uu_k) @ K
            if t > 0:
                self.barrier.add_to(V, s, self.X[t], self.precision)
            V = 0.5 * (V + V.T)
            self.new_K[t], self.new_k[t], self.new_Q_uu[t] = K, k, Q_uu
            self.stages[t] = Q, q, V, s
        return slope, curve

    # --- rollouts ------------------------------------------------------------------------------------------------

    def _roll(self, x_ref: Array, u_ref: Array, K: Array, k: Array, alpha: Array, gain: Array) -> bool:
        """Roll out one trajectory per row of alpha (S, 1) and gain (S, 1); keep the best if its merit is below the present."""
        Xs, Us, costs = self._simulate(x_ref, u_ref, K, k, alpha, gain)
        merits = costs + self._extra(Xs, Us)
        best = int(np.argmin(np.where(np.isfinite(merits), merits, np.inf)))
        if not merits[best] < self.merit:
            return False
        self.merit, self.cost = merits[best], costs[best]
        self.X_best, self.U_best = Xs[:, best].copy(), Us[:, best].copy()
        return True

    def _simulate(
        self, x_ref: Array, u_ref: Array, K: Array, k: Array, alpha: Array, gain: Array
    ) -> tuple[Array, Array, Array]:
        """States (H+1, S, nx), commands (H+1, S, nu) and costs (S,) of S rollouts."""
        H, nx, nu, ny, S = self.horizon, self.nx, self.nu, self.ny, len(alpha)
        Xs, Us = np.zeros((H + 1, S, nx)), np.zeros((H + 1, S, nu))
        Xs[0], Us[0] = self.x0, self.u_previous
        y_ref = np.concatenate([x_ref[:H], u_ref[:H]], axis=1)[:, :ny]
        for t in range(H):
            y = np.concatenate([Xs[t], Us[t]], axis=1)[:, :ny]
            u = u_ref[t + 1] + alpha * k[t] + gain * ((y - y_ref[t]) @ K[t].T)
            Us[t + 1] = u = np.minimum(np.maximum(u, self.u_lower), self.u_upper)
            i = t if self.stages_of_F > 1 else 0
            Xs[t + 1] = Xs[t] @ self.F[i, :, :nx].T + u @ self.F[i, :, nx:].T + self.f[i]
            if self.evaluate.model_given:
                Xs[t + 1] += self.evaluate.model(Xs[t], u)
        return Xs, Us, self.evaluate.costs(Xs, Us, self.p)

    def _extra(self, Xs: Array, Us: Array) -> Array | float:
        """Terms of state limits and trust region (S,) of the rollouts, or 0."""
        extra = self.barrier.value(Xs[1:], self.precision).sum(axis=(0, 2)) if self.barrier else 0.0
        if self.eta:
            K = self._gains()
            y = np.concatenate([Xs, Us], axis=2)[:-1, :, : self.ny]
            y_hat = np.concatenate([self.x_hat, self.u_hat], axis=1)[:-1, : self.ny]
            e = Us[1:] - self.u_hat[1:, None] - np.einsum("tji,tsi->tsj", K, y - y_hat[:, None])
            extra = extra + 0.5 * self.eta * np.einsum("tsi,tij,tsj->s", e, self.Q_uu, e)
        return extra

    # --- state limits, trust region, regularisation --------------------------------------------------------------

    def _sharpen(self) -> None:
        """A sharper barrier, and the merit of the trajectory under it."""
        if self.barrier and self.precision > self.final_precision:
            before = self.barrier.value(self.X[1:], self.precision).sum()
            self.precision = max(0.1 * self.precision, self.final_precision)
            self.merit += self.barrier.value(self.X[1:], self.precision).sum() - before

    def _gains(self) -> Array:
        return np.concatenate([self.K, self.K_u], axis=2) if self.ny > self.nx else self.K

    def _add_pull(self, Q: Array, q: Array, t: int) -> None:
        """eta/2 e^T P e with e = u - u_hat - K_bar (y - y_hat), the last plan's controller."""
        K = self._gains()[t]
        M = np.concatenate([-K, np.eye(self.nu)], axis=1)
        dy = np.concatenate([self.X[t] - self.x_hat[t], self.U[t] - self.u_hat[t]])[: self.ny]
        e = self.U[t + 1] - self.u_hat[t + 1] - K @ dy
        Q += self.eta * M.T @ self.Q_uu[t] @ M
        q += self.eta * M.T @ (self.Q_uu[t] @ e)

    def divergence(self) -> float:
        """sum_t E KL(new controller || last controller); see trust.py."""
        H, nx, ny, nu = self.horizon, self.nx, self.ny, self.nu
        S, total, K_bar = np.zeros((ny, ny)), 0.0, self._gains()
        for t in range(H):
            P, P_new = self.Q_uu[t], self.new_Q_uu[t] / (self.temperature + self.eta)
            K, F = self.new_K[t], self.F_y[t]
            log_p, log_q = np.linalg.slogdet(P)[1], np.linalg.slogdet(P_new)[1]
            if min(np.linalg.eigvalsh(P)[0], np.linalg.eigvalsh(P_new)[0]) <= 0.0:
                return np.inf
            C, D = np.linalg.inv(P_new), K - K_bar[t]
            dy = np.concatenate([self.X[t] - self.x_hat[t], self.U[t] - self.u_hat[t]])[:ny]
            e = self.U[t + 1] - self.u_hat[t + 1] - K_bar[t] @ dy
            total += 0.5 * (np.sum(P * (C + np.outer(e, e) + D @ S @ D.T)) - nu + log_q - log_p)
            A, B = F[:, :ny], F[:, ny:]
            noise = np.zeros((ny, ny))
            noise[:nx, :nx] = self.Sigma[t if self.stages_of_F > 1 else 0]
            S = (A + B @ K) @ S @ (A + B @ K).T + B @ C @ B.T + noise
        return float(total)

    def _harder(self) -> None:
        self.delta = max(DELTA0, self.delta * DELTA0)
        self.mu = max(MU_MIN, self.mu * self.delta)

    def _softer(self) -> None:
        self.delta = min(1.0 / DELTA0, self.delta / DELTA0)
        self.mu = self.mu * self.delta if self.mu * self.delta >= MU_MIN else 0.0
