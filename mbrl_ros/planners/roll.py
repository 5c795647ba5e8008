"""Rollouts of a plan's feedback law through cost and model, by CasADi's virtual machine."""

from __future__ import annotations

import numpy as np

from ..types import Array, CommandTrajectory, CommandVector, StateTrajectory, StateVector
from .ilqr.casadi_ilqr import roll_stage
from .ilqr.evaluator import Buffered, Evaluator
from .ilqr.problem import Problem


class Roll:
    """Roll a plan out through the model, and sum its cost."""

    def __init__(self, problem: Problem, H: int):
        nx, nu = problem.nx, problem.nu
        self._ny, self._H = nx + problem.nv, H
        self._rolled = np.zeros((H + 1, 1, nx + nu))
        theta = 0 if problem.model is None else problem.model.theta.size
        ny, command = self._ny, (H, 1, nu)
        given: list[tuple[int, ...]] = [(1, nx + nu), (H, 1, ny), (H, 1, ny), command, command, command, (H, nu, ny)]
        given += [(H, nx, nx + nu), (H, 1, nx), (H, problem.cost.np), (H, theta)]
        chain = roll_stage(problem, ny, 1).mapaccum("roll", H, 1)
        self._chain = Buffered(chain, given, [self._rolled[1:], (H, 1)])
        self._evaluate = Evaluator(problem, H, (1,))

    def __call__(
        self,
        x0: StateVector,
        u_previous: CommandVector,
        X: StateTrajectory,
        U: CommandTrajectory,
        K: Array,
        limits: tuple[Array, Array],
        model: tuple[Array, Array, Array, Array],
    ) -> tuple[StateTrajectory, CommandTrajectory, float]:
        """Return states, commands and cost of the law about X, U with gains K (H, nu, nx+nu); model: F, f, p, theta."""
        (F, f, p, theta), nx, ny = model, x0.size, self._ny
        rolled = self._rolled
        rolled[0, 0, :nx], rolled[0, 0, nx:] = x0, u_previous
        y = np.concatenate((X[:-1], np.concatenate((u_previous[None], U[:-1]))), axis=1)[:, None, :ny]
        _, costs = self._chain(rolled[0], y, 1.0, U[:, None], *limits, K[:, :, :ny], F, f[:, None], p[:-1], theta)
        cost = float(costs.sum() + self._evaluate.last_costs(rolled[-1, :, :nx], p)[0])
        return rolled[:, 0, :nx].copy(), rolled[1:, 0, nx:].copy(), cost
