r"""The local controller about a plan that has none: the linear-quadratic regulator of the expansion along it.

    min  sum_{t<H} (1/2 dz^T G_t dz + g_t^T dz) + 1/2 dx_H^T G_H dx_H + g_H^T dx_H,   dz = [dx; du_{t-1}; du]
    s.t. dx' = F_t [dx; du],   F_t = the given F + d phi / d[x; u] along the plan

with deviations dx, du from the plan, and g, G gradient and Gauss-Newton Hessian of the cost. Its Riccati recursion
gives K_t, K_u_t and Q_uu_t. A planned command that is at a limit stays there: its rows of K and K_u are zero, and the
other rows are those of the problem without it. The recursion is that of iLQR (ilqr/gains.py), so that a plan which
iLQR could not improve gets the gains that iLQR would give it.

`PlanMemory` holds the plan of a planner that finds trajectories only: shooting by samples, collocation, tree search.
"""

from __future__ import annotations

import numpy as np

from ..dynamics.priors.nonlinear_model import NonlinearModel
from ..types import (
    Array,
    CommandTrajectory,
    CommandVector,
    LinearGaussianDynamics,
    Plan,
    PlanStatus,
    StageParameters,
    StateTrajectory,
    StateVector,
    checked,
)
from .base import PlannerContext, ProblemShapes, checked_start
from .ilqr import kernel
from .ilqr.box_qp import step_to
from .ilqr.gains import find_gains
from .ilqr.ilqr import solver_of
from .ilqr.memory import Memory
from .ilqr.problem import Problem


class PlanMemory:
    """The last plan X (H+1, nx), U (H, nu) with its local controller; not thread-safe.

    `model`: phi, if the dynamics given with a plan are what it leaves unexplained. `settings` of the context: horizon,
    backend and temperature are used. Raises ConfigurationError for a cost that cannot be expanded, CompileError where
    settings.backend is "compiled" and nothing compiles.
    """

    def __init__(self, context: PlannerContext, model: NonlinearModel | None = None):
        problem, settings = Problem(context.cost, model), context.settings
        problem.check()
        self.problem, self.model, self._nx, self._nu = problem, model, context.nx, context.nu
        H, unlimited = settings.horizon, np.full(context.nx, np.inf)
        theta = np.zeros(0) if model is None else model.theta
        memory = self.memory = Memory.allocate(
            H, context.cost.np, context.u_lower, context.u_upper, -unlimited, unlimited, theta, 0
        )
        memory.u_lower, memory.u_upper = np.zeros((H, self._nu)), np.zeros((H, self._nu))  # of every stage
        self.backend, self.solver = solver_of(problem, memory, settings)
        self.solver.tick.stages_of_limits = H
        takes = self.solver if isinstance(self.solver, kernel.CompiledIlqr) else memory
        self._take_dynamics, self._take_parameters = takes.take_dynamics, takes.take_parameters
        self.X, self.U = memory.x_hat, memory.u_hat[1:]

    def reset(self, x0: StateVector, u: CommandVector) -> None:
        """Rest at x0 (nx,) with the command u (nu,) and no feedback; ConfigurationError if either is not finite."""
        x0, u = checked_start(x0, u, self._nx, self._nu)
        self.X[:], self.memory.u_hat[:] = x0, u
        self.memory.k[:] = 0.0
        self._forget_gains()

    def shift(self, ticks: int) -> None:
        """Move the plan and its controller on by `ticks` periods; the last stage repeats."""
        self.memory.shift(ticks)

    def take_problem(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
    ) -> None:
        """Take what is given to `Planner.plan`; F and the parameters may be read where they lie."""
        memory = self.memory
        memory.x0[:], memory.u_previous[:] = x0, u_previous
        self._take_parameters(parameters)
        self._take_dynamics(dynamics.F, dynamics.f)
        self.solver.tick.stages_of_F = len(dynamics.F)

    def take(
        self,
        X: StateTrajectory,
        U: CommandTrajectory,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
        u_lower: CommandVector,
        u_upper: CommandVector,
    ) -> PlanStatus | None:
        """Take a new plan and find the controller about it.

        Parameters
        ----------
        X, U
            States (H+1, nx) and commands (H, nu) of the plan.
        dynamics, parameters, u_previous
            As given to `Planner.plan`.
        u_lower, u_upper
            Limits (nu,) of commands.

        Returns
        -------
        PlanStatus | None
            None, or why there is no controller (NOT_FINITE, NOT_POSITIVE_DEFINITE): the plan stands, and its gains and
            Q_uu are zero.
        """
        memory, tick = self.memory, self.solver.tick
        step = U - self.U
        self.X[:], self.U[:] = X, U
        memory.u_hat[0] = u_previous
        at_limit = (step_to(u_lower, U) >= 0.0) | (step_to(u_upper, U) <= 0.0)
        memory.u_lower[:], memory.u_upper[:] = np.where(at_limit, U, -np.inf), np.where(at_limit, U, np.inf)
        self.take_problem(X[0], dynamics, parameters, u_previous)
        find_gains(self.solver)
        memory.k[:] = step
        if tick.status == PlanStatus.MAX_ITERATIONS:
            return None
        self._forget_gains()
        return PlanStatus(tick.status)

    def plan(self, cost: float, status: PlanStatus, iterations: int) -> Plan:
        """Return the plan, whose arrays belong to this memory; k is the step (H, nu) from the shifted last plan."""
        memory = self.memory
        return Plan(self.X, self.U, memory.K, memory.K_u, memory.k, memory.Q_uu, cost, status, iterations)

    def _forget_gains(self) -> None:
        for array in (self.memory.K, self.memory.K_u, self.memory.Q_uu):
            array[:] = 0.0


class TrajectoryPlanner:
    """What those `Planner`s have in common that find trajectories and keep them in a `PlanMemory`, `memory`."""

    def __init__(self, context: PlannerContext, model: NonlinearModel | None = None):
        self.model, self.memory = model, PlanMemory(context, model)
        self.nx, self.nu, self.H = context.nx, context.nu, context.settings.horizon
        self.u_lower = np.array(checked("u_lower", context.u_lower, (self.nu,)))
        self.u_upper = np.array(checked("u_upper", context.u_upper, (self.nu,)))
        self.shapes = ProblemShapes(self.nx, self.nu, context.cost.np, self.H)

    @property
    def X(self) -> Array:
        """The last plan's states x_hat (H+1, nx)."""
        return self.memory.X

    @property
    def U(self) -> Array:
        """The last plan's commands u_hat (H, nu)."""
        return self.memory.U

    def limit_commands(self, lower: CommandVector, upper: CommandVector) -> None:
        """Plan within these limits (nu,) from now on."""
        self.u_lower[:], self.u_upper[:] = lower, upper

    def limit_step(self, share: float) -> None:
        """Do nothing: the distance from the last plan is not bounded."""
