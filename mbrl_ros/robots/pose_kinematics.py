r"""Where the tool is and how it is turned, and which joint positions put it into a pose.

The tool's frame stands at the end-effector point, turned by `robot.tip_rotation` against the tip link. With its pose
p(q), R(q) and the target's p*, R*, both in the root link's frame, the residual of a posture is

    r = [p* - p;  L w e],     e = log(R^T R*) (3,) [rad] in the tool's frame,

w (3,) the weights of the rotations about the tool's axes and L a lever [m/rad], which makes lengths of angles. A
rotation of weight 0 is free: with w = (1, 1, 0) the tool's axis points where it is wanted, and the tool may turn about
it. With the body's angular velocity w_b = J_b qd, R^T R* becomes exp(-[w_b] dt) R^T R*, so that

    de/dq = -J_l^-1(e) J_b

(rotation.py), up to half a turn: the logarithm was chosen and not three points at a lever, whose residual becomes flat
towards half a turn, so that a search stands still there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..codegen.symbolic import casadi
from ..types import Array, checked
from . import urdf
from .kinematics import MOST_STEPS, Kinematics, applied, moved, placed_joint
from .robot import Robot
from .rotation import inverse_left_jacobian, logarithm

LEVER = 0.2  # [m/rad]
STEPS_BETWEEN = 8  # steps: most of a search is spent where it will not succeed
WIDEST_MARGIN = 0.25  # of a joint's range, at either of its stops
ALL_AXES = (1.0, 1.0, 1.0)


def tool_frame(robot: Robot) -> casadi.Function:
    """Return q (n,), r (k,) -> p (3,) [m], R (3, 3): the tool's pose in the root link's frame, as an SX function."""
    q, r = casadi.SX.sym("q", robot.n), casadi.SX.sym("r", len(robot.uncontrolled))
    p, R = casadi.SX(robot.tip_offset), casadi.SX(casadi.DM(np.array(robot.tip_rotation)))
    inner = np.eye(4)
    for joint in reversed(urdf.parse(robot.urdf).chain(robot.tip)):
        position = placed_joint(robot, joint, q, r)
        if position is not None:
            p = moved(joint, position, applied(inner, p))
            R = moved(joint, position, applied(inner, R, 0.0), 0.0)
            inner = np.eye(4)
        inner = joint.origin @ inner
    outputs = [applied(inner, p), applied(inner, R, 0.0)]
    return casadi.Function("tool_frame", [q, r], casadi.cse(outputs), ["q", "r"], ["p", "R"])


def frame_and_jacobians(robot: Robot) -> casadi.Function:
    """Return q (n,), r (k,) -> p (3,) [m], R (3, 3), dp/dq (3, n) and the body's angular velocity per qd (3, n)."""
    q, r = casadi.SX.sym("q", robot.n), casadi.SX.sym("r", len(robot.uncontrolled))
    p, R = tool_frame(robot)(q, r)
    x, y, z = casadi.horzsplit(R)
    turning = [a.T @ casadi.jacobian(b, q) for a, b in ((z, y), (x, z), (y, x))]  # [w_b] = R^T dR
    outputs = [p, R, casadi.jacobian(p, q), casadi.vertcat(*turning)]
    return casadi.Function("frame", [q, r], casadi.cse([casadi.densify(value) for value in outputs]))


class PoseKinematics(Kinematics):
    """Pose, Jacobians and inverse kinematics of the tool, beside those of its point.

    `weights` (3,) of the rotations about the tool's axes, 0 for a free one.
    """

    def __init__(self, robot: Robot, weights: ArrayLike = ALL_AXES):
        super().__init__(robot)
        self._frame = robot.units.function("tool_frame", {"robot": robot}, lambda: frame_and_jacobians(robot))
        self._rotations = np.flatnonzero(np.asarray(weights, dtype=float))
        self._weights = LEVER * np.asarray(weights, dtype=float)[self._rotations]

    def pose(self, q: Array) -> tuple[Array, Array]:
        """Return p (3,) [m] and R (3, 3) at q (n,) [rad or m]."""
        p, R, _, _ = self._frame(checked("q", q, (self._n,)), self.uncontrolled)
        return p.ravel(), R

    @property
    def rotations(self) -> NDArray[np.intp]:
        """The axes of the tool about which rotations are not free, of 0, 1, 2."""
        return self._rotations

    def velocity_map(self, q: Array) -> tuple[Array, Array, Array]:
        """Return p (3,) [m], R (3, 3) and J (3 + k, n) at q (n,), with J qd = [v; L w] the velocity of the tool.

        v is that of its point along the axes of the root link [m/s], w (k,) [rad/s] are the rotations about those axes
        of the tool that are not free, times their weights.
        """
        p, R, Jp, Jw = self._frame(q, self.uncontrolled)
        J = np.concatenate((Jp, self._weights[:, None] * Jw[self._rotations]))
        return p.ravel(), R, J

    def weighted(self, v: Array, w: Array) -> Array:
        """Return [v; L w] (3 + k,) of `velocity_map` for v (3,) [m/s], and w (3,) [rad/s] in the tool's axes."""
        return np.concatenate((v, self._weights * w[self._rotations]))

    def inverse_pose(
        self,
        p: Array,
        R: Array,
        seed: Array,
        *,
        tolerance: float = 1e-6,
        restarts: int = 24,
        stop_distance: float = 0.0,
    ) -> tuple[Array, float, float]:
        """Find joint positions inside the limits that bring the tool to p (3,) [m], R (3, 3).

        The search starts from `seed` (n,) and, while the residual stays above `tolerance` [m], from `restarts` random
        positions, always the same ones. Where a joint is then nearer to a stop than `stop_distance` [rad or m], a
        posture without such a joint is searched from the seed and from what was found, and taken where there is one.

        Returns
        -------
        q (n,) [rad or m], and the distance [m] and the angle [rad], about the axes that are not free, that are left.
        """
        p, R = checked("p", p, (3,)), checked("R", R, (3, 3))
        q, left = self._search(lambda q: self._residual(p, R, q), seed, tolerance, restarts, STEPS_BETWEEN)
        if stop_distance > 0.0 and left <= tolerance:
            q = self._away_from_stops(p, R, q, seed, tolerance, stop_distance)
        return q, *self.missed(p, R, q)

    def _away_from_stops(
        self, p: Array, R: Array, q: Array, seed: Array, tolerance: float, stop_distance: float
    ) -> Array:
        """Return a posture (n,) near q or the seed (n,) that is `stop_distance` away from all stops; q without one."""
        margin = np.minimum(stop_distance, WIDEST_MARGIN * (self._upper - self._lower))
        limits = self._lower + margin, self._upper - margin
        if (limits[0] <= q).all() and (q <= limits[1]).all():
            return q
        for start in (seed, q):
            inside = np.clip(start, *limits)
            found, left = self._descend(lambda q: self._residual(p, R, q), inside, tolerance, MOST_STEPS, limits)
            if left <= tolerance:
                return found
        return q

    def nearest(self, p: Array, R: Array, q: Array) -> Array:
        """Go on from q (n,), found by `inverse_pose`, to where the residual is least, though it is not small.

        The search itself leaves a descent early that will not succeed.
        """
        return self._descend(lambda q: self._residual(p, R, q), q, 0.0, MOST_STEPS)[0]

    def missed(self, p: Array, R: Array, q: Array) -> tuple[float, float]:
        """Return the distance [m] and the angle [rad], about the axes that count, from q (n,) to the pose p, R."""
        r = self._residual(p, R, q)[0]
        turned = r[3:] / self._weights
        return math.sqrt(float(r[:3] @ r[:3])), math.sqrt(float(turned @ turned))

    def _residual(self, p: Array, R: Array, q: Array) -> tuple[Array, Array]:
        """Return r (3 + free rotations left out) and -dr/dq at q (n,)."""
        at, turned, Jp, Jw = self._frame(q, self.uncontrolled)
        e = logarithm(turned.T @ R)
        rows, w = self._rotations, self._weights
        Je = w[:, None] * (inverse_left_jacobian(e)[rows] @ Jw)
        return np.concatenate((p - at.ravel(), w * e[rows])), np.concatenate((Jp, Je))
