r"""The student: a goal network, a gain network, and between them a servo that needs no model of gravity or payload.

Input o = (q, qd, a, w, tau): joints, the mean acceleration a and the mean command in effect w over the last `window`
seconds, and the target tau. With s(y) = y / sqrt(1 + y^2) and S(r) = r / sqrt(1 + |r|^2) (smooth, no exponential),

    g = middle + half * s(net(tau~))                                  goal posture, inside the joint limits
    d = g - q,  h = s(W [q, qd, d]~ + b)
    v = V S(k d / V),         k = k_mid exp(s(k_0 + S_k h))           wanted velocity,      |v / V| < 1
    y = A S(c (v - qd) / A),  c = c_mid exp(s(c_0 + S_c h) / 2)       wanted acceleration,  |y / A| < 1
    u = box(w + sigma M(q) (y - a))                                   the command

The last line is incremental dynamic inversion (Sieberling, Chu & Mulder, JGCD 2010): w is the command that the present
acceleration took, gravity, friction and payload included, so that only the change y - a has to be added, and unknown
forces are integrated away; that is how the student copes with a payload it cannot see. sigma is the inertia scale, M(q)
the inertia of inertia.py. Whatever the networks give, k, c, V and A stay in ranges in which the servo is stable, and at
rest d = 0 is the only equilibrium. ~ marks inputs whitened with statistics frozen before training. box is the identity
inside KNEE of the command range and saturates smoothly beyond. Here: y for many samples at once, in numpy; loss.py has
its derivatives, expression.py the whole student as CasADi expressions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import Array

KNEE = 0.95  # fraction of the command range inside which box(u) = u
TARGET_NAMES = ("joints", "point", "features")
K_MID = 3.2  # [1/s]
C_WINDOW = 0.32  # c_mid times the window: the acceleration is known one window late

Intermediate = tuple[Array, ...]  # values of a forward pass that its reverse pass uses


def squash(y: Array) -> Array:
    """Return s(y) = y / sqrt(1 + y^2)."""
    return y / np.sqrt(1.0 + y * y)


def shorten(r: Array) -> Array:
    """Return S(r) for rows r (N, n): any length to less than one, in the same direction."""
    shortened: Array = r / np.sqrt(1.0 + np.sum(r * r, axis=1, keepdims=True))
    return shortened


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """Sizes and bounds of a student, nothing learned. Joint arrays are (n,), in the order of `joints`.

    Attributes
    ----------
    joints, interface : of the robot
    kind : what a target is: "joints" (q* (n,), the goal itself), "point" (p* (3,) [m]) or "features" (s* (m,))
    nt : the size of a target
    tasks : how many tasks share the student
    window : [s]
    inertia_scale : sigma, in (0, 1]
    goal_units, gain_units : hidden units of a layer of the goal network and of the gain network
    lowest, highest : joint positions a goal may have [rad or m]
    velocity, acceleration : upper bounds of V [rad/s or m/s] and A [rad/s^2 or m/s^2]
    lower, upper : bounds of the command
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
        """The number of joints."""
        return len(self.joints)

    @property
    def c_mid(self) -> float:
        """The middle of the range of c [1/s]."""
        return C_WINDOW / self.window

    def layout(self) -> dict[str, tuple[int, ...]]:
        """Return {name of a parameter: its shape}, in the order in which they stand in theta."""
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
        """Return the goal network's part of the layout, which comes first."""
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
        """The number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.layout().values())

    def unpack(self, theta: Array, layout: dict[str, tuple[int, ...]] | None = None) -> dict[str, Array]:
        """Return views into theta by name; `layout` None: of all parameters."""
        views: dict[str, Array] = {}
        at = 0
        for name, shape in (layout or self.layout()).items():
            count = int(np.prod(shape))
            views[name] = theta[at : at + count].reshape(shape)
            at += count
        return views

    def initial(self, rng: np.random.Generator) -> Array:
        """Return theta (size,) before training: random hidden layers, every gain in the middle of its range."""
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
    """Frozen statistics of the inputs: mean and standard deviation of the target (nt,) and of [q, qd, d] (3n,)."""

    target_mean: Array
    target_deviation: Array
    mean: Array
    deviation: Array


def goal(
    shape: Shape, white: Whitening, p: dict[str, Array], target: Array, task: NDArray[np.int64]
) -> tuple[Array, Intermediate]:
    """Return g (N, n) for target (N, nt) and task (N,), and what the reverse pass needs."""
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


def bounds(shape: Shape, p: dict[str, Array]) -> tuple[Array, Array]:
    """Return V and A (n,), between a tenth and all of what the shape allows."""
    return shape.velocity * (0.55 + 0.45 * squash(p["V"])), shape.acceleration * (0.55 + 0.45 * squash(p["A"]))


def acceleration(
    shape: Shape, white: Whitening, p: dict[str, Array], q: Array, qd: Array, g: Array
) -> tuple[Array, Intermediate]:
    """Return y (N, n) for q, qd and g (N, n), and what the reverse pass needs."""
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
