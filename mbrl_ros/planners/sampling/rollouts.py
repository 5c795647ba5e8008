r"""The cost of many command sequences: K rollouts of the same problem from the same state.

    J(U) = sum_{t<H} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H),   x_{t+1} = phi(x_t, u_t) + F_t [x_t; u_t] + f_t

`CompiledRollouts` runs them over SIMD lanes, one lane a rollout, in as many threads as a setting says
(ilqr/samples.h); `SpecifiedRollouts` in numpy and CasADi is its specification, and what runs where nothing compiles.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...types import Array, CommandTrajectory, CommandVector, StateTrajectory
from ..feedback import PlanMemory
from ..ilqr import kernel
from ..ilqr.evaluator import Evaluator, ModelEvaluator


class Rollouts(Protocol):
    """Rollouts of the problem that a `PlanMemory` was given last."""

    def begin(self, u_lower: CommandVector, u_upper: CommandVector) -> bool:
        """Take the problem with these limits (nu,) of commands; False if anything in it is not finite."""

    def costs(self, U: Array) -> Array:
        """Return the costs (K,) of commands U (K, H, nu), contiguous; the next call overwrites them."""

    def states(self, U: Array) -> tuple[StateTrajectory, float]:
        """Return the states (H+1, nx) of the commands U (H, nu), and their cost."""

    def disturb(self, mixing: Array, white: Array, factor: Array, mean: Array, deviation: Array, U: Array) -> None:
        """Write mean + factor deviation (mixing white), within the limits, to U (K, H, nu).

        mixing (H, H), white noise (K, H, nu), factor (K,), mean (H, nu), deviation (H, nu); all contiguous.
        """

    def replay(self) -> tuple[CommandTrajectory, float]:
        """Replay the memory's plan from the state, by its commands alone and with its feedback, within the limits.

        Returns the commands (H, nu) of the cheaper one and its cost.
        """


def rollouts_of(memory: PlanMemory, populations: set[int], threads: int) -> Rollouts:
    """Make the rollouts for the numbers of samples `populations`, compiled if the memory's backend is."""
    if isinstance(memory.solver, kernel.CompiledIlqr):
        return CompiledRollouts(memory, memory.solver, max(populations), threads)
    return SpecifiedRollouts(memory, populations)


class CompiledRollouts:
    """`Rollouts` by the compiled kernel."""

    def __init__(self, memory: PlanMemory, solver: kernel.CompiledIlqr, most: int, threads: int):
        self._memory, self._solver, self._threads = memory, solver, threads
        self._costs, self._X = np.zeros(most), np.zeros_like(memory.X)

    def begin(self, u_lower: CommandVector, u_upper: CommandVector) -> bool:
        """See `Rollouts`."""
        self._memory.memory.u_lower[0], self._memory.memory.u_upper[0] = u_lower, u_upper
        return self._solver.begin_samples()

    def costs(self, U: Array) -> Array:
        """See `Rollouts`."""
        costs = self._costs[: len(U)]
        self._solver.sample(U, costs, None, self._threads)
        return costs

    def states(self, U: Array) -> tuple[StateTrajectory, float]:
        """See `Rollouts`."""
        self._solver.sample(U[None], self._costs[:1], self._X, 1)
        return self._X, float(self._costs[0])

    def disturb(self, mixing: Array, white: Array, factor: Array, mean: Array, deviation: Array, U: Array) -> None:
        """See `Rollouts`."""
        self._solver.disturb(mixing, white, factor, mean, deviation, U)

    def replay(self) -> tuple[CommandTrajectory, float]:
        """See `Rollouts`."""
        U = np.empty_like(self._memory.U)
        cost = self._solver.replay(U)
        return U, cost


class SpecifiedRollouts:
    """`Rollouts` in numpy and CasADi."""

    def __init__(self, memory: PlanMemory, populations: set[int]):
        problem, sizes = memory.problem, tuple(sorted({1, 2, *populations}))
        self._memory, self._nx, self._limits = memory, problem.nx, (np.zeros(0), np.zeros(0))
        self._evaluate = Evaluator(problem, len(memory.U), sizes)
        self._model = None if problem.model is None else ModelEvaluator(problem, len(memory.U), sizes)

    def begin(self, u_lower: CommandVector, u_upper: CommandVector) -> bool:
        """See `Rollouts`."""
        memory, self._limits = self._memory.memory, (u_lower, u_upper)
        return memory.wrong(self._memory.solver.tick.stages_of_F, noise=False) is None

    def costs(self, U: Array) -> Array:
        """See `Rollouts`."""
        return self._roll(U)[1]

    def states(self, U: Array) -> tuple[StateTrajectory, float]:
        """See `Rollouts`."""
        X, costs = self._roll(U[None])
        return X[:, 0], float(costs[0])

    def disturb(self, mixing: Array, white: Array, factor: Array, mean: Array, deviation: Array, U: Array) -> None:
        """See `Rollouts`."""
        U[:] = np.clip(mean + factor[:, None, None] * deviation * np.matmul(mixing, white), *self._limits)

    def replay(self) -> tuple[CommandTrajectory, float]:
        """See `Rollouts`."""
        m, (H, nu) = self._memory.memory, self._memory.U.shape
        x, v, U = np.tile(m.x0, (2, 1)), np.tile(m.u_previous, (2, 1)), np.empty((2, H, nu))
        gain: Array = np.arange(2.0)[:, None]
        with np.errstate(all="ignore"):
            for t in range(H):
                change = (x - m.x_hat[t]) @ m.K[t].T + (v - m.u_hat[t]) @ m.K_u[t].T
                U[:, t] = v = np.clip(m.u_hat[t + 1] + gain * change, *self._limits)
                x = self._step(x, v, t)
        costs = self._roll(U)[1]
        best = int(costs[1] < costs[0])
        return U[best], float(costs[best])

    def _step(self, x: Array, u: Array, t: int) -> Array:
        """Return the states (K, nx) that follow on x (K, nx) and u (K, nu) at stage t."""
        memory, nx = self._memory.memory, self._nx
        i = t if self._memory.solver.tick.stages_of_F > 1 else 0
        following: Array = x @ memory.F[i, :, :nx].T + u @ memory.F[i, :, nx:].T + memory.f[i]
        return following if self._model is None else following + self._model.predict(x, u)

    def _roll(self, U: Array) -> tuple[Array, Array]:
        """Return states (H+1, K, nx) and costs (K,)."""
        memory, nx = self._memory.memory, self._nx
        K, H, nu = U.shape
        Xs, Us = np.empty((H + 1, K, nx)), np.empty((H + 1, K, nu))
        Xs[0], Us[0], Us[1:] = memory.x0, memory.u_previous, U.transpose(1, 0, 2)
        with np.errstate(all="ignore"):
            for t in range(H):
                Xs[t + 1] = self._step(Xs[t], Us[t + 1], t)
            return Xs, self._evaluate.costs(Xs, Us, memory.p)
