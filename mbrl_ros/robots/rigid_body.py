"""The nominal rigid-body model of a robot, from its URDF: M(q) qdd + h(q, qd) = tau (Featherstone 2008, eq. 1.1).

M is the joint-space inertia, h gravity (`Robot.gravity`), Coriolis and centrifugal forces. The base is fixed, joints
that follow a controlled one (mimic.py) move with it, all others are locked at zero, and there is no friction. M and h
are linear in the links' masses and inertias: scaling all of them by s gives qdd = M^-1 (tau / s - h), and gravity
s g(q). A motor's reflected inertia ("armature", gear ratio squared times rotor inertia) adds to the diagonal of M and
does not scale.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import per_joint
from ..exceptions import RobotDescriptionError
from . import urdf
from .mimic import Coupling
from .robot import Robot


def forward_dynamics(robot: Robot, mass_scale: float = 1.0, armature: tuple[float, ...] = (0.0,)) -> casadi.Function:
    """Return (q (n,), qd (n,), tau (n,) [N m or N]) -> qdd (n,) [rad/s^2 or m/s^2], as an SX function.

    `mass_scale` multiplies every link's mass and inertia, `armature` [kg m^2 or kg] has 1 or n entries.
    Raises RobotDescriptionError if adam-robotics is missing or the URDF gives no usable inertias.
    """
    q, qd, tau = (casadi.SX.sym(name, robot.n) for name in ("q", "qd", "tau"))
    M, h = mass_and_bias(robot, q, qd)
    M = mass_scale * M + np.diag(per_joint(tuple(armature), robot.n, "armature"))
    D, LT, order = casadi.ldl(M)
    qdd = casadi.ldl_solve(tau - mass_scale * h, D, LT, order)
    return casadi.Function(
        "forward_dynamics", [q, qd, tau], [casadi.cse(casadi.densify(qdd))], ["q", "qd", "tau"], ["qdd"]
    )


def gravity(robot: Robot, mass_scale: float = 1.0) -> casadi.Function:
    """Return q (n,) -> tau (n,) [N m or N]: what holds the robot still at q. Same errors as `forward_dynamics`."""
    q = casadi.SX.sym("q", robot.n)
    _, h = mass_and_bias(robot, q, casadi.SX.zeros(robot.n))
    return casadi.Function("gravity", [q], [casadi.cse(casadi.densify(mass_scale * h))], ["q"], ["tau"])


def bias_force(robot: Robot) -> casadi.Function:
    """Return (q (n,), qd (n,)) -> h (n,) [N m or N], gravity included. Same errors as `forward_dynamics`."""
    q, qd = (casadi.SX.sym(name, robot.n) for name in ("q", "qd"))
    _, h = mass_and_bias(robot, q, qd)
    return casadi.Function("bias_force", [q, qd], [casadi.cse(casadi.densify(h))], ["q", "qd"], ["h"])


def mass_and_bias(robot: Robot, q: casadi.SX, qd: casadi.SX) -> tuple[casadi.SX, casadi.SX]:
    """Return M (n, n) and h (n,) at q, qd (n,): adam's floating-base quantities with the base at rest."""
    try:
        from adam.casadi import KinDynComputations
    except ImportError as error:
        raise RobotDescriptionError(
            f"the rigid-body model needs adam-robotics ({error}): pip install 'adam-robotics[casadi]'"
        ) from None
    names, coupling = robot.moving, Coupling(robot.n, robot.followers)
    prismatic = [
        joint.name for joint in urdf.parse(robot.urdf).joints if joint.name in names and joint.kind == "prismatic"
    ]
    if prismatic:  # adam 0.5.0 builds a 12-row motion subspace for them
        raise RobotDescriptionError(
            f"the rigid-body model has no prismatic joints, and {prismatic} are controlled or "
            f"follow a controlled one; use the integrator prior, or do not control them"
        )
    mechanism = ElementTree.tostring(urdf.reduced(robot.urdf, names), encoding="unicode")
    try:
        model = KinDynComputations(mechanism, list(names), gravity=np.array([*robot.gravity, 0, 0, 0.0]))
        E = casadi.sparsify(casadi.DM(coupling.E))
        q, qd = E @ q + coupling.c, E @ qd
        M = E.T @ model.mass_matrix(casadi.SX.eye(4), q)[6:, 6:] @ E
        h = E.T @ model.bias_force(casadi.SX.eye(4), q, casadi.SX.zeros(6), qd)[6:]
    except Exception as error:  # adam and its URDF parser raise whatever they meet
        raise RobotDescriptionError(
            f"adam-robotics cannot build dynamics from this URDF: {error}. Every moving link "
            f"needs <inertial> with mass and inertia"
        ) from error
    return M, h
