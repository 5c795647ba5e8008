r"""The prior `rigid_body`: the nominal rigid-body model of the URDF, without friction and payload.

    M(q) qdd + h(q, qd) = u   =>   delta(x, u) = dt qdd = dt M^-1 (u - h)          (Featherstone 2008, eq. 1.1)

With a = qdd held fixed, differentiating the left side gives the Jacobian without differentiating a factorisation:

    A = d qdd / d[q; qd; u] = M^-1 [ -d(M a + h)/dq,  -dh/dqd,  I ]                (Carpentier, Mansard, RSS 2018)

and differentiating it twice the second derivatives of s^T qdd, with l = M^-1 s, x = [q; qd] and z = [x; u]:

    d^2 (s^T qdd) / dz^2 = -d^2 (l^T (M a + h)) / dx^2 - P - P^T,    P = (d(M l)/dx)^T A

Friction, payload and wrong masses are left to the data. The spreads state how far the acceleration's coefficients may
be off: a payload of a tenth of the arm's mass changes gravity's gradient by some ten 1/s^2, a third of the inertia
the effect of a command by a third, and dry friction the offset by some ten rad/s^2 at the wrist.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from ...codegen.symbolic import casadi
from ...config.section import Section, per_joint, setting
from ...exceptions import ConfigurationError
from ...robots import Robot
from ...types import Array, CommandVector, Gain, JointVector
from .base import FixedPrior, Prior
from .expression import MeanExpression
from .stage_function import StageFunction, kept_stage_function


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """What is changed of the URDF's model, and how far it may be off."""

    mass_scale: float = setting(1.0, "factor on every link's mass and inertia", low=0.01, high=100.0)
    armature: tuple[float, ...] = setting(
        (0.0,), "reflected inertia of the motors", unit="kg m^2 or kg", low=0.0, per_joint=True
    )
    stiffness_spread: float = setting(30.0, "how far d qdd / d q may be off", unit="1/s^2", low=1e-6)
    damping_spread: float = setting(4.0, "how far d qdd / d qd may be off", unit="1/s", low=1e-6)
    strength_spread: float = setting(0.3, "how far d qdd / d u may be off, over its nominal value", low=1e-6)
    offset_spread: float = setting(30.0, "how far qdd may be off at the current point", unit="rad/s^2", low=1e-6)


class RigidBodyPrior(FixedPrior):
    """delta (n,) [rad/s per tick] and its Jacobian (n, 3n) from a compiled rigid-body model."""

    linear = False

    def __init__(self, model: StageFunction, spread: Array, express: Callable[[], MeanExpression]):
        super().__init__(spread)
        self._model, self._express = model, express

    def expression(self) -> MeanExpression:
        """See `Prior`."""
        return self._express()

    def mean(self, x: Array, u: CommandVector) -> JointVector:
        """See `Prior`."""
        return self._model.mean(x, u)

    def linearize(self, X: Array, U: Array) -> tuple[Array, Gain]:
        """See `Prior`."""
        return self._model.linearize(X, U)


def build(settings: Settings, robot: Robot, dt: float) -> Prior:
    """Build the prior of `robot` (effort interface) for a period dt [s].

    Raises ConfigurationError for another interface, RobotDescriptionError without usable inertias.
    """
    if robot.interface != "effort":
        raise ConfigurationError(
            f"the rigid_body prior predicts from efforts, but commands are of the "
            f"{robot.interface} interface; use the integrator prior",
            key="dynamics.prior",
            value="rigid_body",
        )
    n = len(robot.joints)
    armature = np.diag(per_joint(settings.armature, n, "prior.rigid_body.armature"))
    motion = functools.cache(lambda: _Motion(robot, settings.mass_scale, armature))

    def build_model() -> StageFunction:
        return StageFunction("rigid_body", motion().x, motion().u, dt * motion().qdd, dt * motion().slope)

    inputs = {"robot": robot, "mass_scale": settings.mass_scale, "armature": armature, "dt": dt}
    model = kept_stage_function(robot.units, "rigid_body", inputs, build_model)
    _, J = model.linearize(np.concatenate([robot.middle, np.zeros(n)])[None], np.zeros((1, n)))
    spread = np.concatenate(
        [
            np.full(n, settings.stiffness_spread * dt),
            np.full(n, settings.damping_spread * dt),
            settings.strength_spread * np.diag(J[0, :, 2 * n :]) * robot.command_scale,
            [settings.offset_spread * dt],
        ]
    )
    return RigidBodyPrior(model, spread, lambda: motion().expression(dt))


class _Motion:
    """qdd (n,) and its slope (n, 3n) as expressions of x (2n,), u (n,)."""

    def __init__(self, robot: Robot, mass_scale: float, armature: Array):
        from ...robots.rigid_body import mass_and_bias

        n = robot.n
        x, u, a = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("a", n)
        M, h = mass_and_bias(robot, x[:n], x[n:])
        M, h = casadi.densify(mass_scale * M + armature), mass_scale * h
        self._factors = casadi.ldl(M)
        qdd = casadi.ldl_solve(u - h, *self._factors)
        by_state = casadi.jacobian(casadi.cse(M @ a + h), x)
        slope = casadi.ldl_solve(casadi.horzcat(-by_state, casadi.SX.eye(n)), *self._factors)
        self.x, self.u, self.qdd, self._a, self._M, self._effort = x, u, qdd, a, M, casadi.cse(M @ a + h)
        self.slope = casadi.substitute([casadi.densify(slope)], [a], [qdd])[0]

    def expression(self, dt: float) -> MeanExpression:
        """Return delta = dt qdd with its derivatives."""
        n = self._a.numel()
        s, force, A = casadi.SX.sym("s", n), casadi.SX.sym("force", n), casadi.SX.sym("A", n, 3 * n)
        curvature = _curvature(self.x, self._effort, self._M, self._a, force, A)
        actual = [self.qdd, casadi.ldl_solve(s, *self._factors), self.slope]
        curvature = casadi.substitute([curvature], [self._a, force, A], actual)[0]
        nothing = casadi.SX.sym("theta", 0)
        delta, slope = dt * self.qdd, dt * self.slope
        return MeanExpression(self.x, self.u, nothing, s, delta, slope, dt * curvature, np.zeros(0))


def _curvature(
    x: casadi.SX, effort: casadi.SX, M: casadi.SX, a: casadi.SX, force: casadi.SX, A: casadi.SX
) -> casadi.SX:
    """Return d^2 (s^T qdd) / d[x; u]^2 (3n, 3n), lower triangle, of effort = M a + h, l = `force` and A (n, 3n)."""
    n = a.numel()
    curvature = casadi.SX(3 * n, 3 * n)
    curvature[: 2 * n, : 2 * n] = -casadi.hessian(casadi.dot(force, effort), x)[0]
    P = casadi.densify(casadi.jacobian(M @ force, x)).T @ A
    curvature[: 2 * n, :] -= P
    curvature[:, : 2 * n] -= P.T
    return casadi.tril(curvature)
