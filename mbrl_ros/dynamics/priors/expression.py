r"""The mean of a nonlinear prior as expressions, for planners that plan through it.

    delta(x, u; theta) (n,),    D = d delta / d[x; u] (n, 3n),    C = d^2 (s^T delta) / d[x; u]^2 (3n, 3n)

with x = [q; qd]. What was fitted to data are the parameters theta, not constants of the expressions: compiled code then
holds for every model of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from ...types import Array

Expression: TypeAlias = Any  # casadi.SX


@dataclass(frozen=True, eq=False, slots=True)
class MeanExpression:
    """delta and its derivatives as SX expressions of the symbols x (2n,), u (n,), theta and s (n,); values: of theta.

    curvature is symmetric, of which only the lower triangle needs to be filled in.
    """

    x: Expression
    u: Expression
    theta: Expression
    s: Expression
    delta: Expression
    jacobian: Expression
    curvature: Expression
    values: Array
