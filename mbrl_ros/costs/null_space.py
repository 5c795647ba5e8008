r"""Distance of the joints to a reference in the null space of the end-effector point's Jacobian.

    r = N (q - q*),     N = E - J^T (J J^T + d^2 E)^-1 J,     J = dp/dq (3, n) at q*

N is symmetric with eigenvalues in [0, 1]: 1 in the null space of J, d^2 / (sigma^2 + d^2) in a direction in which J has
the singular value sigma. Near q* the cost has no part in where the point is, and a direction in which the point hardly
moves (sigma < d) counts as null space. It tracks the posture of an end-effector target with a weight of its own; it
is 0 with every other kind of target. Source: Nakamura, "Advanced robotics: redundancy and optimization", 1991.
Parameters: reference q* (n,); where joints that move the end effector are not controlled, their positions r (k,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import setting
from ..robots import kinematics
from .base import CostContext, StateCostSettings, Term


@dataclass(frozen=True)
class Settings(StateCostSettings):
    """Posture beside an end-effector point target."""

    weight: float = setting(
        0.0,
        "weight of the cost; 0 when the node is configured leaves it out",
        unit="1/rad^2 or 1/m^2",
        low=0.0,
        dynamic=True,
    )
    damping: float = setting(
        0.02,
        "singular value of the Jacobian of the end-effector point below which a direction counts as null space",
        unit="m/rad or 1",
        low=1e-6,
    )


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    robot = context.require_robot("null_space")
    reference = casadi.SX.sym("reference", context.n)
    parameters = {"reference": (reference, np.zeros(context.n))}
    if robot.uncontrolled:
        others = casadi.SX.sym("uncontrolled", len(robot.uncontrolled))
        parameters["uncontrolled"] = (others, np.zeros(len(robot.uncontrolled)))
        p = kinematics.placed_tip_position(robot)(reference, others)
    else:
        p = kinematics.tip_position(robot)(reference)
    J = casadi.densify(casadi.jacobian(p, reference))
    N = casadi.SX.eye(context.n) - J.T @ inverse_of_symmetric(J @ J.T + settings.damping**2 * casadi.SX.eye(3)) @ J
    return {"": Term(N @ (context.q - reference), settings, parameters)}


def inverse_of_symmetric(S: casadi.SX) -> casadi.SX:
    """Return the inverse of S (3, 3), symmetric and regular, by its adjugate."""
    a, b, c = (S[:, i] for i in range(3))
    rows = casadi.cross(b, c), casadi.cross(c, a), casadi.cross(a, b)
    return casadi.horzcat(*rows).T / casadi.dot(a, rows[0])
