r"""How much command a change of acceleration costs: M(q), identified from what the commands did.

    M(q) = diag(m_0) + sum_i mu_i J_i(q)^T J_i(q),    m_0, mu_i >= 0

the inertia of point masses mu_i [kg] at the joints' origins and at the end effector, J_i their positions' Jacobians,
plus the rotors' inertia m_0 (or what stands for the lag of a drive that tracks velocities or positions). Positive
definite by construction and linear in its few unknowns, which follow from the changes over one window between samples,

    dw = M(q) da + D dq + noise,

by non-negative least squares (Lawson & Hanson 1974). D takes up gravity's change and is not used further. The commands
are known exactly and the accelerations are not, which makes M a little too small: the safe side for the student, whose
servo is stable while the eigenvalues of M_true^-1 M stay below 2.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..codegen.symbolic import casadi
from ..robots import Robot, urdf
from ..robots.kinematics import tip_position
from ..types import Array


def jacobians(robot: Robot, q: casadi.SX) -> list[casadi.SX]:
    """Return J_i (3, n) at q of the distinct moving points, the end effector last."""
    found: dict[str, casadi.SX] = {}
    links = [joint.child for joint in urdf.parse(robot.urdf).chain(robot.tip) if joint.kind != "fixed"]
    places = [(link, np.zeros(3)) for link in links] + [(robot.tip, robot.tip_offset)]
    probe = 0.3 + 0.1 * np.arange(robot.n)
    for link, offset in places:
        point = tip_position(dataclasses.replace(robot, tip=link, tip_offset=offset))
        where = str(np.round(np.array(point(probe)).ravel(), 9))
        J = casadi.jacobian(point(q), q)
        if J.nnz() and where not in found:
            found[where] = J
    return list(found.values())


class PointMassInertia:
    """M(q) of a robot with `count` moving points, from their masses and the rotors' inertia."""

    def __init__(self, robot: Robot):
        q = casadi.SX.sym("q", robot.n)
        squares = [casadi.densify(J.T @ J) for J in jacobians(robot, q)]
        self.n, self.count = robot.n, len(squares)
        self._squares = casadi.Function("squares", [q], [casadi.vertcat(*map(casadi.vec, squares))])

    def squares(self, Q: Array) -> Array:
        """Return J_i^T J_i (N, count, n, n) for rows of Q (N, n)."""
        squares: Array = np.array(self._squares(Q.T)).T.reshape(len(Q), self.count, self.n, self.n)
        return squares

    def inertia(self, Q: Array, mu: Array, rotor_inertia: Array) -> Array:
        """Return M (N, n, n) for rows of Q (N, n), mu (count,) [kg] and rotor_inertia (n,)."""
        M: Array = np.einsum("nkij,k->nij", self.squares(Q), mu) + np.diag(rotor_inertia)
        return M

    def identify(self, q: Array, dq: Array, da: Array, dw: Array, unit: Array) -> tuple[Array, Array]:
        """Identify the unknowns from samples.

        Parameters
        ----------
        q, dq, da, dw : (N, n) positions, and the changes of positions, accelerations and commands over one window
        unit : (n,) a command that counts as one

        Returns
        -------
        mu (count,) [kg] and rotor_inertia (n,)
        """
        from scipy.optimize import lsq_linear  # takes a node that only evaluates policies a tenth of a second to load

        n = self.n

        def only(row: int, values: Array) -> Array:
            """Return (N, n) with `values` in one column."""
            column = np.zeros_like(dw)
            column[:, row] = values
            return column

        columns = [(S @ da[:, :, None])[:, :, 0] for S in self.squares(q).transpose(1, 0, 2, 3)]
        columns += [only(j, da[:, j]) for j in range(n)]
        columns += [only(i, dq[:, j]) for i in range(n) for j in range(n)]
        A, b = np.stack([(c / unit).ravel() for c in columns], axis=1), (dw / unit).ravel()
        G, h = A.T @ A, A.T @ b
        size = np.sqrt(np.diag(G)) + 1e-12
        lowest = np.r_[np.zeros(self.count + n), np.full(n * n, -np.inf)]
        x = lsq_linear(G / np.outer(size, size) + 1e-6 * np.eye(size.size), h / size, bounds=(lowest, np.inf)).x / size
        return x[: self.count], x[self.count : self.count + n]
