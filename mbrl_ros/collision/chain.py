r"""Where a robot's capsules are, and how the joints move points of them.

A point p of a link moves by dp = sum_j J_j dq_j over the controlled joints j that carry the link, with the axis z_j of
a joint and a point o_j on it, in the root link's frame:

    J_j = z_j x (p - o_j)  (revolute, continuous)          J_j = z_j  (prismatic)

so that for a direction n  n . J_j = Z_j . (p x n) + W_j . n, where Z_j = z_j, W_j = o_j x z_j for a revolute joint and
Z_j = 0, W_j = z_j for a prismatic one (Pluecker coordinates). Joints that are not controlled are as in kinematics.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..codegen.symbolic import casadi
from ..robots import Robot, urdf
from ..robots.kinematics import applied, moved, placed_joint
from ..types import Array
from .capsules import Capsule


def carrying(robot: Robot, links: Sequence[str]) -> NDArray[np.bool_]:
    """Return which of the controlled joints move each of `links`: (K, n)."""
    tree = urdf.parse(robot.urdf)
    chains = [{joint.name for joint in tree.chain(link)} for link in links]
    return np.array([[joint in chain for joint in robot.joints] for chain in chains], dtype=bool).reshape(-1, robot.n)


def reach(robot: Robot, capsules: Sequence[Capsule]) -> float:
    """Return a length [m], at least 1, above which no distance changes per rad or m of any joint."""
    tree, longest = urdf.parse(robot.urdf), 1.0
    spans = dict(zip(robot.joints, robot.position_upper - robot.position_lower, strict=True))
    for capsule in capsules:
        length = max(float(np.linalg.norm(end)) for end in (capsule.a, capsule.b))
        for joint in tree.chain(capsule.link):
            length += float(np.linalg.norm(joint.origin[:3, 3]))
            length += float(spans.get(joint.name, 0.0)) if joint.kind == "prismatic" else 0.0
        longest = max(longest, length)
    return longest


def chain_function(robot: Robot, capsules: Sequence[Capsule]) -> casadi.Function:
    """Return q (n,), r (k,) -> ends (3, 2 K) [m], Z (3, n), W (3, n), as an SX function; see the module's docstring.

    Columns 2 i and 2 i + 1 of the ends are those of capsule i.
    """
    q, r = casadi.SX.sym("q", robot.n), casadi.SX.sym("r", len(robot.uncontrolled))
    tree = urdf.parse(robot.urdf)
    moved_links = [joint.child for joint in tree.joints if joint.name in robot.joints]
    links = [*(capsule.link for capsule in capsules), *moved_links]
    needed = {joint.name for link in links for joint in tree.chain(link)}
    frames = {tree.root: casadi.SX.eye(4)[:3, :]}  # {link: [R p]}
    Z, W = casadi.SX(3, robot.n), casadi.SX(3, robot.n)
    for joint in tree.descending():
        if joint.name not in needed:
            continue
        R, p = _frame(frames[joint.parent], joint.origin)
        position, axis = placed_joint(robot, joint, q, r), R @ casadi.SX(joint.axis)
        prismatic = joint.kind == "prismatic"
        if joint.name in robot.joints:
            column = robot.joints.index(joint.name)
            Z[:, column] = casadi.SX.zeros(3) if prismatic else axis
            W[:, column] = axis if prismatic else casadi.cross(p, axis)
        if position is not None:
            p = p + axis * position if prismatic else p
            R = R if prismatic else R @ moved(joint, position, casadi.SX.eye(3), 0.0)
        frames[joint.child] = casadi.horzcat(R, p)
    ends = [frames[c.link][:, :3] @ casadi.SX(end) + frames[c.link][:, 3] for c in capsules for end in (c.a, c.b)]
    outputs = casadi.cse([casadi.horzcat(*ends) if ends else casadi.SX(3, 0), Z, W])
    return casadi.Function("chain", [q, r], [casadi.densify(one) for one in outputs], ["q", "r"], ["ends", "Z", "W"])


def _frame(parent: casadi.SX, origin: Array) -> tuple[casadi.SX, casadi.SX]:
    """Return R and p of the transform `origin` (4, 4) in the frame `parent` (3, 4)."""
    placed = applied(origin, casadi.SX.eye(4)[:3, :])  # of directions; its last column is the place
    R = parent[:, :3] @ (placed[:, :3] - casadi.repmat(placed[:, 3], 1, 3))
    return casadi.simplify(R), parent[:, :3] @ placed[:, 3] + parent[:, 3]


class Chain:
    """`chain_function` with numpy in and out; joints that are not controlled are at zero until `place`."""

    def __init__(self, robot: Robot, capsules: Sequence[Capsule]):
        inputs = {"robot": robot, "capsules": list(capsules)}
        self._function = robot.units.function("chain", inputs, lambda: chain_function(robot, capsules))
        count, n = len(capsules), robot.n
        self._q, self._r = np.zeros(n), np.zeros(len(robot.uncontrolled))
        self._ends, self._Z, self._W = np.zeros((count, 2, 3)), np.zeros((n, 3)), np.zeros((n, 3))
        self._evaluate = self._function.fixed((self._q, self._r), (self._ends, self._Z, self._W))

    def place(self, r: Array) -> None:
        """Take r (k,) [rad or m] for the positions of the joints that are not controlled; those not finite stay."""
        self._r[:] = np.where(np.isfinite(r), r, self._r)

    @property
    def placed(self) -> Array:
        """Where joints that are not controlled are taken to be: r (k,) [rad or m]."""
        return np.array(self._r)

    def at(self, q: Array) -> tuple[Array, Array, Array]:
        """Return the ends (K, 2, 3) [m], Z (n, 3) and W (n, 3) at q (n,), valid until the next call."""
        self._q[:] = q
        self._evaluate()
        return self._ends, self._Z, self._W

    def many(self, Q: Array, R: Array | None = None) -> Array:
        """Return the ends (T, K, 2, 3) [m] at every row of Q (T, n) and R (T, k); None: where they were placed."""
        T, count = len(Q), len(self._ends)
        ends = self._function.many(Q, np.tile(self._r, (T, 1)) if R is None else R)[0]  # (T, 3, 2 K)
        return np.ascontiguousarray(ends.swapaxes(1, 2)).reshape(T, count, 2, 3)
