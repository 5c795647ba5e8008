r"""The planner in readable numpy: the specification of kernel.cpp, name by name, and what runs where nothing compiles.

With y = [x; v] (v = u_{t-1}, only if a cost depends on it), z = [y; u] and y' = F z + .., one iteration is

    expand    g_t, G_t: gradient and Gauss-Newton Hessian of l at stage t; F_t: the model's Jacobian + the given F
    backward  Q = G_t + F^T V F (+ s . phi_zz),  q = g_t + F^T s            (V, s: value function at t+1)
              k = argmin 1/2 k^T (Q_uu + mu I) k + q_u^T k,  u_lower <= u + k <= u_upper
                  (positive definite over the commands that stay free; see box_qp.py)
              K = -(Q_uu + mu I)^-1 Q_uy on free commands, 0 on clamped ones
              V = Q_yy + Q_yu K + K^T Q_uy + K^T Q_uu K,  s = q_y + Q_yu k + K^T (q_u + Q_uu k)
    roll      u = clamp(u_ref + alpha k + K (y - y_ref)), all step sizes alpha = 2^-i side by side; the cheapest is kept

The second derivatives s . phi_zz (DDP) make convergence quadratic near a minimum. Where they leave some stage without a
minimum, or predict a decrease above NEAR_MINIMUM, the pass is repeated without them (Gauss-Newton). mu grows where
there is no minimum without them either, or where no step size lowers the objective.

Equations: Tassa, Erez & Todorov 2012 (5-11), Tassa, Mansard & Todorov 2014 (algorithm 1). State limits: see
barrier.py. KL bound: see kl_constraint.py.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import numpy as np

from ...types import Array, PlanStatus
from . import multiple_shooting, regularization
from .barrier import Barrier
from .box_qp import Clamping, NotPositiveDefinite, box_step, step_limits
from .evaluator import CostEvaluator, Evaluator, ModelEvaluator, next_states, with_previous
from .kl_constraint import Controller, add_kl_term, divergence, kl_terms
from .memory import FAILED, Memory, Numbers, out_of_time
from .problem import Problem

NEAR_MINIMUM = 0.01  # predicted decrease, relative to 1 + |merit|, up to which second derivatives are used


class NumpyIlqr:
    """A `Solver` in numpy. The arrays and numbers are those of its memory and tick, under the same names as in tick.h.

    `stages` keeps (Q, q, V, s) of every stage of the last backward pass, for the tests.
    """

    def __init__(self, problem: Problem, memory: Memory, numbers: Numbers):
        self.problem, self.memory, self.tick = problem, memory, numbers
        self.horizon, self.nx, self.nu, self.ny = numbers.horizon, problem.nx, problem.nu, problem.nx + problem.nv
        self.barrier = Barrier(problem.limited, memory, numbers)
        self.alphas = np.array([[0.5**i] for i in range(numbers.step_sizes)])
        rollouts = 2, numbers.step_sizes  # side by side: the replays of a warm start, and the line search
        self.evaluate: CostEvaluator = (evaluator := Evaluator(problem, numbers.horizon, rollouts))
        self.last_costs = evaluator.last_costs
        self.model = None if problem.model is None else ModelEvaluator(problem, numbers.horizon, rollouts)
        H, nx, nu, ny, nz = self.horizon, self.nx, self.nu, self.ny, self.ny + self.nu
        self.merit, self._clock, self.clamping = np.inf, time.perf_counter, Clamping.STEP
        self.gaps: Array | None = None  # (H, nx); see multiple_shooting.py
        self.gap_cost, self.step_size = 0.0, 0.0  # merit of the gaps; the last step taken
        self.X, self.U = np.zeros((H + 1, nx)), np.zeros((H + 1, nu))  # the nominal trajectory
        self.X_best, self.U_best = self.X, self.U  # the best rollout since
        self.g, self.G, self.F_y = np.zeros((H, nz)), np.zeros((H, nz, nz)), np.zeros((H, ny, nz))
        self.g_last, self.G_last = np.zeros(nx), np.zeros((nx, nx))
        self.new_K, self.new_k, self.new_Q_uu = np.zeros((H, nu, ny)), np.zeros((H, nu)), np.zeros((H, nu, nu))
        self._kept = self.X, self.U, self.new_K, self.new_k, self.new_Q_uu
        self.stages: list[tuple[Array, Array, Array, Array]] = []

    def plan(self) -> None:
        """See `Solver`."""
        self.shift()
        self.solve()
        self.commit()

    def shift(self) -> None:
        """See `Solver`."""
        self.memory.shift(self.tick.ticks)

    def solve(self) -> None:
        """See `Solver`."""
        tick = self.tick
        tick.iterations_done, self.clamping = 0, Clamping(tick.clamp_at_limits)
        wrong = self.memory.wrong(tick.stages_of_F, self.problem.kl_constrained)
        if wrong is not None:
            tick.status = wrong
            return
        with np.errstate(all="ignore"):
            tick.status = multiple_shooting.iterate(self) if self.problem.multiple_shooting else self._iterate()
        if tick.status in FAILED:
            regularization.reset(self.tick)

    def commit(self) -> None:
        """See `Solver`."""
        tick, m = self.tick, self.memory
        if tick.status in FAILED or tick.status == PlanStatus.KL_BOUND:
            return
        self.stay()
        m.k[:] = self.new_k
        m.K[:] = self.new_K[:, :, : self.nx]
        if self.ny > self.nx:
            m.K_u[:] = self.new_K[:, :, self.nx :]
        m.Q_uu[:] = self.new_Q_uu / (tick.temperature + tick.eta)

    def stay(self) -> None:
        """See `Solver`."""
        self.memory.x_hat[:], self.memory.u_hat[:] = self.X, self.U

    def keep(self) -> None:
        """See `Solver`."""
        self._kept = self.X, self.U, self.new_K, self.new_k, self.new_Q_uu

    def restore(self) -> None:
        """See `Solver`."""
        self.X, self.U, self.new_K, self.new_k, self.new_Q_uu = self._kept

    def use_clock(self, clock: Callable[[], float]) -> None:
        """See `Solver`."""
        self._clock = clock

    def now(self) -> float:
        """See `Solver`."""
        return self._clock()

    def divergence(self) -> float:
        """See `Solver`."""
        m, P = self.memory, self.new_Q_uu / (self.tick.temperature + self.tick.eta)
        new = Controller(self.X, self.U, self.new_K, P, m.u_lower, m.u_upper)
        return divergence(
            new, Controller.of_last_plan(self.memory, self.ny), self.F_y, m.Sigma[: self.tick.stages_of_F]
        )

    def _iterate(self) -> PlanStatus:
        tick, m, begin = self.tick, self.memory, self._clock()
        gain: Array = np.arange(2.0)[:, None]  # the old commands without, and with, the old feedback
        moved, improved, self.merit = True, False, np.inf
        for tick.wall in (np.inf, 0.0) if self.barrier else (0.0,):  # preferably within the limits of states
            if self.roll(
                m.x_hat, m.u_hat, Controller.of_last_plan(self.memory, self.ny).K, m.k, np.zeros((2, 1)), gain
            ):
                break
        else:
            return PlanStatus.DIVERGED
        self._reweigh(lambda: self.barrier.begin(self.X_best), self.X_best)
        unregularized = False  # the step without regularization was tried from here
        while tick.iterations_done < tick.iterations:
            if moved:
                self.X, self.U = self.X_best, self.U_best
                self.expand()
            try:
                slope, curve = self._sharpened_step()
                if self._settled(slope + curve) and tick.mu > 0.0:  # it makes any step small: that without it decides
                    regularization.reset(self.tick)
                    if unregularized:
                        break
                    unregularized = True
                    slope, curve = self.step_down()
            except NotPositiveDefinite:
                return PlanStatus.NOT_POSITIVE_DEFINITE
            if not np.isfinite(slope + curve):
                return PlanStatus.NOT_FINITE
            tick.iterations_done += 1
            moved = False
            if self._settled(slope + curve):
                return PlanStatus.CONVERGED
            moved = self.roll(self.X, self.U, self.new_K, self.new_k, self.alphas, np.ones_like(self.alphas))
            if moved:
                self.barrier.follow(self.X, self.X_best)
            self.clamping = regularization.adapt(tick, moved, self.clamping)
            improved, unregularized = improved or moved, unregularized and not moved
            if tick.mu > regularization.MU_MAX:
                regularization.reset(self.tick)
                break
            if out_of_time(tick, self._clock() - begin):
                if moved:
                    self.X, self.U = self.X_best, self.U_best
                return PlanStatus.TIME_BUDGET
        if moved:
            self.X, self.U = self.X_best, self.U_best
        return PlanStatus.MAX_ITERATIONS if improved else PlanStatus.NO_IMPROVEMENT

    def step_down(self) -> tuple[float, float]:
        """Run one backward pass: with the model's second derivatives near a minimum, else Gauss-Newton.

        The latter with as much regularization as it needs; raises NotPositiveDefinite where MU_MAX is not enough.
        """
        if self.problem.second_order and self.model is not None and self.gaps is None:
            with contextlib.suppress(NotPositiveDefinite):
                slope, curve = self.backward(second_order=True)
                if -(slope + curve) <= NEAR_MINIMUM * (1.0 + abs(self.merit)):
                    return slope, curve
        while True:
            try:
                return self.backward()
            except NotPositiveDefinite:
                regularization.increase(self.tick)
                if self.tick.mu > regularization.MU_MAX:
                    raise

    def expand(self) -> None:
        """Expand cost and model along the nominal trajectory."""
        H, nx = self.horizon, self.nx
        self.g, self.G, self.g_last, self.G_last = self.evaluate.expand(self.X, self.U, self.memory.p)
        F: Array = np.broadcast_to(self.memory.F[: self.tick.stages_of_F], (H, nx, nx + self.nu))
        if self.model is not None:
            F = F + self.model.jacobian(self.X, self.U)
        self.F_y = F if self.ny == nx else with_previous(F)

    def backward(self, second_order: bool = False) -> tuple[float, float]:
        """Fill new_K (H, nu, ny), new_k and new_Q_uu; return (slope, curve).

        They predict the objective's change for a step size alpha: J(alpha) - J = alpha slope + alpha^2 curve.
        `second_order`: with the second derivatives of the model. Raises NotPositiveDefinite.
        """
        H, nx, ny, nu, mu = self.horizon, self.nx, self.ny, self.nu, self.tick.mu
        self.new_K, self.new_k, self.new_Q_uu = np.empty((H, nu, ny)), np.empty((H, nu)), np.empty((H, nu, nu))
        V, s = np.zeros((ny, ny)), np.zeros(ny)
        V[:nx, :nx], s[:nx] = self.G_last, self.g_last
        self.barrier.add_to(V, s, self.X[H], H)
        lower, upper = step_limits(self.U[1:], self.memory.u_lower, self.memory.u_upper, self.clamping)
        slope, curve, self.stages = 0.0, 0.0, []
        for t in range(H - 1, -1, -1):
            F = self.F_y[t]
            if self.gaps is not None:
                rise = V[:, :nx] @ self.gaps[t]
                slope, curve = slope + s[:nx] @ self.gaps[t], curve + 0.5 * rise[:nx] @ self.gaps[t]
                s = s + rise
            Q, q = self.G[t] + F.T @ (V @ F), self.g[t] + s @ F
            if second_order and self.model is not None:
                i = np.r_[:nx, ny : ny + nu]
                Q[np.ix_(i, i)] += self.model.curvature(self.X[t], self.U[t + 1], s[:nx])
            if self.tick.eta:
                add_kl_term(Q, q, t, self.X, self.U, Controller.of_last_plan(self.memory, self.ny), self.tick.eta)
            Q_uu, Q_uy, q_u = Q[ny:, ny:], Q[ny:, :ny], q[ny:]
            regular = Q_uu + mu * np.eye(nu) if mu else Q_uu
            k, K = box_step(regular, q_u, lower[t], upper[t], Q_uy, self.problem.kl_constrained)
            Q_uu_k = Q_uu @ k
            slope, curve = slope + k @ q_u, curve + 0.5 * k @ Q_uu_k
            Q_yu_K = Q_uy.T @ K
            V = Q[:ny, :ny] + Q_yu_K + Q_yu_K.T + K.T @ (Q_uu @ K)
            s = q[:ny] + k @ Q_uy + (q_u + Q_uu_k) @ K
            if t > 0:
                self.barrier.add_to(V, s, self.X[t], t)
            V = 0.5 * (V + V.T)
            self.new_K[t], self.new_k[t], self.new_Q_uu[t] = K, k, Q_uu
            self.stages.insert(0, (Q, q, V, s))
        return slope, curve

    def roll(self, x_ref: Array, u_ref: Array, K: Array, k: Array, alpha: Array, gain: Array) -> bool:
        """Roll out one trajectory per row of alpha (S, 1) and gain (S, 1); keep the best if it improves the merit."""
        Xs, Us, costs = self.simulate(x_ref, u_ref, K, k, alpha, gain)
        merits = costs + self._extra(Xs, Us) + (1.0 - alpha[:, 0]) * self.gap_cost
        best = int(np.argmin(np.where(np.isfinite(merits), merits, np.inf)))
        if not merits[best] < self.merit:
            return False
        self.merit, self.tick.cost, self.step_size = merits[best], costs[best], float(alpha[best, 0])
        self.X_best, self.U_best = Xs[:, best].copy(), Us[:, best].copy()
        return True

    def simulate(
        self, x_ref: Array, u_ref: Array, K: Array, k: Array, alpha: Array, gain: Array
    ) -> tuple[Array, Array, Array]:
        """Return states (H+1, S, nx), commands (H+1, S, nu) and costs (S,) of S rollouts; see `roll`."""
        m, H, nx, nu, ny, S = self.memory, self.horizon, self.nx, self.nu, self.ny, len(alpha)
        Xs, Us = np.zeros((H + 1, S, nx)), np.zeros((H + 1, S, nu))
        Xs[0], Us[0] = m.x0, m.u_previous
        y_ref = np.concatenate([x_ref[:H], u_ref[:H]], axis=1)[:, :ny]
        for t in range(H):
            y = np.concatenate([Xs[t], Us[t]], axis=1)[:, :ny]
            u = u_ref[t + 1] + alpha * k[t] + gain * ((y - y_ref[t]) @ K[t].T)
            Us[t + 1] = u = np.minimum(np.maximum(u, m.u_lower), m.u_upper)
            Xs[t + 1] = next_states(m, t if self.tick.stages_of_F > 1 else 0, self.model, Xs[t], u)
            if self.gaps is not None:
                Xs[t + 1] -= (1.0 - alpha) * self.gaps[t]
        return Xs, Us, self.evaluate.costs(Xs, Us, m.p)

    def _extra(self, Xs: Array, Us: Array) -> Array | float:
        """Evaluate the terms of state limits and KL constraint (S,) of the rollouts; 0 without them."""
        extra: Array | float = 0.0
        if self.barrier:
            extra = self.barrier.value(Xs[1:]).sum(axis=(0, 2))
        if self.tick.eta:
            extra = extra + kl_terms(Xs, Us, Controller.of_last_plan(self.memory, self.ny), self.tick.eta)
        return extra

    def _sharpened_step(self) -> tuple[float, float]:
        """Run a backward pass, again with a sharper barrier for as long as it predicts little."""
        while True:
            slope, curve = self.step_down()
            if not self.barrier.settled(-(slope + curve), self.tick.tolerance * (1.0 + abs(self.merit))):
                return slope, curve
            self._reweigh(self.barrier.sharpen, self.X)

    def _reweigh(self, change: Callable[[], None], X: Array) -> None:
        """Change the barrier, and take the merit of X under it."""
        if self.barrier:
            before = self.barrier.value(X[1:]).sum()
            change()
            self.merit += self.barrier.value(X[1:]).sum() - before

    def _settled(self, change: float) -> bool:
        return bool(-change <= self.tick.tolerance * (1.0 + abs(self.merit)))
