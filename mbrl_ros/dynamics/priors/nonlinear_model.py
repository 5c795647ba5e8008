r"""The part of the dynamics that a nonlinear prior knows, for planners that plan through it.

    x' = phi(x, u; theta) + F [x; u] + f + noise,     phi = E delta(x, u),     E = [h I; I; dt/2 G; G]

with x = [q; qd; s; sd], delta the prior's mean change of the velocities, and h = theta_rule dt and the image Jacobian G
as in ../state_equations.py. F and f are what delta leaves: the known rows, and what was learned of the residual. In the
dynamics that are linearized, D the Jacobian of delta at z0 = [x; u]_0, they are

    F_linearized = F + E D,     f_linearized = f + E (delta(z0) - D z0)

The parameters theta = [h; G; those of the prior] may change from tick to tick; the expressions do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...codegen.symbolic import casadi
from ...exceptions import ConfigurationError
from ...types import Array
from ..state_equations import StateEquations
from .base import Prior
from .expression import MeanExpression


@dataclass(frozen=True, eq=False, slots=True)
class NonlinearModel:
    """phi and its derivatives as SX functions, and the parameters they are evaluated with.

    phi (x (nx,), u (nu,), theta) -> (nx,); jacobian (x, u, theta) -> d phi / d[x; u], sparse; curvature (x, u, theta, s
    (nx,)) -> d^2 (s^T phi) / d[x; u]^2, lower triangle, sparse; theta: an array that its owner writes to, and that is
    read at every plan.
    """

    phi: casadi.Function
    jacobian: casadi.Function
    curvature: casadi.Function
    theta: Array


def of_function(phi: casadi.Function) -> NonlinearModel:
    """Return the model of an SX function (x (nx,), u (nu,)) -> x' (nx,) without parameters."""
    x, u, s = (casadi.SX.sym(name, phi.size1_in(i)) for name, i in (("x", 0), ("u", 1), ("s", 0)))
    z, out = casadi.vertcat(x, u), casadi.densify(phi(x, u))
    curvature = casadi.tril(casadi.hessian(casadi.dot(s, out), z)[0])
    return _model(x, u, casadi.SX.sym("theta", 0), s, out, casadi.jacobian(out, z), curvature, np.zeros(0))


def of_prior(prior: Prior, name: str, equations: StateEquations) -> NonlinearModel:
    """Return the model of a nonlinear prior, called `name`, whose theta holds its values and zeros for h and G.

    Raises ConfigurationError where the prior is linear or gives no expression.
    """
    mean = None if prior.linear else prior.expression()
    if mean is None:
        raise ConfigurationError(
            f"the prior '{name}' is linear or has no expression of its mean; set dynamics.prior to rigid_body, gmm or "
            f"ensemble, or control.planner to ilqr",
            key="dynamics.prior",
            value=name,
        )
    return of_mean(mean, equations)


def of_mean(mean: MeanExpression, equations: StateEquations) -> NonlinearModel:
    """Return the model of a prior's mean; see `of_prior`."""
    n, m, nx = equations.n, equations.m, equations.nx
    x, h, G, s = casadi.SX.sym("x", nx), casadi.SX.sym("h", n), casadi.SX.sym("G", m, n), casadi.SX.sym("s", nx)
    E = casadi.vertcat(casadi.diag(h), casadi.SX.eye(n), 0.5 * equations.dt * G, G)
    joints, columns = x[: 2 * n], [*range(2 * n), *range(nx, nx + n)]
    given, wanted = [mean.x, mean.s], [joints, E.T @ s]
    delta, D, C = casadi.substitute([mean.delta, mean.jacobian, mean.curvature], given, wanted)
    jacobian, curvature = casadi.SX(nx, nx + n), casadi.SX(nx + n, nx + n)
    jacobian[:, columns], curvature[columns, columns] = E @ D, casadi.tril(C)
    theta = casadi.vertcat(h, casadi.vec(G.T), mean.theta)
    values = np.concatenate([np.zeros(n + m * n), mean.values])
    return _model(x, mean.u, theta, s, E @ delta, jacobian, curvature, values)


def _model(
    x: casadi.SX,
    u: casadi.SX,
    theta: casadi.SX,
    s: casadi.SX,
    phi: casadi.SX,
    jacobian: casadi.SX,
    curvature: casadi.SX,
    values: Array,
) -> NonlinearModel:
    options = {"cse": True}
    return NonlinearModel(
        casadi.Function("model", [x, u, theta], [casadi.densify(phi)], options),
        casadi.Function("model_jacobian", [x, u, theta], [casadi.sparsify(jacobian)], options),
        casadi.Function("model_curvature", [x, u, theta, s], [casadi.sparsify(curvature)], options),
        values,
    )
