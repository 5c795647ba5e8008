r"""Box-limited iLQR, replanned every tick.

    min_u  sum_{t<H} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H)
    s.t.   x_{t+1} = phi(x_t, u_t) + F_t [x_t; u_t] + f_t,   u_lower <= u_t <= u_upper,   x_lower <= x_t <= x_upper

Sources: iteration Li & Todorov 2004; regularisation schedule and line search Tassa, Erez & Todorov, IROS 2012; box
Tassa, Mansard & Todorov, ICRA 2014; state limits by a relaxed logarithmic barrier (Feller & Ebenbauer,
IEEE TAC 2017).
One tick: shift the last plan by the periods that passed, replay it from the measured state with and without its feedback,
go on from the better; then per iteration expand cost and model along the trajectory, run the Riccati recursion with a
box-constrained step, and search the step sizes 2^-i. The previous command is a state of the recursion (v' = u) when a
cost depends on it. kernel.cpp does this compiled, twin.py in numpy; this file is the door to either.
"""

from __future__ import annotations

import casadi
import numpy as np

from ...config.sections.planner import PlannerSettings
from ...costs import CostModel
from ...exceptions import CompileError, ConfigurationError, ShapeError
from ...types import Array, LinearGaussianDynamics, Plan, PlanStatus, checked
from . import kernel, kl_constraint
from .casadi_ilqr import VirtualMachine
from .numpy_ilqr import Twin
from .problem import Problem, limits_of

_STATUS = tuple(PlanStatus)
COARSE = 0.1  # precision the barrier of the state limits begins with [half ranges]


class IlqrPlanner:
    """Plans H stages. Not thread-safe; several planners may live in one process.

    cost: built once, its parameters p given per tick; nx, nu: sizes of x and u; u_lower, u_upper (nu,): command bounds,
    kept as writable arrays of the same names; model: phi as a CasADi SX function (x, u) -> x', if the dynamics given per
    tick are only what it leaves unexplained; x_lower, x_upper (nx,): limits on the planned states, infinite for none,
    heeded if settings.state_limits. `backend` tells what runs: "compiled", "casadi" or "numpy".

    Raises ConfigurationError for bounds that cross or a cost that is empty or not smooth, ShapeError for sizes that do
    not match, CompileError if settings.backend is "compiled" and it cannot be.
    """

    def __init__(
        self,
        cost: CostModel,
        settings: PlannerSettings,
        nx: int,
        nu: int,
        u_lower: Array,
        u_upper: Array,
        model: casadi.Function | None = None,
        x_lower: Array | None = None,
        x_upper: Array | None = None,
    ):
        if (cost.nx, cost.nu) != (nx, nu):
            raise ShapeError("cost (nx, nu)", (nx, nu), (cost.nx, cost.nu))
        self.cost, self.settings, self.nx, self.nu, self.H = cost, settings, nx, nu, settings.horizon
        H = self.H
        self.u_lower, self.u_upper = _bounds("u", u_lower, u_upper, nu)
        x_lower, x_upper = _bounds(
            "x",
            np.full(nx, -np.inf) if x_lower is None else x_lower,
            np.full(nx, np.inf) if x_upper is None else x_upper,
            nx,
        )
        self._trusted = settings.kl_bound > 0.0
        self.kl_scale = 1.0
        limits = limits_of(x_lower, x_upper) if settings.state_limits else ()
        problem = Problem(cost, model, settings.second_order, limits, self._trusted)
        problem.check()
        half_range = np.where(np.isfinite(x_upper - x_lower), 0.5 * (x_upper - x_lower), 1.0)
        self._x0, self._u_previous, self._p = np.zeros(nx), np.zeros(nu), np.zeros((H + 1, cost.np))
        self._F, self._f, self._Sigma = np.zeros((H, nx, nx + nu)), np.zeros((H, nx)), np.zeros((H, nx, nx))
        self._x_hat, self._U = np.zeros((H + 1, nx)), np.zeros((H + 1, nu))
        self._u_hat = self._U[1:]
        self._K, self._K_u = np.zeros((H, nu, nx)), np.zeros((H, nu, nu))
        self._k, self._Q_uu = np.zeros((H, nu)), np.zeros((H, nu, nu))
        arrays = dict(
            x0=self._x0,
            u_previous=self._u_previous,
            F=self._F,
            f=self._f,
            Sigma=self._Sigma,
            p=self._p,
            u_lower=self.u_lower,
            u_upper=self.u_upper,
            x_lower=x_lower,
            x_upper=x_upper,
            half_range=np.maximum(half_range, 1e-9),
            x_hat=self._x_hat,
            u_hat=self._U,
            K=self._K,
            K_u=self._K_u,
            k=self._k,
            Q_uu=self._Q_uu,
        )
        fields = dict(
            horizon=H,
            iterations=settings.iterations,
            step_sizes=settings.line_search,
            stages_of_F=1,
            tolerance=settings.tolerance,
            time_budget=settings.time_budget,
            temperature=settings.temperature,
            limit_penalty=settings.limit_penalty,
            precision=COARSE,
            final_precision=settings.limit_precision,
            delta=1.0,
        )
        library = kernel.load(problem) if settings.backend in ("auto", "compiled") else None
        if library is None and settings.backend == "compiled":
            raise CompileError(
                "planner.backend is 'compiled', but the kernel could not be compiled: the log says why; "
                "'auto' goes on without"
            )
        self.backend = "compiled" if library else "numpy" if settings.backend == "numpy" else "casadi"
        kinds = {"casadi": VirtualMachine, "numpy": Twin}
        self._backend = (
            kernel.Compiled(library, arrays, **fields) if library else kinds[self.backend](problem, arrays, **fields)
        )
        self._tick, (self._call, self._argument) = self._backend.tick, self._backend.call
        self._shapes = (nx,), (nu,), (H + 1, cost.np)
        self._eta = 0.0
        self._fresh = True

    @property
    def X(self) -> Array:
        """The last plan's states x_hat (H+1, nx)."""
        return self._x_hat

    @property
    def U(self) -> Array:
        """The last plan's commands u_hat (H, nu)."""
        return self._u_hat

    def reset(self, x0: Array, u: Array) -> None:
        """Forget the last plan: start from x0 (nx,) with the constant command u (nu,), clamped to its bounds.

        Raises ConfigurationError if either is not finite.
        """
        x0, u = checked("x0", x0, (self.nx,)), checked("u", u, (self.nu,))
        if not (np.isfinite(x0).all() and np.isfinite(u).all()):
            raise ConfigurationError(f"a plan cannot start from x0 = {x0}, u = {u}: not finite")
        self._x_hat[:] = x0
        self._U[:] = np.clip(u, self.u_lower, self.u_upper)
        for array in (self._K, self._K_u, self._k, self._Q_uu):
            array[:] = 0.0
        self._tick.mu, self._tick.delta, self._tick.eta, self._eta = 0.0, 1.0, 0.0, 0.0
        self._tick.precision = max(COARSE, self.settings.limit_precision)
        self._fresh = True

    def change(self, settings: PlannerSettings) -> None:
        """Take over the settings that may change while running: iterations, tolerance, time_budget, kl_bound.

        Other settings keep their values; a KL bound can be changed but not introduced.
        """
        self.settings = self.settings.replace(
            **{name: getattr(settings, name) for name in ("iterations", "tolerance", "time_budget", "kl_bound")}
        )
        self._tick.iterations, self._tick.tolerance = settings.iterations, settings.tolerance
        self._tick.time_budget = settings.time_budget

    def plan(
        self, x0: Array, dynamics: LinearGaussianDynamics, parameters: Array, u_previous: Array, ticks: int = 1
    ) -> Plan:
        """One tick's plan from x0 (nx,), with the command u_previous (nu,) in effect until then.

        dynamics: leading axis 1 or H; parameters (H+1, np): as from `CostModel.parameters`; ticks: control periods since
        the last plan. The plan's arrays belong to the planner and hold until the next call: copy what must live longer.
        Trouble is a status of the plan, which is then the last good one, shifted. Raises ShapeError.
        """
        tick, F, f = self._tick, dynamics.F, dynamics.f
        stages = F.shape[0]
        if (
            (x0.shape, u_previous.shape, parameters.shape) != self._shapes
            or F.shape[1:] != self._F.shape[1:]
            or (stages != 1 and stages != self.H)
            or f.shape != (stages, self.nx)
        ):
            self._explain(x0, dynamics, parameters, u_previous)
        self._x0[:] = x0
        self._u_previous[:] = u_previous
        self._p[:] = parameters
        self._F[:stages] = F
        self._f[:stages] = f
        tick.stages_of_F = stages
        tick.ticks = 0 if self._fresh else ticks
        if self._trusted and not self._fresh and self.settings.kl_bound > 0.0:
            self._Sigma[:stages] = dynamics.Sigma
            self._backend.shift()
            self._eta = kl_constraint.solve(
                self._backend, self.kl_scale * self.settings.kl_bound, self._eta, self.settings.kl_steps
            )
            self._backend.commit()
        else:
            tick.eta = 0.0
            self._call(self._argument)
        self._fresh = False
        return Plan(
            self._x_hat,
            self._u_hat,
            self._K,
            self._K_u,
            self._k,
            self._Q_uu,
            tick.cost,
            _STATUS[tick.status],
            tick.iterations_done,
        )

    def _explain(self, x0: Array, dynamics: LinearGaussianDynamics, parameters: Array, u_previous: Array) -> None:
        for name, given, expected in zip(
            ("x0", "u_previous", "parameters"), (x0, u_previous, parameters), self._shapes
        ):
            if given.shape != expected:
                raise ShapeError(name, expected, given.shape)
        stages = self.H if dynamics.F.shape[0] == self.H else 1
        for name, given, expected in (
            ("dynamics.F", dynamics.F, (stages, self.nx, self.nx + self.nu)),
            ("dynamics.f", dynamics.f, (stages, self.nx)),
        ):
            if given.shape != expected:
                raise ShapeError(name, expected, given.shape)


def _bounds(name: str, lower: Array, upper: Array, size: int) -> tuple[Array, Array]:
    lower, upper = (
        np.array(checked(f"{name}_lower", lower, (size,))),
        np.array(checked(f"{name}_upper", upper, (size,))),
    )
    for i in np.flatnonzero(~(lower <= upper)):
        raise ConfigurationError(
            f"{name}_lower and {name}_upper cross at entry {i}: {lower[i]:g} > {upper[i]:g}",
            key=name,
            value=(lower[i], upper[i]),
        )
    return lower, upper
