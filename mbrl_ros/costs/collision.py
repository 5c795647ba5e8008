r"""A smooth wall before the robot touches itself or an obstacle.

    r_k = h(c + m - d_k(q)),     h(e) = (e + sqrt(e^2 + w^2)) / 2

over all signed distances d_k of the scene (collision/), c the clearance at which the supervisor's rule stops the arm
and m a margin above it. Off (weight 0) until it is configured. The Gauss-Newton Hessian takes the nearest points as
they are. Obstacles are those of the settings `collision.planes`, `.boxes` and `.keep_in`; those that come at run time
are kept away from by the supervisor alone.
Parameter, where joints that move the end effector are not controlled: their positions `uncontrolled` (k,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..collision.build import build_scene
from ..collision.expression import distance_expressions
from ..config.section import setting
from .base import CostContext, StateCostSettings, Term, smooth_hinge


@dataclass(frozen=True)
class Settings(StateCostSettings):
    """Distances of the robot from itself and from obstacles."""

    weight: float = setting(
        0.0, "weight of the cost; 0 when the node is configured leaves it out", unit="1/m^2", low=0.0, dynamic=True
    )
    terminal: float = setting(1.0, "factor of the weight at the last stage", low=0.0)
    margin: float = setting(0.02, "distance above collision.clearance at which the wall begins", unit="m", low=0.0)
    width: float = setting(0.005, "rounding of the wall's foot", unit="m", low=1e-6)


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term, none without anything to keep away from; see the top of this module."""
    robot = context.require_robot("collision")
    scene = build_scene(robot, context.collision, context.description).scene
    if not len(scene):
        return {}
    others = casadi.SX.sym("uncontrolled", len(robot.uncontrolled))
    d, gradient = distance_expressions(scene, context.q, others)
    e = context.collision.clearance + settings.margin - d
    slope = 0.5 * (1.0 + e / casadi.sqrt(e * e + settings.width**2))  # of the hinge
    J = casadi.horzcat(-casadi.diag(slope) @ gradient, casadi.SX(len(scene), context.nx - context.n))
    parameters = {"uncontrolled": (others, np.zeros(len(robot.uncontrolled)))} if robot.uncontrolled else {}
    return {"": Term(smooth_hinge(e, settings.width), settings, parameters, jacobian=J)}
