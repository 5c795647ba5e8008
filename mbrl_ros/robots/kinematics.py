"""Where the end effector is, and which joint positions put it somewhere.

Forward: p(q) = T_1(q_1) T_2(q_2) ... T_L(q_L) p_tip along the URDF's chain of joints, evaluated from the tip inwards,
so that only a point, never a matrix, is carried through the product: p <- R_i Rot(a_i, q_i) p + t_i (revolute, with
Rodrigues' formula Rot(a, q) p = p + sin q (a x p) + (1 - cos q) a x (a x p)) or p <- R_i (p + a_i q_i) + t_i.
Joints of the chain that are not controlled, r (k,) in the order of `Robot.uncontrolled`, stand where they are measured.
Inverse: damped least squares, dq = J^T (J J^T + mu I)^-1 (p* - p) (Levenberg-Marquardt; Wampler 1986; Nakamura and
Hanafusa 1986), on the joints not held by a limit, restarted from seeded random positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..codegen.symbolic import casadi
from ..types import Array, checked
from . import urdf
from .compiled_kinematics import CompiledPositions, library
from .robot import Robot

MOST_STEPS, LEAST_PROGRESS = 100, 0.7  # of a descent; see `_search`
Residual = Callable[[Array], tuple[Array, Array]]  # q (n,) -> residual r (m,) and -dr/dq (m, n)
# Rotations in URDFs are rounded: entries this close to 0 or 1 are meant to be, which keeps the expressions small.
_ROUNDING = 1e-10


def tip_position(robot: Robot) -> casadi.Function:
    """Return q (n,) [rad or m] -> p (3,) [m]: the end-effector point in the root link's frame, as an SX function.

    Joints that are not controlled are at zero.
    """
    q = casadi.SX.sym("q", robot.n)
    return casadi.Function("tip_position", [q], [casadi.cse(_tip(robot, q, None))], ["q"], ["p"])


def placed_tip_position(robot: Robot) -> casadi.Function:
    """Return q (n,), r (k,) -> p (3,) [m] with the joints that are not controlled at r; see `tip_position`."""
    q, r = casadi.SX.sym("q", robot.n), casadi.SX.sym("r", len(robot.uncontrolled))
    return casadi.Function("tip_position", [q, r], [casadi.cse(_tip(robot, q, r))], ["q", "r"], ["p"])


def _symbols_and_point(robot: Robot) -> tuple[list[casadi.SX], casadi.SX]:
    point = placed_tip_position(robot) if robot.uncontrolled else tip_position(robot)
    symbols = [casadi.SX.sym(name, point.numel_in(i)) for i, name in enumerate(point.name_in())]
    return symbols, casadi.densify(point(*symbols))


def _position(robot: Robot) -> casadi.Function:
    symbols, p = _symbols_and_point(robot)
    return casadi.Function("tip_position", symbols, [casadi.cse(p)])


def _position_and_jacobian(robot: Robot) -> casadi.Function:
    symbols, p = _symbols_and_point(robot)
    return casadi.Function("kinematics", symbols, casadi.cse([p, casadi.densify(casadi.jacobian(p, symbols[0]))]))


def _tip(robot: Robot, q: casadi.SX, r: casadi.SX | None) -> casadi.SX:
    p = casadi.SX(robot.tip_offset)
    inner = np.eye(4)  # the fixed transforms since the last movable joint, folded into one
    for joint in reversed(urdf.parse(robot.urdf).chain(robot.tip)):
        position = placed_joint(robot, joint, q, r)
        if position is not None:
            p = moved(joint, position, applied(inner, p))
            inner = np.eye(4)
        inner = joint.origin @ inner
    return applied(inner, p)


def placed_joint(robot: Robot, joint: urdf.Joint, q: casadi.SX, r: casadi.SX | None) -> casadi.SX | None:
    """Return the position of a joint of the chain: of q (n,), of r (k,) if it is not controlled, else None."""
    if joint.name in robot.joints:
        return q[robot.joints.index(joint.name)]
    for follower in robot.followers:
        if joint.name == follower.name:
            return follower.multiplier * q[follower.master] + follower.offset
    if r is not None and joint.name in robot.uncontrolled:
        return r[robot.uncontrolled.index(joint.name)]
    return None


def moved(joint: urdf.Joint, q: casadi.SX, p: casadi.SX, point: float = 1.0) -> casadi.SX:
    """Return p (3, m) moved by a joint at q; `point` 0: directions, which a translation leaves as they are."""
    axis = casadi.SX(_rounded(joint.axis))
    if joint.kind == "prismatic":
        return p + point * axis * q
    across = _cross(axis, p)
    return p + casadi.sin(q) * across + (1.0 - casadi.cos(q)) * _cross(axis, across)


def applied(T: Array, p: casadi.SX, point: float = 1.0) -> casadi.SX:
    """Return the transform T (4, 4) of p (3, m); `point` 0: of directions."""
    turned = casadi.SX(casadi.DM(_rounded(T[:3, :3]))) @ p
    return turned + casadi.SX(casadi.DM(T[:3, 3])) if point else turned


def _cross(axis: casadi.SX, p: casadi.SX) -> casadi.SX:
    return casadi.horzcat(*(casadi.cross(axis, column) for column in casadi.horzsplit(p)))


def _rounded(array: Array) -> Array:
    nearest = np.round(array)
    return np.where(np.abs(array - nearest) < _ROUNDING, nearest, array)


def first_joint(robot: Robot) -> Array:
    """Return where the first joint of the arm is (3,) [m] in the root link's frame, joints before it at zero."""
    T = np.eye(4)
    for joint in urdf.parse(robot.urdf).chain(robot.tip):
        T = T @ joint.origin
        if joint.name in robot.joints:
            break
    place: Array = T[:3, 3]
    return place


def longest_reach(robot: Robot) -> float:
    """Return a length [m] that no posture brings the end effector further than from `first_joint`."""
    length, begun = math.sqrt(float(np.dot(robot.tip_offset, robot.tip_offset))), False
    for joint in urdf.parse(robot.urdf).chain(robot.tip):
        length += float(np.linalg.norm(joint.origin[:3, 3])) if begun else 0.0
        begun = begun or joint.name in robot.joints
        if begun and joint.kind == "prismatic":
            length += max(abs(joint.limit.get("lower", 0.0)), abs(joint.limit.get("upper", 0.0)))
    return length


class Kinematics:
    """Position, Jacobian and inverse kinematics of the end effector, in the root link's frame, numpy in and out.

    `uncontrolled` (k,) [rad or m] are the positions of the joints that are not controlled, zero until `place`.
    """

    def __init__(self, robot: Robot):
        self._robot, self._lower, self._upper = robot, robot.position_lower, robot.position_upper
        self._n, k = robot.n, len(robot.uncontrolled)
        self._position = robot.units.function("tip_position", {"robot": robot}, lambda: _position(robot))
        self._both = robot.units.function("kinematics", {"robot": robot}, lambda: _position_and_jacobian(robot))
        self.uncontrolled = np.zeros(k)
        self._placed: tuple[Array, ...] = (self.uncontrolled,) if k else ()
        self._mapped = np.zeros(k)  # what the functions of `position_map` read

    def place(self, r: Array) -> None:
        """Take r (k,) [rad or m] for the positions of the joints that are not controlled."""
        self.uncontrolled = checked("r", np.array(r), self._mapped.shape)
        self._placed = (self.uncontrolled,) if self._placed else ()
        self._mapped[:] = r

    def position(self, q: Array) -> Array:
        """Return p (3,) [m] at q (n,) [rad or m]."""
        return self._position(checked("q", q, (self._n,)), *self._placed)[0].ravel()

    def positions(self, Q: Array, R: Array | None = None) -> Array:
        """Return P (T, 3) [m] at every row of Q (T, n), and of R (T, k) where it is given."""
        others: tuple[Array, ...] = ()
        if self._placed:
            others = (np.tile(self.uncontrolled, (len(Q), 1)) if R is None else checked("R", R, (len(Q), None)),)
        return self._position.many(checked("Q", Q, (None, self._n)), *others)[0][:, :, 0]

    def position_map(self, count: int) -> Callable[[Array], Array]:
        """Return a function Q (count, n) -> P (count, 3) [m] for every tick.

        It converts nothing, and the next call overwrites P. In compiled code where that can be had.
        """
        functions = library()
        if functions is not None:
            return CompiledPositions(functions, self._robot, count, self._mapped)
        return self._interpreted_map(count)

    def _interpreted_map(self, count: int) -> Callable[[Array], Array]:
        """Return the same as CasADi evaluates it: what the compiled function is tested against."""
        Q, P = np.zeros((count, self._n)), np.zeros((count, 3))
        evaluate = self._position.fixed((Q, self._mapped) if self._placed else (Q,), (P[:, None],))

        def positions(rows: Array) -> Array:
            Q[:] = rows
            evaluate()
            return P

        return positions

    def jacobian(self, q: Array) -> Array:
        """Return dp/dq (3, n) at q (n,)."""
        return self._both(checked("q", q, (self._n,)), *self._placed)[1]

    def inverse(self, point: Array, seed: Array, *, tolerance: float = 1e-6, restarts: int = 12) -> tuple[Array, float]:
        """Find joint positions inside the limits whose end effector is nearest to `point` (3,) [m].

        The search starts from `seed` (n,) and, while it stays further than `tolerance` [m], from `restarts` random
        positions, always the same ones.

        Returns
        -------
        q (n,) [rad or m], and the distance [m] left: above the tolerance no pose was found that reaches the point.
        """
        point = checked("point", point, (3,))
        return self._search(lambda q: self._error(point, q), seed, tolerance, restarts)

    def _search(
        self, error: Residual, seed: Array, tolerance: float, restarts: int, patience: int = MOST_STEPS
    ) -> tuple[Array, float]:
        """Return q (n,) inside the limits with the smallest residual found, and its norm; see `inverse`.

        A descent ends that does not bring the residual to LEAST_PROGRESS of what it was `patience` steps before.
        """
        seed = np.clip(checked("seed", seed, (self._n,)), self._lower, self._upper)
        rng = np.random.default_rng(0)
        # A continuous joint has no limits to draw from: half a turn around the seed covers it.
        low = np.where(np.isfinite(self._lower), self._lower, seed - np.pi)
        high = np.where(np.isfinite(self._upper), self._upper, seed + np.pi)
        best = self._descend(error, seed, tolerance, patience)
        for _ in range(restarts):
            if best[1] <= tolerance:
                break
            found = self._descend(error, rng.uniform(low, high), tolerance, patience)
            best = min(best, found, key=lambda found: found[1])
        return best

    def _descend(
        self,
        residual: Residual,
        q: Array,
        tolerance: float,
        patience: int,
        limits: tuple[Array, Array] | None = None,
    ) -> tuple[Array, float]:
        """Return q (n,) and its residual, from a start within the limits; `limits`: others than the robot's."""
        lower, upper = (self._lower, self._upper) if limits is None else limits
        damping = 1e-3
        error, J = residual(q)
        before = math.inf
        for step_number in range(MOST_STEPS):
            distance = float(np.linalg.norm(error))
            if distance <= tolerance or damping > 1e6:
                break
            if step_number % patience == 0:
                if distance > LEAST_PROGRESS * before:
                    break
                before = distance
            pull = J.T @ error
            free = ~(((q <= lower) & (pull < 0.0)) | ((q >= upper) & (pull > 0.0)))
            if np.abs(pull[free]).max(initial=0.0) < 1e-12:
                break  # a local minimum on the limits
            Jf = J[:, free]
            step = np.zeros(self._n)
            step[free] = Jf.T @ np.linalg.solve(Jf @ Jf.T + damping * np.eye(len(error)), error)
            trial = np.clip(q + step, lower, upper)
            trial_error, trial_J = residual(trial)
            if np.linalg.norm(trial_error) < distance:
                q, error, J, damping = trial, trial_error, trial_J, max(0.2 * damping, 1e-9)
            else:
                damping *= 5.0
        return q, float(np.linalg.norm(error))

    def _error(self, point: Array, q: Array) -> tuple[Array, Array]:
        p, J = self._both(q, *self._placed)
        return point - p.ravel(), J
