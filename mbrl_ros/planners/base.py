r"""The planner interface: from the state, the dynamics and the cost to a local controller for the next H stages.

    min E [ sum_{t<H} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H) ]
    s.t.  x_{t+1} ~ N(F_t [x_t; u_t] + f_t, Sigma_t),     u_lower <= u_t <= u_upper,     x_lower <= x_t <= x_upper

with x (nx,), u (nu,) and the stage parameters p (H+1, np) of the cost (costs/__init__.py). The answer is a `Plan`, the
affine law u_t = u_hat_t + K_t (x_t - x_hat_t) + K_u_t (u_{t-1} - u_hat_{t-1}).

A planner plug-in is a module with `Settings` (a section of its own, `planner.NAME.KEY`) and

    build(settings: Settings, context: PlannerContext) -> Planner

`control.planner` names it. What all planners have in common (horizon, iterations, ...) are the settings `planner.KEY`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..config import registry
from ..config.configuration import Configuration
from ..config.sections.planner import PlannerSettings
from ..costs import CostModel
from ..dynamics.priors.nonlinear_model import NonlinearModel
from ..exceptions import ConfigurationError, ShapeError
from ..types import Array, CommandVector, LinearGaussianDynamics, Plan, StateVector, checked


@dataclass(frozen=True, eq=False, slots=True)
class PlannerContext:
    """What a planner is built for.

    cost: the objective, whose parameters p come with every plan; nx, nu: sizes of x and u; u_lower, u_upper (nu,):
    limits on commands [unit of u]; x_lower, x_upper (nx,): limits on states, infinite where there is none; settings:
    those that all planners have in common; model: builds phi, for a planner that plans through it.
    """

    cost: CostModel
    settings: PlannerSettings
    nx: int
    nu: int
    u_lower: Array
    u_upper: Array
    x_lower: Array
    x_upper: Array
    model: Callable[[], NonlinearModel] | None = None

    def nonlinear(self, key: str, value: object = True) -> NonlinearModel:
        """Return phi; ConfigurationError about the setting `key`, whose `value` asks for it, where there is none."""
        why = "there is none here"
        try:
            if self.model is not None:
                return self.model()
        except ConfigurationError as error:
            why = str(error)
        raise ConfigurationError(f"'{key}' plans through a nonlinear prior: {why}", key=key, value=value)


class ProblemShapes:
    """The shapes of what a planner is given with every plan; count: of the cost's parameters."""

    def __init__(self, nx: int, nu: int, count: int, horizon: int):
        self._given = (nx,), (nu,), (horizon + 1, count)
        self._stages = {stages: ((stages, nx, nx + nu), (stages, nx)) for stages in (1, horizon)}

    def check(self, x0: Array, dynamics: LinearGaussianDynamics, parameters: Array, u_previous: Array) -> None:
        """Raise the ShapeError of the first argument of `Planner.plan` that has the wrong shape."""
        F, f = self._stages.get(len(dynamics.F), self._stages[1])
        names = ("x0", "u_previous", "parameters", "dynamics.F", "dynamics.f")
        arrays = (x0, u_previous, parameters, dynamics.F, dynamics.f)
        for name, array, shape in zip(names, arrays, (*self._given, F, f), strict=True):
            if array.shape != shape:
                raise ShapeError(name, shape, array.shape)


class Planner(Protocol):
    """Plans H stages, once per control period; not thread-safe."""

    @property
    def model(self) -> NonlinearModel | None:
        """Its phi, where the dynamics given with a plan are what that leaves, x' = phi + F [x; u] + f; else None."""

    @property
    def X(self) -> Array:
        """The last plan's states x_hat (H+1, nx); not to be written to."""

    @property
    def U(self) -> Array:
        """The last plan's commands u_hat (H, nu); not to be written to."""

    def reset(self, x0: Array, u: Array) -> None:
        """Forget the last plan: begin at x0 (nx,) with the constant command u (nu,), clipped to its limits."""

    def plan(
        self, x0: Array, dynamics: LinearGaussianDynamics, parameters: Array, u_previous: Array, ticks: int = 1
    ) -> Plan:
        """Plan from x0.

        Parameters
        ----------
        x0
            State (nx,) at which the first command of the plan begins to act.
        dynamics
            Leading axis 1 (the same for all stages) or H.
        parameters
            Stage parameters (H+1, np), as from `CostModel.parameters`.
        u_previous
            Command (nu,) in effect until then.
        ticks
            Control periods since the last plan.

        Returns
        -------
        Plan
            Its arrays may belong to the planner and hold until the next call. Where no plan was found its status tells
            why, and it is the last good one, shifted by `ticks`.

        Raises
        ------
        ShapeError
            An argument has the wrong shape.
        """

    def limit_commands(self, lower: Array, upper: Array) -> None:
        """Plan within these limits (nu,) from now on, which are inside those of the context."""

    def limit_step(self, share: float) -> None:
        """Keep to `share` (0, 1] of the usual distance from the last plan, where the planner bounds it."""

    def update_settings(self, settings: PlannerSettings) -> None:
        """Take over the settings that may change while running, between two plans."""


def build_planner(configuration: Configuration, context: PlannerContext) -> Planner:
    """Build the planner that `control.planner` names, in another process with `planner.process`.

    Raises ConfigurationError if there is none of this name, or if it cannot be built.
    """
    name = configuration.control.planner
    plugin = registry.load("planner", name)
    settings = configuration.planners[name]
    if context.settings.process:
        from .background import BackgroundPlanner  # which is built on this module

        return BackgroundPlanner(name, settings, context)
    planner: Planner = plugin.build(settings, context)
    return planner


def checked_start(x0: StateVector, u: CommandVector, nx: int, nu: int) -> tuple[StateVector, CommandVector]:
    """Return x0 (nx,) and u (nu,) as float64 arrays; ShapeError, or ConfigurationError if either is not finite."""
    x0, u = checked("x0", x0, (nx,)), checked("u", u, (nu,))
    if not (np.isfinite(x0).all() and np.isfinite(u).all()):
        raise ConfigurationError(f"a plan cannot start from x0 = {x0}, u = {u}: not finite")
    return x0, u
