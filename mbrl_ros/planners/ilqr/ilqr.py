r"""Box-limited iLQR, replanned every tick.

    min_u  sum_{t<H} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H)
    s.t.   x_{t+1} = phi(x_t, u_t) + F_t [x_t; u_t] + f_t,   u_lower <= u_t <= u_upper,   x_lower <= x_t <= x_upper

Sources: iteration Li & Todorov 2004; regularization schedule and line search Tassa, Erez & Todorov, IROS 2012; box
Tassa, Mansard & Todorov, ICRA 2014; state limits by a primal-dual interior point (Waechter & Biegler 2006).
One tick: shift the last plan by the periods that passed, replay it from the measured state with and without its
feedback, go on from the better; then per iteration expand cost and model along the trajectory, run the Riccati
recursion with a box-constrained step, and search the step sizes 2^-i. The previous command is a state of the recursion
(v' = u) when a cost depends on it. kernel.cpp does this compiled, numpy_ilqr.py in readable numpy; this file chooses
and calls either.
"""

from __future__ import annotations

import numpy as np

from ...codegen.symbolic import casadi
from ...config.sections.planner import PlannerSettings
from ...costs import CostModel
from ...dynamics.priors.nonlinear_model import NonlinearModel, of_function
from ...exceptions import CompileError, ConfigurationError, ShapeError
from ...types import (
    Array,
    CommandVector,
    LinearGaussianDynamics,
    Plan,
    PlanStatus,
    StageParameters,
    StateVector,
    checked,
)
from ..base import ProblemShapes, checked_start
from . import kernel, kl_constraint
from .casadi_ilqr import CasadiIlqr
from .memory import Memory, Numbers
from .numpy_ilqr import NumpyIlqr
from .problem import Problem, limits_of

_STATUS = tuple(PlanStatus)


class IlqrPlanner:
    """Plans H stages. Not thread-safe; several planners may live in one process.

    Parameters
    ----------
    cost
        Built once; its parameters p are given with every plan.
    settings
        Of the planners; `backend` chooses what runs.
    nx, nu
        Sizes of x and u.
    u_lower, u_upper
        Limits (nu,) on commands, kept as writable arrays of the same names.
    model
        phi, also as a CasADi SX function (x, u) -> x', if the dynamics given with every plan are only what it leaves
        unexplained; its parameters are read at every plan.
    x_lower, x_upper
        Limits (nx,) on planned states, infinite for none; heeded if settings.state_limits.

    Raises
    ------
    ConfigurationError
        Limits cross, or the cost is empty or not smooth.
    ShapeError
        Sizes do not match.
    CompileError
        settings.backend is "compiled" and the kernel cannot be compiled.
    """

    def __init__(
        self,
        cost: CostModel,
        settings: PlannerSettings,
        nx: int,
        nu: int,
        u_lower: CommandVector,
        u_upper: CommandVector,
        model: NonlinearModel | casadi.Function | None = None,
        x_lower: StateVector | None = None,
        x_upper: StateVector | None = None,
    ):
        if (cost.nx, cost.nu) != (nx, nu):
            raise ShapeError("cost (nx, nu)", (nx, nu), (cost.nx, cost.nu))
        self.cost, self.settings, self.nx, self.nu, self.H = cost, settings, nx, nu, settings.horizon
        u_lower, u_upper = _limits("u", u_lower, u_upper, nu)
        none = np.full(nx, np.inf)
        x_lower, x_upper = _limits("x", -none if x_lower is None else x_lower, none if x_upper is None else x_upper, nx)
        self._kl_constrained = settings.kl_bound > 0.0
        limits = limits_of(x_lower, x_upper) if settings.state_limits else ()
        self.model = model if model is None or isinstance(model, NonlinearModel) else of_function(model)
        several = settings.multiple_shooting
        problem = Problem(cost, self.model, settings.second_order, limits, self._kl_constrained, several)
        problem.check()
        theta = np.zeros(0) if self.model is None else self.model.theta
        self.memory = Memory.allocate(self.H, cost.np, u_lower, u_upper, x_lower, x_upper, theta, len(limits))
        self.u_lower, self.u_upper = self.memory.u_lower, self.memory.u_upper
        self._u_hat = self.memory.u_hat[1:]
        self.backend, self.solver = solver_of(problem, self.memory, settings)
        takes = self.solver if isinstance(self.solver, kernel.CompiledIlqr) else self.memory
        self._take_dynamics, self._take_parameters = takes.take_dynamics, takes.take_parameters
        self._shapes, self._sizes = ProblemShapes(nx, nu, cost.np, self.H), ((nx,), (nu,), (self.H + 1, cost.np))
        self._step_share, self._eta, self._fresh = 1.0, 0.0, True
        self._singular = False  # whether the last plan's controller is none that a plan could be close to

    @property
    def X(self) -> Array:
        """The last plan's states x_hat (H+1, nx)."""
        return self.memory.x_hat

    @property
    def U(self) -> Array:
        """The last plan's commands u_hat (H, nu)."""
        return self._u_hat

    def reset(self, x0: StateVector, u: CommandVector) -> None:
        """Forget the last plan: start from x0 (nx,) with the constant command u (nu,), clipped to its limits.

        Raises ConfigurationError if either is not finite.
        """
        x0, u = checked_start(x0, u, self.nx, self.nu)
        memory, tick = self.memory, self.solver.tick
        memory.x_hat[:] = x0
        memory.u_hat[:] = np.clip(u, self.u_lower, self.u_upper)
        for array in (memory.K, memory.K_u, memory.k, memory.Q_uu, memory.multipliers):
            array[:] = 0.0
        tick.mu, tick.delta, tick.eta, self._eta = 0.0, 1.0, 0.0, 0.0
        tick.barrier, tick.knee, tick.scale = 0.0, 1.0, 1.0
        self._fresh, self._singular = True, False

    def limit_commands(self, lower: CommandVector, upper: CommandVector) -> None:
        """Plan within these limits (nu,) from now on."""
        self.u_lower[:], self.u_upper[:] = lower, upper

    def limit_step(self, share: float) -> None:
        """Keep to `share` (0, 1] of the KL bound, if there is one."""
        self._step_share = share

    def update_settings(self, settings: PlannerSettings) -> None:
        """Take over the settings that may change while running: iterations, tolerance, time_budget, kl_bound.

        Other settings keep their values; a KL bound can be changed but not introduced.
        """
        self.settings = self.settings.replace(
            iterations=settings.iterations,
            tolerance=settings.tolerance,
            time_budget=settings.time_budget,
            kl_bound=settings.kl_bound,
        )
        tick = self.solver.tick
        tick.iterations, tick.tolerance = settings.iterations, settings.tolerance
        tick.time_budget = settings.time_budget

    def plan(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
        ticks: int = 1,
    ) -> Plan:
        """Plan from x0; see planners/base.py. The arrays of the plan belong to the planner."""
        memory, tick, F, f = self.memory, self.solver.tick, dynamics.F, dynamics.f
        stages = F.shape[0]
        if (
            (x0.shape, u_previous.shape, parameters.shape) != self._sizes
            or F.shape[1:] != memory.F.shape[1:]
            or (stages != 1 and stages != self.H)
            or f.shape != (stages, self.nx)
        ):
            self._shapes.check(x0, dynamics, parameters, u_previous)
        memory.x0[:] = x0
        memory.u_previous[:] = u_previous
        self._take_parameters(parameters)
        self._take_dynamics(F, f)
        tick.stages_of_F = stages
        tick.ticks = 0 if self._fresh else ticks
        if self._kl_constrained:
            memory.Sigma[:stages] = dynamics.Sigma
        if self._kl_constrained and not self._fresh and not self._singular and self.settings.kl_bound > 0.0:
            self.solver.shift()
            bound = self._step_share * self.settings.kl_bound
            self._eta = kl_constraint.solve(self.solver, bound, self._eta, self.settings.kl_steps)
            self.solver.commit()
        else:
            tick.eta = 0.0
            self.solver.plan()
        return self.planned()

    @property
    def whole(self) -> bool:
        """Whether all is compiled, so that other compiled code may plan between `begin` and `planned`."""
        return isinstance(self.solver, kernel.CompiledIlqr) and self.model is None and not self._kl_constrained

    def begin(self, parameters: StageParameters, ticks: int) -> None:
        """Let other compiled code write x0, u_previous and the dynamics of one stage into the memory, and plan.

        Parameters
        ----------
        parameters, ticks
            As of `plan`.
        """
        tick, solver = self.solver.tick, self.solver
        if parameters.shape != self._sizes[-1]:
            raise ShapeError("parameters", self._sizes[-1], parameters.shape)
        self._take_parameters(parameters)
        assert isinstance(solver, kernel.CompiledIlqr)
        solver.read_own_dynamics()
        tick.stages_of_F, tick.ticks, tick.eta = 1, 0 if self._fresh else ticks, 0.0

    def planned(self) -> Plan:
        """Return the plan that the solver has made."""
        memory, tick = self.memory, self.solver.tick
        plan = Plan(
            memory.x_hat,
            self._u_hat,
            memory.K,
            memory.K_u,
            memory.k,
            memory.Q_uu,
            tick.cost,
            _STATUS[tick.status],
            tick.iterations_done,
        )
        self._fresh = self._fresh and not plan.usable  # without a plan there is nothing to be close to
        self._singular = plan.status is PlanStatus.KL_BOUND and not _positive_definite(memory.Q_uu)
        return plan


def solver_of(
    problem: Problem, memory: Memory, settings: PlannerSettings
) -> tuple[str, kernel.CompiledIlqr | NumpyIlqr]:
    """Choose what runs: ("compiled", "casadi" or "numpy", the solver)."""
    numbers = Numbers(
        horizon=settings.horizon,
        iterations=settings.iterations,
        step_sizes=settings.line_search,
        tolerance=settings.tolerance,
        time_budget=settings.time_budget,
        temperature=settings.temperature,
        limit_penalty=settings.limit_penalty,
        final_precision=settings.limit_precision,
        clamp_at_limits=int(settings.clamping == "limit"),
    )
    if settings.backend in ("auto", "compiled"):
        library = kernel.load(problem)
        if library is not None:
            return "compiled", kernel.CompiledIlqr(library, memory, numbers)
        if settings.backend == "compiled":
            raise CompileError(
                "planner.backend is 'compiled', but the kernel could not be compiled: the log has the reason; "
                "'auto' goes on without"
            )
    if settings.backend == "numpy":
        return "numpy", NumpyIlqr(problem, memory, numbers)
    return "casadi", CasadiIlqr(problem, memory, numbers)


def _positive_definite(Q: Array) -> bool:
    """Return whether all of Q (H, n, n) is positive definite."""
    return bool(np.linalg.eigvalsh(Q).min() > 0.0)


def _limits(name: str, lower: Array, upper: Array, size: int) -> tuple[Array, Array]:
    """Return both as arrays (size,); ShapeError, or ConfigurationError where they cross."""
    lower, upper = checked(f"{name}_lower", lower, (size,)), checked(f"{name}_upper", upper, (size,))
    for i in np.flatnonzero(~(lower <= upper)):
        raise ConfigurationError(
            f"{name}_lower and {name}_upper cross at entry {i}: {lower[i]:g} > {upper[i]:g}",
            key=name,
            value=(lower[i], upper[i]),
        )
    return lower, upper
