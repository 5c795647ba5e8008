r"""What every cost is made of: a residual, a loss, and their Gauss-Newton expansion.

A term is w_t rho(r(x, u_prev, u)) with s = sum_i a_i r_i^2 and

    rho = l2/2 s + l1 sqrt(alpha + s) + log/2 log(alpha + s)

(quadratic far away, sharp near the goal; Levine et al., "End-to-end training of deep visuomotor policies", 2016).
With J = dr/dz and D = diag(a), gradient and Gauss-Newton Hessian are

    g = J^T (c D r),                   c = l2 + l1 / sqrt(alpha + s) + log / (alpha + s)
    G = J^T (c D - e D r r^T D) J,     e = l1 / (alpha + s)^(3/2)

G drops the curvature of r, and the negative part of the logarithm's. It is positive semidefinite, because
e (D r)(D r)^T <= l1 / sqrt(alpha + s) D for s <= alpha + s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import casadi
import numpy as np

from ..config.section import Section, setting
from ..exceptions import ConfigurationError
from ..types import Array

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


@dataclass(frozen=True)
class StateCostSettings(CostSettings):
    """A cost of the state also acts at the end of the horizon."""

    terminal: float = setting(5.0, "factor of the weight at the last stage", low=0.0)


@dataclass(frozen=True)
class TargetSettings(StateCostSettings):
    """A cost of the distance d to a reference: weight (l2/2 d^2 + l1 sqrt(alpha + d^2) + log/2 log(alpha + d^2))."""

    l2: float = setting(1.0, "quadratic part of the loss", low=0.0)
    l1: float = setting(0.0, "smooth absolute part: precise near the goal without large gains", low=0.0)
    log: float = setting(0.0, "logarithmic part: sharper still", low=0.0)
    alpha: float = setting(1e-5, "squared distance below which l1 and log are smoothed", low=1e-12)


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One residual with its loss. Symbols in `parameters` become columns of the stage parameters p.

    residual (r,) and, if given, scale (r,), the factors a_i >= 0, are SX expressions of the context's symbols and of
    the parameters; `parameters` maps a name to (symbol, default). A term of u or u_prev has no terminal part.
    """

    residual: casadi.SX
    settings: CostSettings
    parameters: dict[str, tuple[casadi.SX, Array]] = field(default_factory=dict)
    scale: casadi.SX | None = None

    def loss(self) -> tuple[casadi.SX, casadi.SX, casadi.SX]:
        """(rho, c, e) as in the module's docstring."""
        s = casadi.dot(self.weighted(), self.residual)
        if not isinstance(self.settings, TargetSettings):
            return 0.5 * s, casadi.SX(1.0), casadi.SX(0.0)
        own = self.settings
        value, c, e = 0.5 * own.l2 * s, casadi.SX(own.l2), casadi.SX(0.0)
        if own.l1 > 0.0:
            root = casadi.sqrt(own.alpha + s)
            value, c, e = value + own.l1 * root, c + own.l1 / root, own.l1 / (root * (own.alpha + s))
        if own.log > 0.0:
            value, c = value + 0.5 * own.log * casadi.log(own.alpha + s), c + own.log / (own.alpha + s)
        return value, c, e

    def weighted(self) -> casadi.SX:
        return self.residual if self.scale is None else self.scale * self.residual

    def expand(self, z: casadi.SX) -> tuple[casadi.SX, casadi.SX, casadi.SX]:
        """Value, gradient (nz,) and Gauss-Newton Hessian (nz, nz) with respect to z."""
        value, c, e = self.loss()
        J, a = casadi.jacobian(self.residual, z), self.weighted()
        D = casadi.SX.eye(a.numel()) if self.scale is None else casadi.diag(self.scale)
        middle = c * D if e.is_zero() else c * D - e * (a @ a.T)
        return value, J.T @ (c * a), J.T @ middle @ J

    def schedule(self, horizon: int) -> Array:
        """Factor of the weight at each of the H+1 stages."""
        steps = np.arange(horizon + 1) / horizon
        factor = {"constant": np.ones(horizon + 1), "linear": steps, "final": np.zeros(horizon + 1)}[self.settings.ramp]
        factor[-1] = getattr(self.settings, "terminal", 0.0)
        if self.settings.ramp == "final" and factor[-1] == 0.0:
            raise ConfigurationError(
                "ramp 'final' with nothing at the last stage leaves no cost at all; "
                "use 'constant' or a terminal factor above 0",
                key="ramp",
                value="final",
            )
        return factor


def smooth_hinge(d: casadi.SX, width: float) -> casadi.SX:
    """(d + sqrt(d^2 + width^2)) / 2: 0 well below d = 0, d well above, smooth in between."""
    return 0.5 * (d + casadi.sqrt(d * d + width * width))
