r"""Box-limited iLQR, replanned every tick.

    min_u  sum_{t<H} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H)
    s.t.   x_{t+1} = F_t [x_t; u_t] + f_t,   u_lower <= u_t <= u_upper

Sources: iteration Li & Todorov 2004; regularisation schedule and line search Tassa, Erez & Todorov, IROS 2012; box
Tassa, Mansard & Todorov, ICRA 2014. One tick: shift the last plan by the periods that passed, replay it from the measured
state with and without its feedback, go on from the better; then per iteration expand the cost along the trajectory, run the
Riccati recursion with a box-constrained step, and search the step sizes 2^-i. The previous command is a state of the
recursion (v' = u) when a cost depends on it.
"""

from __future__ import annotations

import ctypes
import logging

import numpy as np

from ..costs import CostModel
from ..exceptions import CompileError, ConfigurationError, ShapeError
from ..settings import PlannerSettings
from ..types import Array, LinearGaussianDynamics, Plan, PlanStatus, checked
from . import kernel

_log = logging.getLogger(__name__)
_STATUS = tuple(PlanStatus)


class IlqrPlanner:
    """Plans H stages. Not thread-safe; several planners may live in one process.

    cost: built once, its parameters p given per tick; nx, nu: sizes of x and u; u_lower, u_upper (nu,): command
    bounds. Raises ConfigurationError for bounds that cross, ShapeError for sizes that do not match.
    """

    def __init__(self, cost: CostModel, settings: PlannerSettings, nx: int, nu: int, u_lower: Array, u_upper: Array):
        if (cost.nx, cost.nu) != (nx, nu):
            raise ShapeError("cost", (nx, nu), (cost.nx, cost.nu))
        self.cost, self.settings, self.nx, self.nu, self.H = cost, settings, nx, nu, settings.horizon
        self.u_lower, self.u_upper = (np.array(checked(name, bound, (nu,))) for name, bound in
                                      (("u_lower", u_lower), ("u_upper", u_upper)))
        for i in np.flatnonzero(~(self.u_lower <= self.u_upper)):
            raise ConfigurationError(f"bounds of command {i} cross: lower {self.u_lower[i]:g}, upper {self.u_upper[i]:g}")
        H = self.H
        self._shapes = ((nx,), (nu,), (H + 1, cost.np))
        self._x0, self._u_previous = np.zeros(nx), np.zeros(nu)
        self._p = np.zeros((H + 1, cost.np))
        self._x_hat, self._U = np.zeros((H + 1, nx)), np.zeros((H + 1, nu))
        self._u_hat = self._U[1:]
        self._K, self._K_u = np.zeros((H, nu, nx)), np.zeros((H, nu, nu))
        self._k, self._Q_uu = np.zeros((H, nu)), np.zeros((H, nu, nu))
        self._F, self._f = np.zeros((H, nx, nx + nu)), np.zeros((H, nx))
        library = kernel.load(cost)
        if library is None:
            raise CompileError("the planner kernel could not be compiled; the log says why")
        self._work = kernel.aligned(library.work_size(H))
        self._tick = tick = kernel.Tick(horizon=H, iterations=settings.iterations, step_sizes=settings.line_search,
                                        tolerance=settings.tolerance, time_budget=settings.time_budget, delta=1.0)
        for name, array in (("x0", self._x0), ("u_previous", self._u_previous), ("F", self._F), ("f", self._f),
                            ("p", self._p), ("u_lower", self.u_lower), ("u_upper", self.u_upper),
                            ("x_hat", self._x_hat), ("u_hat", self._U), ("K", self._K), ("K_u", self._K_u),
                            ("k", self._k), ("Q_uu", self._Q_uu), ("work", self._work)):
            setattr(tick, name, array.ctypes.data)
        self._call, self._address = library.plan, ctypes.c_void_p(ctypes.addressof(tick))
        self._fresh = True
        self.backend = "compiled"

    @property
    def X(self) -> Array:
        """The last plan's states x_hat (H+1, nx)."""
        return self._x_hat

    @property
    def U(self) -> Array:
        """The last plan's commands u_hat (H, nu)."""
        return self._u_hat

    def reset(self, x0: Array, u: Array) -> None:
        """Forget the last plan: start from x0 (nx,) with the constant command u (nu,), clamped to its bounds."""
        self._x_hat[:] = checked("x0", x0, (self.nx,))
        self._U[:] = np.clip(checked("u", u, (self.nu,)), self.u_lower, self.u_upper)
        for array in (self._K, self._K_u, self._k, self._Q_uu):
            array[:] = 0.0
        self._tick.mu, self._tick.delta = 0.0, 1.0
        self._fresh = True

    def plan(self, x0: Array, dynamics: LinearGaussianDynamics, parameters: Array, u_previous: Array, ticks: int = 1) -> Plan:
        """One tick's plan from x0 (nx,), with the command u_previous (nu,) in effect until then.

        dynamics: leading axis 1 or H; parameters (H+1, np): as from `CostModel.parameters`; ticks: control periods since
        the last plan. The plan's arrays belong to the planner and hold until the next call: copy what must live longer.
        Trouble is a status of the plan, which is then the last good one, shifted. Raises ShapeError.
        """
        tick, F = self._tick, dynamics.F
        stages = F.shape[0]
        if ((x0.shape, u_previous.shape, parameters.shape) != self._shapes
                or F.shape[1:] != self._F.shape[1:] or stages not in (1, self.H) or dynamics.f.shape != (stages, self.nx)):
            self._explain(x0, dynamics, parameters, u_previous)
        self._x0[:] = x0
        self._u_previous[:] = u_previous
        self._p[:] = parameters
        self._F[:stages] = F
        self._f[:stages] = dynamics.f
        tick.stages_of_F = stages
        tick.shift = 0 if self._fresh else ticks
        self._call(self._address)
        self._fresh = False
        return Plan(self._x_hat, self._u_hat, self._K, self._K_u, self._k, self._Q_uu, tick.cost, _STATUS[tick.status],
                    tick.iterations_done)

    def _explain(self, x0: Array, dynamics: LinearGaussianDynamics, parameters: Array, u_previous: Array) -> None:
        for name, given, expected in zip(("x0", "u_previous", "parameters"), (x0, u_previous, parameters), self._shapes):
            if given.shape != expected:
                raise ShapeError(name, expected, given.shape)
        stages = self.H if dynamics.F.shape[0] == self.H else 1
        for name, given, expected in (("dynamics.F", dynamics.F, (stages, self.nx, self.nx + self.nu)),
                                      ("dynamics.f", dynamics.f, (stages, self.nx))):
            if given.shape != expected:
                raise ShapeError(name, expected, given.shape)
