r"""A member of a probabilistic ensemble as CasADi expressions, so that derivatives can be taken through it.

The networks are those of gaussian_networks.py at z = [sin q, cos q, qd, u], with everything that a fit changes in one
vector w, so that what is built of these expressions stays the same when the ensemble is fitted again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ...codegen.symbolic import casadi
from ...dynamics.gaussian_networks import NetworkShape

StepExpression: TypeAlias = "Callable[[casadi.MX, casadi.MX, casadi.MX, casadi.MX], casadi.MX]"  # (x, u, eps, w) -> x'


def parameters_size(shape: NetworkShape) -> int:
    """Return the size of w, a row of `GaussianEnsemble.parameters`."""
    return shape.size + 2 * shape.inputs + shape.outputs


def moments_expression(shape: NetworkShape, z: casadi.MX, w: casadi.MX) -> tuple[casadi.MX, casadi.MX]:
    """Return mean and standard deviation (outputs,) of the member w at z (inputs,)."""
    W, start = {}, 0
    for name, (rows, columns) in shape.parts.items():
        W[name] = casadi.reshape(w[start : start + rows * columns], columns, rows)  # there row-major: transposed here
        start += rows * columns
    i, o = shape.inputs, shape.outputs
    centre, inverse, d_scale = casadi.vertsplit(w[start:], [0, i, 2 * i, 2 * i + o])
    standard = (z - centre) * inverse
    first = casadi.tanh(W["W1"] @ standard + W["b1"])
    second = casadi.tanh(W["W2"] @ first + W["b2"])
    out = W["W3"] @ second + W["b3"]
    width = 0.5 * (shape.high - shape.low)
    log_variance = 0.5 * (shape.low + shape.high) + width * casadi.tanh(out[o:] / width)
    return (out[:o] + W["L"] @ standard) * d_scale, casadi.exp(0.5 * log_variance) * d_scale


def step_expression(shape: NetworkShape, dt: float) -> StepExpression:
    r"""Return x'(x, u, eps, w): qd' = qd + mean(z) + std(z) eps, q' = q + dt/2 (qd + qd')."""

    def step(x: casadi.MX, u: casadi.MX, eps: casadi.MX, w: casadi.MX) -> casadi.MX:
        n = shape.outputs
        q, qd = x[:n], x[n:]
        mean, std = moments_expression(shape, casadi.vertcat(casadi.sin(q), casadi.cos(q), qd, u), w)
        rate = qd + mean + std * eps
        return casadi.vertcat(q + 0.5 * dt * (qd + rate), rate)

    return step
