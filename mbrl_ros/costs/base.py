r"""The cost interface: what every cost is made of, a residual and a loss, and their Gauss-Newton expansion.

A term is w_t rho(r(x, u_prev, u)) with s = sum_i a_i r_i^2 and

    rho = l2/2 s + l1 sqrt(alpha + s) + log/2 log(alpha + s)

(quadratic far away, sharp near the goal; Levine et al., "End-to-end training of deep visuomotor policies", 2016).
With J = dr/dz and D = diag(a), gradient and Gauss-Newton Hessian are

    g = J^T (c D r),                   c = l2 + l1 / sqrt(alpha + s) + log / (alpha + s)
    G = J^T (c D - e D r r^T D) J,     e = l1 / (alpha + s)^(3/2)

G drops the curvature of r, and the negative part of the logarithm's. It is positive semidefinite, because
e (D r)(D r)^T <= l1 / sqrt(alpha + s) D for s <= alpha + s.

A cost is a module, here or in another package, with the settings and the function of `Cost`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import Section, setting
from ..config.sections.collision import CollisionSettings
from ..exceptions import ConfigurationError
from ..robots import Robot
from ..types import Array, CommandVector

RAMPS = ("constant", "linear", "final")


@dataclass(frozen=True)
class CostSettings(Section):
    """What every cost has."""

    weight: float = setting(
        1.0, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True
    )
    ramp: str = setting(
        "constant", "weight over the horizon: constant, growing linearly, or only at the last stage", choices=RAMPS
    )

    @property
    def last_factor(self) -> float:
        """The factor of the weight at the last stage."""
        return 0.0


@dataclass(frozen=True)
class StateCostSettings(CostSettings):
    """A cost of the state also acts at the end of the horizon."""

    terminal: float = setting(5.0, "factor of the weight at the last stage", low=0.0)

    @property
    def last_factor(self) -> float:
        """The factor of the weight at the last stage."""
        return self.terminal


@dataclass(frozen=True)
class TargetSettings(StateCostSettings):
    """A cost of the distance d to a reference: weight (l2/2 d^2 + l1 sqrt(alpha + d^2) + log/2 log(alpha + d^2))."""

    l2: float = setting(1.0, "quadratic part of the loss", low=0.0)
    l1: float = setting(0.0, "smooth absolute part: precise near the goal without large gains", low=0.0)
    log: float = setting(0.0, "logarithmic part: sharper still", low=0.0)
    alpha: float = setting(1e-5, "squared distance below which l1 and log are smoothed", low=1e-12)


@dataclass(frozen=True, eq=False, slots=True)
class CostContext:
    """What a cost may depend on.

    n joints and m feature coordinates, so x = [q (n,); qd (n,); s (m,); sd (m,)]; u (nu,) with limits u_lower, u_upper;
    dt [s]; horizon H; robot, or None where no cost needs one; discount gamma in (0, 1]; the settings of the room that
    the robot keeps, and where its description is from. x, u and u_previous are the CasADi symbols that residuals are
    written in.
    """

    robot: Robot | None
    n: int
    m: int
    nu: int
    dt: float
    horizon: int
    u_lower: CommandVector
    u_upper: CommandVector
    discount: float = 1.0
    collision: CollisionSettings = CollisionSettings()
    description: str = ""
    symbols: dict[str, casadi.SX] = field(init=False, default_factory=dict, repr=False)  # those that were asked for

    def _symbol(self, name: str, size: int) -> casadi.SX:
        if name not in self.symbols:
            self.symbols[name] = casadi.SX.sym(name, size)
        return self.symbols[name]

    @property
    def x(self) -> casadi.SX:
        """The state (nx,)."""
        return self._symbol("x", self.nx)

    @property
    def u(self) -> casadi.SX:
        """The command (nu,)."""
        return self._symbol("u", self.nu)

    @property
    def u_previous(self) -> casadi.SX:
        """The command before (nu,)."""
        return self._symbol("u_previous", self.nu)

    @property
    def nx(self) -> int:
        """The size of x."""
        return 2 * self.n + 2 * self.m

    @property
    def q(self) -> casadi.SX:
        """Joint positions (n,) [rad or m]."""
        return self.x[: self.n]

    @property
    def qd(self) -> casadi.SX:
        """Joint velocities (n,) [rad/s or m/s]."""
        return self.x[self.n : 2 * self.n]

    @property
    def s(self) -> casadi.SX:
        """Image coordinates (m,)."""
        return self.x[2 * self.n : 2 * self.n + self.m]

    @property
    def command_scale(self) -> CommandVector:
        """What commands are divided by (nu,): the robot's, or half their range, 1 where there is none."""
        if self.robot is not None:
            return self.robot.command_scale
        half = 0.5 * (np.asarray(self.u_upper, dtype=float) - np.asarray(self.u_lower, dtype=float))
        return np.where(np.isfinite(half) & (half > 0.0), half, 1.0)

    def require_robot(self, cost: str) -> Robot:
        """Return the robot; ConfigurationError in the name of `cost` where there is none."""
        if self.robot is None:
            raise ConfigurationError(
                f"cost '{cost}' needs a robot description; give one or set cost.{cost}.weight to 0",
                key=f"cost.{cost}.weight",
            )
        return self.robot


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One residual with its loss. Symbols in `parameters` become columns of the stage parameters p.

    residual (r,) and, if given, scale (r,), the factors a_i >= 0, are SX expressions of the context's symbols and of
    the parameters; `parameters` maps a name to (symbol, default). A term of u or u_prev has no terminal part.
    jacobian (r, nx), where it is given: dr/dx of a residual of x alone that is shorter than what CasADi would derive.
    """

    residual: casadi.SX
    settings: CostSettings
    parameters: dict[str, tuple[casadi.SX, Array]] = field(default_factory=dict)
    scale: casadi.SX | None = None
    jacobian: casadi.SX | None = None

    def loss(self) -> tuple[casadi.SX, casadi.SX, casadi.SX]:
        """Return (rho, c, e) as in the module's docstring."""
        s = casadi.dot(self.weighted(), self.residual)
        if not isinstance(self.settings, TargetSettings):
            return 0.5 * s, casadi.SX(1.0), casadi.SX(0.0)
        given = self.settings
        value, c, e = 0.5 * given.l2 * s, casadi.SX(given.l2), casadi.SX(0.0)
        if given.l1 > 0.0:
            root = casadi.sqrt(given.alpha + s)
            value, c, e = value + given.l1 * root, c + given.l1 / root, given.l1 / (root * (given.alpha + s))
        if given.log > 0.0:
            value, c = value + 0.5 * given.log * casadi.log(given.alpha + s), c + given.log / (given.alpha + s)
        return value, c, e

    def weighted(self) -> casadi.SX:
        """Return D r (r,)."""
        return self.residual if self.scale is None else self.scale * self.residual

    def expand(self, z: casadi.SX) -> tuple[casadi.SX, casadi.SX, casadi.SX]:
        """Return value, gradient (nz,) and Gauss-Newton Hessian (nz, nz) with respect to z."""
        value, c, e = self.loss()
        a = self.weighted()
        if self.jacobian is None:
            J = casadi.jacobian(self.residual, z)
        else:  # z begins with x
            J = casadi.horzcat(self.jacobian, casadi.SX(self.jacobian.size1(), z.numel() - self.jacobian.size2()))
        D = casadi.SX.eye(a.numel()) if self.scale is None else casadi.diag(self.scale)
        middle = c * D if e.is_zero() else c * D - e * (a @ a.T)
        return value, J.T @ (c * a), J.T @ middle @ J

    def schedule(self, horizon: int) -> Array:
        """Return the factor of the weight at each of the H+1 stages; ConfigurationError if all are 0."""
        steps = np.arange(horizon + 1) / horizon
        factor = {"constant": np.ones(horizon + 1), "linear": steps, "final": np.zeros(horizon + 1)}[self.settings.ramp]
        factor[-1] = self.settings.last_factor
        if self.settings.ramp == "final" and factor[-1] == 0.0:
            raise ConfigurationError(
                "ramp 'final' with nothing at the last stage leaves no cost at all; "
                "use 'constant' or a terminal factor above 0",
                key="ramp",
                value="final",
            )
        return factor


class Cost(Protocol):
    """A module that holds a cost: `Settings`, derived from CostSettings, and `build`.

    In other packages the default weight must be 0, so that installing one changes the behaviour of no robot.
    """

    @property
    def Settings(self) -> type[CostSettings]:
        """The settings `cost.NAME.KEY`."""

    def build(self, settings: Any, context: CostContext) -> dict[str, Term]:
        """Build the terms by their names, "" for the only one; none where there is nothing to weigh.

        Raises ConfigurationError where that is impossible in this context.
        """


def smooth_hinge(d: casadi.SX, width: float) -> casadi.SX:
    """Return (d + sqrt(d^2 + width^2)) / 2: 0 well below d = 0, d well above, smooth in between."""
    return 0.5 * (d + casadi.sqrt(d * d + width * width))
