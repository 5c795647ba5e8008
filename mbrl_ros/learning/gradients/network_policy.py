r"""A policy with a linear part and, where it has hidden units, a network beside it, within the limits of the commands.

    u = middle + half range tanh(v),    v = m_theta(x) + std xi,    xi ~ N(0, I)
    m_theta(x) = K s + b + W2 tanh(W1 s + b1),    s = (f(x) - centre) / scale,    f(x) = [sin q, cos q, qd]

theta holds K, b, W1, b1, W2 in this order, and begins with K, b and W2 at zero: commands in the middle of their range.
A passive joint, whose limits coincide, has no v. pi_theta(v | x) is a Gaussian, and tanh is smooth, so that both
gradients exist: the one by likelihood ratios needs the density of v, the one by backpropagation du/dv.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ...codegen.symbolic import casadi
from ...types import Array, CommandVector, StateVector

FeatureExpression: TypeAlias = "Callable[[casadi.MX], casadi.MX]"


def joint_features(x: casadi.MX) -> casadi.MX:
    """Return [sin q, cos q, qd] (3n,) of x = [q; qd] (2n,)."""
    n = x.numel() // 2
    return casadi.vertcat(casadi.sin(x[:n]), casadi.cos(x[:n]), x[n:])


class NetworkPolicy:
    """See the top of this module.

    lower, upper (n,): limits of the commands; centre, scale (size of f(x),); hidden: units of the hidden layer, 0 for a
    linear policy.
    """

    def __init__(
        self,
        lower: CommandVector,
        upper: CommandVector,
        centre: Array,
        scale: Array,
        hidden: int,
        features: FeatureExpression = joint_features,
    ):
        active = np.flatnonzero(upper > lower)
        self.outputs, self._hidden, self._features = len(active), hidden, features
        self._middle = 0.5 * (lower + upper)
        self._half = np.zeros((len(lower), len(active)))
        self._half[active, np.arange(len(active))] = 0.5 * (upper - lower)[active]
        self._centre, self._scale = centre, scale
        inputs, outputs = len(centre), len(active)
        self.inputs_size = inputs
        self._shapes = {"K": (outputs, inputs), "b": (outputs, 1)}
        if hidden:
            self._shapes |= {"W1": (hidden, inputs), "b1": (hidden, 1), "W2": (outputs, hidden)}
        self.size = sum(rows * columns for rows, columns in self._shapes.values())
        x, theta = casadi.MX.sym("x", 2 * len(lower)), casadi.MX.sym("theta", self.size)
        u = self.command(self.mean(x, theta))
        self._act = casadi.Function("act", [x, theta], [u])
        self._slope = casadi.Function("slope", [x, theta], [casadi.densify(casadi.jacobian(u, x))])
        self._inputs = casadi.Function("inputs", [x], [casadi.densify(self.inputs(x))])
        self.active = active

    def initial(self, rng: np.random.Generator) -> Array:
        """Return theta (size,) to begin with."""
        parts = {name: np.zeros(shape) for name, shape in self._shapes.items()}
        if self._hidden:
            hidden, inputs = self._shapes["W1"]
            parts["W1"] = rng.normal(0.0, inputs**-0.5, (hidden, inputs))
            parts["b1"] = rng.normal(0.0, 0.5, (hidden, 1))
        return np.concatenate([part.ravel(order="F") for part in parts.values()])

    def inputs(self, x: casadi.MX) -> casadi.MX:
        """Return s (inputs,) at x (nx,)."""
        s: casadi.MX = (self._features(x) - casadi.DM(self._centre)) / casadi.DM(self._scale)
        return s

    def mean(self, x: casadi.MX, theta: casadi.MX) -> casadi.MX:
        """Return m_theta (outputs,) at x (nx,)."""
        part, start = {}, 0
        for name, (rows, columns) in self._shapes.items():
            part[name] = casadi.reshape(theta[start : start + rows * columns], rows, columns)
            start += rows * columns
        s = self.inputs(x)
        mean = part["K"] @ s + part["b"]
        if self._hidden:
            mean += part["W2"] @ casadi.tanh(part["W1"] @ s + part["b1"])
        return mean

    def command(self, v: casadi.MX) -> casadi.MX:
        """Return u (n,) of v (outputs,)."""
        u: casadi.MX = casadi.DM(self._middle) + casadi.DM(self._half) @ casadi.tanh(v)
        return u

    def act(self, x: StateVector, theta: Array) -> CommandVector:
        """Return the command (n,) of the mean at x."""
        return np.array(self._act(x, theta))[:, 0]

    def slope(self, x: StateVector, theta: Array) -> Array:
        """Return du/dx (n, nx) of the mean at x."""
        found: Array = np.array(self._slope(x, theta))
        return found

    def inputs_of(self, X: Array) -> Array:
        """Return s (T, inputs) at states X (T, nx)."""
        found: Array = np.array(self._inputs(X.T)).T
        return found

    def parts(self, theta: Array) -> dict[str, Array]:
        """Return views of theta by name; a change of one changes theta."""
        found, start = {}, 0
        for name, shape in self._shapes.items():
            size = shape[0] * shape[1]
            found[name] = theta[start : start + size].reshape(shape, order="F")
            start += size
        return found

    def limits(self) -> tuple[Array, Array]:
        """Return middle and half range (outputs,) of the commands that are not passive."""
        return self._middle[self.active], self._half[self.active].diagonal()
