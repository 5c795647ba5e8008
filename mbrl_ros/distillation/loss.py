"""The loss of a student and its derivative by reverse differentiation, over many samples at once.

    L(theta) = 1/N sum_i 1/2 r_i^T P_i r_i,    r_i = w_i + sigma M(q_i) (y_theta(o_i) - a_i) - u_i

with y of student.py. The saturation of the command is left out: labels lie inside the command range. The reverse pass
takes d L / d y_i = sigma M(q_i) P_i r_i / N back through the servo, the gain network and the goal network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import Array
from .student import Intermediate, Shape, Whitening, acceleration, goal, shorten


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """N samples as the loss takes them, one row each.

    q, qd, a, w, u (N, n); target (N, nt); task (N,); P (N, n, n) weights; M (N, n, n): the inertia scale times M(q).
    """

    q: Array
    qd: Array
    a: Array
    w: Array
    target: Array
    task: NDArray[np.int64]
    u: Array
    P: Array
    M: Array


def loss_and_gradient(shape: Shape, white: Whitening, theta: Array, data: Batch) -> tuple[float, Array]:
    """Return L at theta (size,) over `data`, and its gradient (size,)."""
    p = shape.unpack(theta)
    g, memory = goal(shape, white, p, data.target, data.task)
    y, kept = acceleration(shape, white, p, data.q, data.qd, g)
    r, weighted = _residual(data, y)
    flat = np.zeros(shape.size)
    grad = shape.unpack(flat)
    dy = np.matmul(data.M, (weighted / len(r))[:, :, None])[:, :, 0]
    dg = _acceleration_back(shape, white, p, kept, dy, grad)
    goal_back(shape, p, memory, dg, grad)
    return _mean(r, weighted), flat


def loss(shape: Shape, white: Whitening, theta: Array, data: Batch) -> float:
    """Return L at theta (size,) over `data`."""
    p = shape.unpack(theta)
    g, _ = goal(shape, white, p, data.target, data.task)
    y, _ = acceleration(shape, white, p, data.q, data.qd, g)
    return _mean(*_residual(data, y))


def _residual(data: Batch, y: Array) -> tuple[Array, Array]:
    """Return r (N, n) and P r (N, n)."""
    r = data.w + np.matmul(data.M, (y - data.a)[:, :, None])[:, :, 0] - data.u
    return r, np.matmul(data.P, r[:, :, None])[:, :, 0]


def _mean(r: Array, weighted: Array) -> float:
    return 0.5 * float(np.sum(r * weighted)) / len(r)


def goal_back(shape: Shape, p: dict[str, Array], memory: Intermediate, dg: Array, grad: dict[str, Array]) -> None:
    """Add to grad the goal network's derivatives, from dg = d loss / d g (N, n)."""
    if not memory:
        return
    x, y1, h1, y2, h2, y3 = memory
    d3 = dg * 0.5 * (shape.highest - shape.lowest) * _slope(y3)
    d2 = (d3 @ p["goal_W3"]) * _slope(y2)
    d1 = (d2 @ p["goal_W2"]) * _slope(y1)
    for number, d, h in ((3, d3, h2), (2, d2, h1), (1, d1, x)):
        grad[f"goal_W{number}"] += d.T @ h
        grad[f"goal_b{number}"] += d.sum(0)


def _acceleration_back(
    shape: Shape, white: Whitening, p: dict[str, Array], kept: Intermediate, dy: Array, grad: dict[str, Array]
) -> Array:
    """Return d loss / d g (N, n) from dy = d loss / d y (N, n); add the gain network's derivatives to grad."""
    x, yh, h, sk, sc, k, c, V, A, rv, v, ra, d, qd = kept
    dra = _shorten_back(ra, dy * A)
    dA = (dy * shorten(ra) - dra * ra / A).sum(0)
    dv = dra / A * c
    dsc = dra / A * (v - qd) * c * 0.5 * _slope(sc)
    drv = _shorten_back(rv, dv * V)
    dV = (dv * shorten(rv) - drv * rv / V).sum(0)
    dsk = drv / V * d * k * _slope(sk)
    grad["V"] += dV * shape.velocity * 0.45 * _slope(p["V"])
    grad["A"] += dA * shape.acceleration * 0.45 * _slope(p["A"])
    for name, d_ in (("k", dsk), ("c", dsc)):
        grad[f"{name}0"] += d_.sum(0)
        grad[f"S_{name}"] += d_.T @ h
    dyh = (dsk @ p["S_k"] + dsc @ p["S_c"]) * _slope(yh)
    grad["gain_W"] += dyh.T @ x
    grad["gain_b"] += dyh.sum(0)
    return drv / V * k + ((dyh @ p["gain_W"]) / white.deviation)[:, 2 * shape.n :]


def _slope(y: Array) -> Array:
    """Return s'(y)."""
    return (1.0 + y * y) ** -1.5


def _shorten_back(r: Array, ds: Array) -> Array:
    """Return d loss / d r from ds = d loss / d S(r)."""
    f = (1.0 + np.sum(r * r, axis=1, keepdims=True)) ** -0.5
    dr: Array = f * (ds - f * f * r * np.sum(r * ds, axis=1, keepdims=True))
    return dr
