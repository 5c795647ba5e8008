r"""The student: a goal network, a gain network, and between them a servo that needs no model of gravity or payload.

Input o = (q, qd, a, w, tau): joints, the mean acceleration a and the mean command in effect w over the last `window`
seconds, and the target tau. With s(y) = y / sqrt(1 + y^2) and S(r) = r / sqrt(1 + |r|^2) (smooth, no exponential),

    g = middle + half * s(net(tau~))                                  goal posture, inside the joint limits
    d = g - q,  h = s(W [q, qd, d]~ + b)
    v = V S(k d / V),         k = k_mid exp(s(k_0 + S_k h))           wanted velocity,      |v / V| < 1
    y = A S(c (v - qd) / A),  c = c_mid exp(s(c_0 + S_c h) / 2)       wanted acceleration,  |y / A| < 1
    u = box(w + inertia_scale M(q) (y - a))                                 the command

The last line is incremental dynamic inversion (Sieberling, Chu & Mulder, JGCD 2010): w is what the present acceleration
took, gravity, friction and payload included, so only the change y - a must be paid for, and what nobody foresaw is
integrated away; that is how the student survives a payload it cannot see. Whatever the networks say, k, c, V and A stay
in ranges in which the servo is stable, and at rest d = 0 is the only equilibrium. M(q) is in masses.py. ~ marks inputs
whitened with statistics frozen before training. box is the identity inside 95 % of the command range and saturates
smoothly beyond. Here: the vectorised student and the reverse derivative of its loss; expression.py is its CasADi twin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Array

KNEE = 0.95  # fraction of the command range inside which box(u) = u
TARGETS = ("joints", "point", "features")
K_MID = 3.2  # [1/s]
C_WINDOW = 0.32  # c_mid times the window: the acceleration is known one window late


def squash(y: Array) -> Array:
    """s(y) = y / sqrt(1 + y^2)."""
    return y / np.sqrt(1.0 + y * y)


def shorten(r: Array) -> Array:
    """S(r) for rows r (N, n): any length to less than one, in the same direction."""
    return r / np.sqrt(1.0 + np.sum(r * r, axis=1, keepdims=True))


def box(u: Array, lower: Array, upper: Array) -> Array:
    """Twice differentiable, strictly inside [lower, upper], and u itself within KNEE of the middle."""
    middle, half = 0.5 * (upper + lower), 0.5 * (upper - lower)
    r = (u - middle) / half
    over = (np.abs(r) - KNEE) / (1.0 - KNEE)
    return middle + half * np.where(over > 0.0, np.sign(r) * (KNEE + (1.0 - KNEE) * squash(over)), r)


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """Sizes and bounds of a student, nothing learned. Joint arrays are (n,), in the order of `joints`.

    kind: what a target is: "joints" (q* (n,), the goal itself), "point" (p* (3,) [m]) or "features" (s* (m,)); nt its
    size; tasks: how many tasks share the student; window [s]; lowest, highest: joint positions a goal may have;
    velocity, acceleration: upper bounds of V and A; lower, upper: of the command.
    """

    joints: tuple[str, ...]
    interface: str
    kind: str
    nt: int
    tasks: int
    window: float
    inertia_scale: float
    goal_units: int
    gain_units: int
    lowest: Array
    highest: Array
    velocity: Array
    acceleration: Array
    lower: Array
    upper: Array

    @property
    def n(self) -> int:
        return len(self.joints)

    @property
    def c_mid(self) -> float:
        """[1/s]."""
        return C_WINDOW / self.window

    def layout(self) -> dict[str, tuple[int, ...]]:
        """{name of a parameter: its shape}, in the order in which they stand in theta."""
        n, h = self.n, self.gain_units
        return {
            **self.goal_layout(),
            "gain_W": (h, 3 * n),
            "gain_b": (h,),
            "k0": (n,),
            "c0": (n,),
            "V": (n,),
            "A": (n,),
            "S_k": (n, h),
            "S_c": (n, h),
        }

    def goal_layout(self) -> dict[str, tuple[int, ...]]:
        """The goal network's part of it, which comes first."""
        g, inputs = self.goal_units, self.nt + (self.tasks if self.tasks > 1 else 0)
        return (
            {}
            if self.kind == "joints"
            else {
                "goal_W1": (g, inputs),
                "goal_b1": (g,),
                "goal_W2": (g, g),
                "goal_b2": (g,),
                "goal_W3": (self.n, g),
                "goal_b3": (self.n,),
            }
        )

    @property
    def size(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.layout().values())

    def unpack(self, theta: Array, layout: dict | None = None) -> dict[str, Array]:
        """Views into theta by name."""
        views, at = {}, 0
        for name, shape in (layout or self.layout()).items():
            count = int(np.prod(shape))
            views[name] = theta[at : at + count].reshape(shape)
            at += count
        return views

    def initial(self, rng: np.random.Generator) -> Array:
        """Theta (size,) before training: random hidden layers, every gain in the middle of its range."""
        theta = np.zeros(self.size)
        p = self.unpack(theta)
        for name in ("goal_W1", "goal_W2", "goal_W3", "gain_W"):
            if name in p:
                p[name][:] = rng.standard_normal(p[name].shape) / np.sqrt(p[name].shape[1])
        if "goal_W3" in p:
            p["goal_W3"] *= 0.1
            p["goal_b1"][:] = 0.3 * rng.standard_normal(self.goal_units)
        return theta


@dataclass(frozen=True, eq=False, slots=True)
class Whitening:
    """Frozen statistics: mean and deviation of the target (nt,) and of [q, qd, d] (3n,)."""

    target_mean: Array
    target_deviation: Array
    mean: Array
    deviation: Array


def goal(shape: Shape, white: Whitening, p: dict[str, Array], target: Array, task: Array) -> tuple[Array, tuple]:
    """G (N, n) for target (N, nt) and task (N,), and what the reverse pass needs."""
    if shape.kind == "joints":
        return target, ()
    x = (target - white.target_mean) / white.target_deviation
    if shape.tasks > 1:
        x = np.hstack((x, np.eye(shape.tasks)[task]))
    y1 = x @ p["goal_W1"].T + p["goal_b1"]
    h1 = squash(y1)
    y2 = h1 @ p["goal_W2"].T + p["goal_b2"]
    h2 = squash(y2)
    y3 = h2 @ p["goal_W3"].T + p["goal_b3"]
    middle, half = 0.5 * (shape.highest + shape.lowest), 0.5 * (shape.highest - shape.lowest)
    return middle + half * squash(y3), (x, y1, h1, y2, h2, y3)


def goal_back(shape: Shape, p: dict, memory: tuple, dg: Array, grad: dict) -> None:
    """Adds to grad what dg = d loss / d g (N, n) means for the goal network."""
    if not memory:
        return
    x, y1, h1, y2, h2, y3 = memory
    d3 = dg * 0.5 * (shape.highest - shape.lowest) * _slope(y3)
    d2 = (d3 @ p["goal_W3"]) * _slope(y2)
    d1 = (d2 @ p["goal_W2"]) * _slope(y1)
    for number, d, h in ((3, d3, h2), (2, d2, h1), (1, d1, x)):
        grad[f"goal_W{number}"] += d.T @ h
        grad[f"goal_b{number}"] += d.sum(0)


def bounds(shape: Shape, p: dict[str, Array]) -> tuple[Array, Array]:
    """V and A (n,), between a tenth and all of what the shape allows."""
    return shape.velocity * (0.55 + 0.45 * squash(p["V"])), shape.acceleration * (0.55 + 0.45 * squash(p["A"]))


def acceleration(shape: Shape, white: Whitening, p: dict, q: Array, qd: Array, g: Array) -> tuple[Array, tuple]:
    """Y (N, n), and what the reverse pass needs."""
    d = g - q
    x = (np.hstack((q, qd, d)) - white.mean) / white.deviation
    yh = x @ p["gain_W"].T + p["gain_b"]
    h = squash(yh)
    sk, sc = h @ p["S_k"].T + p["k0"], h @ p["S_c"].T + p["c0"]
    k, c = K_MID * np.exp(squash(sk)), shape.c_mid * np.exp(0.5 * squash(sc))
    V, A = bounds(shape, p)
    rv = k * d / V
    v = V * shorten(rv)
    ra = c * (v - qd) / A
    return A * shorten(ra), (x, yh, h, sk, sc, k, c, V, A, rv, v, ra, d, qd)


def loss(shape: Shape, white: Whitening, theta: Array, data, gradient: bool = True):
    """(value, its gradient (size,) or None): mean of 1/2 (u - u*)^T P (u - u*) over `data`, before the box.

    data: rows q, qd, a, w, target, task, u, P (N, n, n) and M (N, n, n), the inertia_scale times M(q), by attribute.
    """
    p = shape.unpack(theta)
    g, memory = goal(shape, white, p, data.target, data.task)
    y, kept = acceleration(shape, white, p, data.q, data.qd, g)
    r = data.w + np.matmul(data.M, (y - data.a)[:, :, None])[:, :, 0] - data.u
    pull = np.matmul(data.P, r[:, :, None])[:, :, 0]
    value = 0.5 * float(np.sum(r * pull)) / len(r)
    if not gradient:
        return value, None
    flat = np.zeros(shape.size)
    grad = shape.unpack(flat)
    dy = np.matmul(data.M, (pull / len(r))[:, :, None])[:, :, 0]
    dg = _acceleration_back(shape, white, p, kept, dy, grad)
    goal_back(shape, p, memory, dg, grad)
    return value, flat


def _acceleration_back(shape: Shape, white: Whitening, p: dict, kept: tuple, dy: Array, grad: dict) -> Array:
    """D loss / d g (N, n) from d loss / d y; adds to grad."""
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
    """s'(y)."""
    return (1.0 + y * y) ** -1.5


def _shorten_back(r: Array, ds: Array) -> Array:
    """D / d r from ds = d / d S(r)."""
    f = (1.0 + np.sum(r * r, axis=1, keepdims=True)) ** -0.5
    return f * (ds - f * f * r * np.sum(r * ds, axis=1, keepdims=True))
