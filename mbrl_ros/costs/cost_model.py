r"""The planner's objective, a sum of residual costs.

    J = sum_{t=0}^{H-1} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H)

Weights, references and everything else that may change while the controller runs are columns of the stage parameters
p_t, so nothing is ever rebuilt or recompiled. A ramp, the terminal factor and the discount gamma^t are part of the
weights in p.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from ..codegen.symbolic import casadi
from ..codegen.units import Units
from ..config import registry
from ..config.section import Section
from ..exceptions import ConfigurationError
from ..types import Array, StageParameters, checked
from .base import Cost, CostContext, CostSettings, Term


@dataclass(frozen=True, eq=False, slots=True)
class CostFunctions:
    """The objective as CasADi functions of x (nx,), v = u_prev (nu,), u (nu,), p (np,).

    With z = [x; u; v]:

        stage(x, v, u, p) -> l              stage_expansion(x, v, u, p) -> g (nz,), G (nz, nz)
        terminal(x, p) -> l_H               terminal_expansion(x, p) -> g (nx,), G (nx, nx)

    G holds the lower triangle of the Gauss-Newton Hessian, sparse, positive semidefinite by construction.
    `derived` are the functions whose derivatives CasADi finds: without the terms that bring their own.
    """

    stage: casadi.Function
    stage_expansion: casadi.Function
    terminal: casadi.Function
    terminal_expansion: casadi.Function
    derived: tuple[casadi.Function, ...]


class CostModel:
    """The summed objective of x (nx,), v = u_prev (nu,), u (nu,), p (np,).

    `layout` names the slices of p ("point_target.weight", "point_target.reference", ...). `uses_u_previous` tells
    whether any term depends on v. `units` and `origin`: where functions of this cost are kept, and what it was built
    of; None for one that is not kept.
    """

    units = Units()
    origin: Mapping[str, Any] | None = None
    _schedules: Mapping[str, Array] = MappingProxyType({})  # of a cost of a description, over its horizon

    def __init__(
        self,
        x: casadi.SX,
        u: casadi.SX,
        u_previous: casadi.SX,
        named_terms: list[tuple[str, Term]],
        discount: float = 1.0,
    ):
        self.nx, self.nu = x.numel(), u.numel()
        self.layout: dict[str, slice] = {}
        self._defaults: list[Array] = []
        self._terms: dict[str, Term] = {}
        self._discount = discount
        symbols: list[casadi.SX] = []
        z = casadi.vertcat(x, u, u_previous)
        stage, last = _zeros(z.numel()), _zeros(self.nx)
        for name, term in named_terms:
            weight = casadi.SX.sym(f"{name}.weight")
            self._terms[name] = term
            self._add(symbols, f"{name}.weight", weight, np.array([term.settings.weight]))
            for key, (symbol, default) in term.parameters.items():
                values = np.broadcast_to(np.asarray(default, float), (symbol.numel(),))
                self._add(symbols, f"{name}.{key}", symbol, values)
            stage = [total + weight * part for total, part in zip(stage, term.expand(z), strict=True)]
            if not casadi.depends_on(term.residual, casadi.vertcat(u, u_previous)):
                last = [total + weight * part for total, part in zip(last, term.expand(x), strict=True)]
        p = casadi.vertcat(*symbols) if symbols else casadi.SX(0, 1)
        self.np = p.numel()
        self.uses_u_previous = bool(casadi.depends_on(casadi.vertcat(stage[0], *stage[1:2]), u_previous))
        given, names = [x, u_previous, u, p], ["x", "v", "u", "p"]
        value = _function("stage", given, [stage[0]], names, ["l"])
        last_value = _function("terminal", [x, p], [last[0]], ["x", "p"], ["l"])
        derived: tuple[casadi.Function, ...] = (value, last_value)
        if any(term.jacobian is not None for _, term in named_terms):
            losses = [term.loss()[0] for _, term in named_terms if term.jacobian is None]
            derived = (_function("derived", given, [casadi.vertcat(*losses)], names, ["l"]),)
        functions = CostFunctions(
            value,
            _function("stage_expansion", given, _expansion(stage), names, ["g", "G"]),
            last_value,
            _function("terminal_expansion", [x, p], _expansion(last), ["x", "p"], ["g", "G"]),
            derived,
        )
        self._functions: Callable[[], CostFunctions] = lambda: functions

    @classmethod
    def of_description(
        cls, description: Mapping[str, Any], weights: Mapping[str, float], rebuild: Callable[[], CostModel]
    ) -> CostModel:
        """Return the cost of a `description`; its functions are built where they are asked for.

        Parameters
        ----------
        description
            What `description` returned.
        weights
            Those of the costs, {name: weight}.
        rebuild
            Builds the same cost with its functions.
        """
        self = cls.__new__(cls)
        self.nx, self.nu, self.np = description["nx"], description["nu"], description["np"]
        self.uses_u_previous = description["uses_u_previous"]
        self.layout = {name: slice(*columns) for name, *columns in description["layout"]}
        now = {f"{name}.weight": weights.get(name.partition(".")[0]) for name in description["schedules"]}
        self._defaults = [
            np.array(default if now.get(key) is None else [now[key]], dtype=float)
            for key, default in zip(self.layout, description["defaults"], strict=True)
        ]
        self._terms = {}
        self._schedules = {name: np.array(factors) for name, factors in description["schedules"].items()}
        self._functions = functools.cache(lambda: rebuild()._functions())
        return self

    def description(self, horizon: int) -> dict[str, Any]:
        """Return all of the cost but its functions, for a horizon, as JSON can hold it."""
        return {
            **{"nx": self.nx, "nu": self.nu, "np": self.np, "uses_u_previous": self.uses_u_previous},
            "layout": [[name, columns.start, columns.stop] for name, columns in self.layout.items()],
            "defaults": [default.tolist() for default in self._defaults],
            "schedules": {name: self.schedule(name, horizon).tolist() for name in self._terms},
        }

    @property
    def described(self) -> bool:
        """Whether the cost was made of a description: what it was built of was found to be right when it was."""
        return bool(self._schedules)

    @property
    def stage(self) -> casadi.Function:
        """See `CostFunctions`."""
        return self._functions().stage

    @property
    def stage_expansion(self) -> casadi.Function:
        """See `CostFunctions`."""
        return self._functions().stage_expansion

    @property
    def terminal(self) -> casadi.Function:
        """See `CostFunctions`."""
        return self._functions().terminal

    @property
    def terminal_expansion(self) -> casadi.Function:
        """See `CostFunctions`."""
        return self._functions().terminal_expansion

    @property
    def derived(self) -> tuple[casadi.Function, ...]:
        """See `CostFunctions`."""
        return self._functions().derived

    def _add(self, symbols: list[casadi.SX], name: str, symbol: casadi.SX, default: Array) -> None:
        start = sum(s.numel() for s in symbols)
        if name in self.layout:
            raise ConfigurationError(f"two cost parameters are called '{name}'", key=name)
        self.layout[name] = slice(start, start + symbol.numel())
        symbols.append(symbol)
        self._defaults.append(default)

    def schedule(self, name: str, horizon: int) -> Array:
        """Return the factor (H+1,) on the weight of cost `name`: its ramp, its terminal factor and the discount."""
        if name in self._schedules:
            return checked(f"factors of {name}", self._schedules[name], (horizon + 1,))
        factor: Array = self._terms[name].schedule(horizon) * self._discount ** np.arange(horizon + 1)
        return factor

    def parameters(self, horizon: int) -> StageParameters:
        """Return p (H+1, np) of the settings; references hold their defaults until a target is written."""
        row = np.concatenate(self._defaults) if self._defaults else np.empty(0)
        p = np.tile(row, (horizon + 1, 1))
        for name in self._terms or self._schedules:
            p[:, self.layout[f"{name}.weight"]] *= self.schedule(name, horizon)[:, None]
        return p


def _zeros(nz: int) -> list[casadi.SX]:
    """Return value, gradient and Hessian of no cost at all."""
    return [casadi.SX(0.0), casadi.SX(nz, 1), casadi.SX(nz, nz)]


def _expansion(parts: list[casadi.SX]) -> list[casadi.SX]:
    """Return the gradient and the lower triangle of the Hessian."""
    return [casadi.densify(parts[1]), casadi.tril(parts[2])]


def _function(
    name: str, given: list[casadi.SX], results: list[casadi.SX], inputs: list[str], outputs: list[str]
) -> casadi.Function:
    return casadi.Function(name, given, results, inputs, outputs, {"cse": True})


def build_cost(sections: Mapping[str, Section], context: CostContext) -> CostModel:
    """Build the objective of the costs in `sections`, {name: its settings}; a weight of 0 leaves a cost out.

    Raises ConfigurationError for an unknown cost or one that cannot be built in this context.
    """
    used = {
        name: settings
        for name, settings in sections.items()
        if not (isinstance(settings, CostSettings) and settings.weight == 0.0)
    }

    def build() -> CostModel:
        terms: list[tuple[str, Term]] = []
        for name, settings in used.items():
            parts = cast(Cost, registry.load("cost", name)).build(settings, context)
            terms += [(f"{name}{f'.{key}' if key else ''}", term) for key, term in parts.items()]
        return CostModel(context.x, context.u, context.u_previous, terms, context.discount)

    units, origin = Units() if context.robot is None else context.robot.units, _origin(used, context)
    weights = {name: settings.weight for name, settings in used.items() if isinstance(settings, CostSettings)}
    cost = units.kept(
        "cost",
        origin,
        build,
        lambda cost: cost.description(context.horizon),
        lambda description: CostModel.of_description(description, weights, build),
    )
    cost.units, cost.origin = units, origin
    return cost


def _origin(sections: Mapping[str, Section], context: CostContext) -> dict[str, Any]:
    """Return what the functions of a cost depend on; weights are among their arguments."""
    names = ("robot", "n", "m", "nu", "dt", "horizon", "discount", "collision", "u_lower", "u_upper")
    costs = {
        name: {key: value for key, value in dataclasses.asdict(cast(Any, settings)).items() if key != "weight"}
        for name, settings in sections.items()
    }
    return {**{name: getattr(context, name) for name in names}, "cost": costs}
