r"""The planner's objective, a sum of residual costs.

    J = sum_{t=0}^{H-1} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H)

Weights, references and everything else that may change while the controller runs are columns of the stage parameters
p_t, so nothing is ever rebuilt or recompiled. A ramp, the terminal factor and the discount gamma^t are part of the
weights in p.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from ..codegen.symbolic import casadi
from ..config import registry
from ..config.section import Section
from ..exceptions import ConfigurationError
from ..types import Array, StageParameters
from .base import Cost, CostContext, CostSettings, Term


class CostModel:
    """The summed objective as CasADi functions of x (nx,), v = u_prev (nu,), u (nu,), p (np,).

    `layout` names the slices of p ("point_target.weight", "point_target.reference", ...). `uses_u_previous` tells
    whether any term depends on v. With z = [x; u; v]:

        stage(x, v, u, p) -> l              stage_expansion(x, v, u, p) -> g (nz,), G (nz, nz)
        terminal(x, p) -> l_H               terminal_expansion(x, p) -> g (nx,), G (nx, nx)

    G holds the lower triangle of the Gauss-Newton Hessian, sparse, positive semidefinite by construction.
    `derived` are the functions whose derivatives CasADi finds: without the terms that bring their own.
    """

    derived: tuple[casadi.Function, ...] | None = None  # None: the stage and the last one

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
        self.stage = _function("stage", given, [stage[0]], names, ["l"])
        self.stage_expansion = _function("stage_expansion", given, _expansion(stage), names, ["g", "G"])
        self.terminal = _function("terminal", [x, p], [last[0]], ["x", "p"], ["l"])
        self.terminal_expansion = _function("terminal_expansion", [x, p], _expansion(last), ["x", "p"], ["g", "G"])
        if any(term.jacobian is not None for _, term in named_terms):
            losses = [term.loss()[0] for _, term in named_terms if term.jacobian is None]
            self.derived = (_function("derived", given, [casadi.vertcat(*losses)], names, ["l"]),)

    def _add(self, symbols: list[casadi.SX], name: str, symbol: casadi.SX, default: Array) -> None:
        start = sum(s.numel() for s in symbols)
        if name in self.layout:
            raise ConfigurationError(f"two cost parameters are called '{name}'", key=name)
        self.layout[name] = slice(start, start + symbol.numel())
        symbols.append(symbol)
        self._defaults.append(default)

    def schedule(self, name: str, horizon: int) -> Array:
        """Return the factor (H+1,) on the weight of cost `name`: its ramp, its terminal factor and the discount."""
        factor: Array = self._terms[name].schedule(horizon) * self._discount ** np.arange(horizon + 1)
        return factor

    def parameters(self, horizon: int) -> StageParameters:
        """Return p (H+1, np) of the settings; references hold their defaults until a target is written."""
        row = np.concatenate(self._defaults) if self._defaults else np.empty(0)
        p = np.tile(row, (horizon + 1, 1))
        for name in self._terms:
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
    terms: list[tuple[str, Term]] = []
    for name, settings in sections.items():
        if isinstance(settings, CostSettings) and settings.weight == 0.0:
            continue
        parts = cast(Cost, registry.load("cost", name)).build(settings, context)
        terms += [(f"{name}{f'.{key}' if key else ''}", term) for key, term in parts.items()]
    return CostModel(context.x, context.u, context.u_previous, terms, context.discount)
