r"""The planner's objective, a sum of residual costs, one file each:

    J = sum_{t=0}^{H-1} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H)

Weights, references and everything else that may change while the controller runs are columns of the stage parameters
p_t, so nothing is ever rebuilt or recompiled. A ramp, the terminal factor and the discount gamma^t are part of the
weights in p.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import casadi
import numpy as np

from ..config import registry
from ..config.section import Section
from ..exceptions import ConfigurationError
from ..types import Array
from ._terms import Term

__all__ = ["CostContext", "CostModel", "build_cost"]


@dataclass(frozen=True, eq=False, slots=True)
class CostContext:
    """What a cost may depend on.

    n joints and m feature coordinates, so x = [q (n,); qd (n,); s (m,); sd (m,)]; u (nu,) with bounds u_lower, u_upper;
    dt [s]; `robot` a mbrl_ros.robots.Robot, or None where no cost needs one; discount gamma in (0, 1].
    """

    robot: object | None
    n: int
    m: int
    nu: int
    dt: float
    horizon: int
    u_lower: Array
    u_upper: Array
    discount: float = 1.0
    x: casadi.SX = field(init=False)
    u: casadi.SX = field(init=False)
    u_previous: casadi.SX = field(init=False)

    def __post_init__(self) -> None:
        for name, size in (("x", self.nx), ("u", self.nu), ("u_previous", self.nu)):
            object.__setattr__(self, name, casadi.SX.sym(name, size))

    @property
    def nx(self) -> int:
        return 2 * self.n + 2 * self.m

    @property
    def q(self) -> casadi.SX:
        return self.x[: self.n]

    @property
    def qd(self) -> casadi.SX:
        return self.x[self.n : 2 * self.n]

    @property
    def s(self) -> casadi.SX:
        return self.x[2 * self.n : 2 * self.n + self.m]

    @property
    def command_scale(self) -> Array:
        """What commands are divided by (nu,): the robot's, or half their range, 1 where there is none."""
        if self.robot is not None and hasattr(self.robot, "command_scale"):
            return self.robot.command_scale
        half = 0.5 * (np.asarray(self.u_upper, dtype=float) - np.asarray(self.u_lower, dtype=float))
        return np.where(np.isfinite(half) & (half > 0.0), half, 1.0)

    def require_robot(self, cost: str):
        if self.robot is None:
            raise ConfigurationError(
                f"cost '{cost}' needs a robot description; give one or set cost.{cost}.weight to 0",
                key=f"cost.{cost}.weight",
            )
        return self.robot


class CostModel:
    """The summed objective as CasADi functions of x (nx,), v = u_prev (nu,), u (nu,), p (np,).

    `layout` names the slices of p ("point_target.weight", "point_target.reference", ...). `uses_u_previous` tells
    whether any term depends on v. With z = [x; u; v]:

        stage(x, v, u, p) -> l              stage_expansion(x, v, u, p) -> g (nz,), G (nz, nz)
        terminal(x, p) -> l_H               terminal_expansion(x, p) -> g (nx,), G (nx, nx)

    G holds the lower triangle of the Gauss-Newton Hessian, sparse, positive semidefinite by construction.
    """

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
        zero = casadi.SX(0.0)
        stage, last = [zero, casadi.SX(z.numel(), 1), casadi.SX(z.numel(), z.numel())], None
        last = [zero, casadi.SX(self.nx, 1), casadi.SX(self.nx, self.nx)]
        for name, term in named_terms:
            weight = casadi.SX.sym(f"{name}.weight")
            self._terms[name] = term
            self._add(symbols, f"{name}.weight", weight, np.array([term.settings.weight]))
            for key, (symbol, default) in term.parameters.items():
                self._add(
                    symbols, f"{name}.{key}", symbol, np.broadcast_to(np.asarray(default, float), (symbol.numel(),))
                )
            stage = [total + weight * part for total, part in zip(stage, term.expand(z))]
            if not casadi.depends_on(term.residual, casadi.vertcat(u, u_previous)):
                last = [total + weight * part for total, part in zip(last, term.expand(x))]
        p = casadi.vertcat(*symbols) if symbols else casadi.SX(0, 1)
        self.np = p.numel()
        self.uses_u_previous = bool(casadi.depends_on(casadi.vertcat(stage[0], *stage[1:2]), u_previous))
        tail = {"cse": True}
        self.stage = casadi.Function("stage", [x, u_previous, u, p], [stage[0]], ["x", "v", "u", "p"], ["l"], tail)
        self.stage_expansion = casadi.Function(
            "stage_expansion",
            [x, u_previous, u, p],
            [casadi.densify(stage[1]), casadi.tril(stage[2])],
            ["x", "v", "u", "p"],
            ["g", "G"],
            tail,
        )
        self.terminal = casadi.Function("terminal", [x, p], [last[0]], ["x", "p"], ["l"], tail)
        self.terminal_expansion = casadi.Function(
            "terminal_expansion", [x, p], [casadi.densify(last[1]), casadi.tril(last[2])], ["x", "p"], ["g", "G"], tail
        )

    def _add(self, symbols: list[casadi.SX], name: str, symbol: casadi.SX, default: Array) -> None:
        start = sum(s.numel() for s in symbols)
        if name in self.layout:
            raise ConfigurationError(f"two cost parameters are called '{name}'", key=name)
        self.layout[name] = slice(start, start + symbol.numel())
        symbols.append(symbol)
        self._defaults.append(default)

    def schedule(self, name: str, horizon: int) -> Array:
        """Factor (H+1,) on the weight of cost `name`: its ramp, its terminal factor and the discount."""
        return self._terms[name].schedule(horizon) * self._discount ** np.arange(horizon + 1)

    def parameters(self, horizon: int) -> Array:
        """The stage parameters (H+1, np) of the settings; references hold their defaults until a target is written."""
        row = np.concatenate(self._defaults) if self._defaults else np.empty(0)
        p = np.tile(row, (horizon + 1, 1))
        for name in self._terms:
            p[:, self.layout[f"{name}.weight"]] *= self.schedule(name, horizon)[:, None]
        return p


def build_cost(sections: Mapping[str, Section], context: CostContext) -> CostModel:
    """The objective of the costs in `sections` ({file name: its Settings}); a weight of 0 leaves a cost out.

    Raises ConfigurationError for an unknown cost or one that cannot be built in this context.
    """
    terms: list[tuple[str, Term]] = []
    for name, settings in sections.items():
        if settings.weight == 0.0:
            continue
        parts = registry.load("cost", name).build(settings, context)
        terms += [(f"{name}{f'.{key}' if key else ''}", term) for key, term in parts.items()]
    return CostModel(context.x, context.u, context.u_previous, terms, context.discount)
