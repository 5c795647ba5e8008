"""The feedback policy about the plan in hand: the linear-quadratic regulator inside the limits of commands.

u = U_t + k_t + K_t dx + K_u_t du_{t-1}, one backward pass of iLQR (ilqr/gains.py) about the plan X, U.
"""

from __future__ import annotations

import numpy as np

from ...dynamics.priors.nonlinear_model import NonlinearModel
from ...types import Array, CommandVector, LinearGaussianDynamics, PlanStatus, StageParameters
from ..base import PlannerContext
from ..ilqr import kernel
from ..ilqr.gains import find_gains
from ..ilqr.ilqr import solver_of
from ..ilqr.memory import Memory
from ..ilqr.problem import Problem


class FeedbackPolicy:
    """K (H, nu, nx), K_u (H, nu, nu), k (H, nu) and the cost's curvature Q_uu (H, nu, nu) about the last `about`."""

    def __init__(self, context: PlannerContext, model: NonlinearModel | None = None):
        problem, settings = Problem(context.cost, model), context.settings.replace(temperature=1.0)
        problem.check()
        unlimited, theta = np.full(context.nx, np.inf), np.zeros(0) if model is None else model.theta
        memory = self._memory = Memory.allocate(
            settings.horizon, context.cost.np, context.u_lower, context.u_upper, -unlimited, unlimited, theta, 0
        )
        self.backend, self._solver = solver_of(problem, memory, settings)
        self.K, self.K_u, self.k, self.Q_uu = memory.K, memory.K_u, memory.k, memory.Q_uu

    def about(
        self,
        X: Array,
        U: Array,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_lower: CommandVector,
        u_upper: CommandVector,
    ) -> bool:
        """Find the policy about X (H+1, nx), U (H+1, nu), which begins with u_{-1}; False: none, all of it is zero."""
        memory, tick = self._memory, self._solver.tick
        memory.x_hat[:], memory.u_hat[:] = X, U
        memory.x0[:], memory.u_previous[:] = X[0], U[0]
        memory.u_lower[:], memory.u_upper[:] = u_lower, u_upper
        tick.stages_of_F = len(dynamics.F)
        takes = self._solver if isinstance(self._solver, kernel.CompiledIlqr) else memory
        takes.take_dynamics(dynamics.F, dynamics.f)
        takes.take_parameters(parameters)
        find_gains(self._solver)
        found = tick.status == PlanStatus.MAX_ITERATIONS
        if not found:
            for array in (self.K, self.K_u, self.k, self.Q_uu):
                array[:] = 0.0
        return found
