"""The joint-space inertia M(q) of a robot, from its URDF's masses and inertias: kinetic energy = qd^T M(q) qd / 2.

The composite-rigid-body algorithm (Walker and Orin 1982; Featherstone 2008, section 6.2) over the bodies of bodies.py:
mass m, first moment h and inertia tensor I about the body's joint. All are turned into the directions of the root link,
so that only shifts remain. The bodies beyond joint i, taken as one and moved with unit acceleration of it about (or
along) its axis a_i, need

    revolute:  force f = a_i x h,  torque t = I a_i           prismatic:  f = m a_i,  t = h x a_i

at joint i, and t + d x f at a joint by d before it: M_ij = a_j . t (revolute j) or a_j . f (prismatic j) for i and
every joint j that carries it. Passing on to the parent, with d from its joint to this one:

    I <- I + (m d.d + 2 d.h) 1 - m d d^T - d h^T - h d^T,     h <- h + m d.

Where every link's tensor is positive semidefinite, so is M(q) at every q. inertia.cpp is the same compiled.
"""

from __future__ import annotations

import ctypes
import functools
import math
import threading
from typing import Any

import numpy as np

from ..codegen.compiler import load_library, sources_of
from ..exceptions import RobotDescriptionError
from ..types import Array, checked
from .bodies import Bodies, bodies_of
from .robot import Robot

# M must be positive definite at this many poses, drawn uniformly within the joint limits and within POSE_RANGE of zero.
POSES, SEED = 8, 0
POSE_RANGE = math.pi  # [rad or m]
# It is where its smallest eigenvalue is above this, once joint i's row and column are divided by the square root of
# trace I (revolute) or m (prismatic) of all that joint moves. Rounding leaves some 1e-15, usable robots have 1e-6 to 1.
TENSOR_TOLERANCE = 1e-10
BODY = 22  # numbers in `struct Body` of inertia.cpp
TREE_ARRAYS = ("q", "parent", "prismatic", "joint", "placement", "mass", "moment", "tensor", "work", "M")
REMEDY = (
    "Write mass, centre of mass and inertia of the moving links into their <inertial> (from CAD or the maker's "
    "description package)"
)


class _Structure(ctypes.Structure):
    """Mirrors `struct Joints` of inertia.cpp."""

    _fields_ = [("n", ctypes.c_longlong)] + [(name, ctypes.c_void_p) for name in TREE_ARRAYS]


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Return the compiled function, or None where it cannot be had; the log tells why."""
    return load_library("inertia", sources_of(__package__, "inertia.cpp"))


def has_inertials(robot: Robot) -> bool:
    """Return whether `JointSpaceInertia(robot)` can be had.

    That is so if every controlled joint moves some mass and M(q) is positive definite, by more than rounding errors,
    at POSES seeded poses. It does not ask that every link has a mass (frames have none), nor that every link's tensor
    is one a body can have: many URDFs have one that is not, and are still good for M.
    """
    try:
        JointSpaceInertia(robot)
    except RobotDescriptionError:
        return False
    return True


class JointSpaceInertia:
    """M(q) of a robot.

    Parameters
    ----------
    robot : links that none of its controlled joints moves are not looked at

    Raises
    ------
    RobotDescriptionError : names the link or joint whose inertia is missing or wrong
    """

    def __init__(self, robot: Robot):
        self.n = robot.n
        with np.errstate(all="ignore"):  # a URDF may hold any number
            self._bodies = bodies_of(robot)
            _check(self._bodies, robot)
        self._follows = bool(robot.followers)
        functions = library()
        size = 2 * (len(self._bodies.joint),)
        self._compiled = (
            None if functions is None else CompiledTree(functions.joint_space_inertia, self._bodies, np.zeros(size))
        )

    def __call__(self, q: Array) -> Array:
        """Return M (n, n) at q (n,) [rad or m], in the order of `robot.joints`: a new array, exactly symmetric.

        Its unit is kg m^2, kg between prismatic joints, kg m between a prismatic and a revolute one.
        """
        if self._compiled is None:
            return self.numpy(q)
        # the check costs more than M: an array of the right shape does without
        q = q if isinstance(q, np.ndarray) and q.shape == (self.n,) else checked("q", q, (self.n,))
        if not self._follows:
            return self._compiled(q)
        coupling = self._bodies.coupling
        return _symmetric(coupling.E.T @ self._compiled(coupling.positions(q)) @ coupling.E)

    def numpy(self, q: Array) -> Array:
        """Return the same in numpy: what inertia.cpp is tested against, and what runs where nothing compiles."""
        return _evaluate(self._bodies, checked("q", q, (self.n,)))[0]


class CompiledTree:
    """A function of inertia.cpp for one robot: everything that it reads and writes is fixed once.

    It writes to `result`, of which a call returns a copy; several threads may call it.
    """

    def __init__(self, function: Any, bodies: Bodies, result: Array):
        n = len(bodies.joint)
        self._q, self._result, self._exclusive = np.zeros(n), result, threading.Lock()
        self._arrays = dict(
            q=self._q,
            parent=bodies.parent,
            prismatic=bodies.prismatic,
            joint=bodies.joint,
            placement=bodies.placement,
            mass=bodies.mass,
            moment=bodies.moment,
            tensor=np.ascontiguousarray(bodies.tensor.reshape(-1, 9)[:, [0, 4, 8, 1, 2, 5]]),
            work=np.zeros((n, BODY)),
            M=self._result,
        )
        self._structure = _Structure(n=n, **{name: array.ctypes.data for name, array in self._arrays.items()})
        self._address = ctypes.c_void_p(ctypes.addressof(self._structure))
        self._function = function
        self._function.argtypes, self._function.restype = [ctypes.c_void_p], None

    def __call__(self, q: Array) -> Array:
        """Return a copy of the result at q (n,)."""
        with self._exclusive:
            self._q[:] = q
            self._function(self._address)
            result: Array = self._result.copy()
        return result


def _symmetric(M: Array) -> Array:
    """Return M without the rounding errors that make it unequal to its transpose."""
    symmetric: Array = 0.5 * (M + M.T)
    return symmetric


def _evaluate(bodies: Bodies, q: Array) -> tuple[Array, Array]:
    """Return M (n, n) at q (n,), and what joint i's row and column are compared with (n,): see TENSOR_TOLERANCE."""
    coupling = bodies.coupling
    if len(coupling.c) == q.size:  # nothing follows: what is not finite stays where it is
        return _of_all(bodies, q)
    M, size = _of_all(bodies, coupling.positions(q))
    return _symmetric(coupling.E.T @ M @ coupling.E), np.square(coupling.E).T @ size


def _of_all(bodies: Bodies, q: Array) -> tuple[Array, Array]:
    """Return the same of all N joints at their positions q (N,)."""
    n, parent, prismatic, joint = len(bodies.joint), bodies.parent, bodies.prismatic, bodies.joint
    R, d = np.zeros((n + 1, 3, 3)), np.zeros((n, 3))
    R[-1] = np.eye(3)  # the base, which is body -1
    for i, angle in enumerate(q[joint]):
        E, t = bodies.placement[i, :, :3], bodies.placement[i, :, 3]
        c, s = (1.0, 0.0) if prismatic[i] else (np.cos(angle), np.sin(angle))
        R[i] = R[parent[i]] @ E @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        d[i] = R[parent[i]] @ t + (angle * R[i, :, 2] if prismatic[i] else 0.0)
    a, m, h = R[:n, :, 2], bodies.mass.copy(), np.einsum("ijk,ik->ij", R[:n], bodies.moment)
    tensor = R[:n] @ bodies.tensor @ R[:n].transpose(0, 2, 1)
    M = np.zeros((n, n))
    for i in reversed(range(n)):
        if prismatic[i]:
            force, torque = m[i] * a[i], np.cross(h[i], a[i])
        else:
            force, torque = np.cross(a[i], h[i]), tensor[i] @ a[i]
        j = i
        while j >= 0:
            M[joint[i], joint[j]] = M[joint[j], joint[i]] = a[j] @ (force if prismatic[j] else torque)
            torque = torque + np.cross(d[j], force)
            j = parent[j]
        if parent[i] >= 0:
            dh = np.outer(d[i], h[i])
            tensor[parent[i]] += (
                tensor[i]
                + (m[i] * d[i] @ d[i] + 2.0 * d[i] @ h[i]) * np.eye(3)
                - m[i] * np.outer(d[i], d[i])
                - dh
                - dh.T
            )
            h[parent[i]] += h[i] + m[i] * d[i]
            m[parent[i]] += m[i]
    size = np.zeros(n)
    size[joint] = np.where(prismatic, m, np.trace(tensor, axis1=1, axis2=2))
    return M, size


def _check(bodies: Bodies, robot: Robot) -> None:
    """Raise RobotDescriptionError where M is not usable."""
    _check_masses(bodies, robot)
    rng = np.random.default_rng(SEED)
    low, high = (np.clip(limit, -POSE_RANGE, POSE_RANGE) for limit in (robot.position_lower, robot.position_upper))
    for q in rng.uniform(low, high, (POSES, robot.n)):
        M, size = _evaluate(bodies, q)
        M /= np.sqrt(np.outer(size, size))
        if not np.isfinite(M).all():
            worst = int(np.argmin(np.isfinite(M).all(axis=0)))
        else:
            values, vectors = np.linalg.eigh(M)
            if values[0] > TENSOR_TOLERANCE:
                continue
            worst = int(np.argmax(np.abs(vectors[:, 0])))
        raise RobotDescriptionError(
            f"the inertia that joint '{robot.joints[worst]}' moves is not positive at q = "
            f"{np.round(q, 3).tolist()}{_suspects(bodies)}. {REMEDY}, or leave the joint out of 'joints'"
        )


def _check_masses(bodies: Bodies, robot: Robot) -> None:
    """Raise RobotDescriptionError where a controlled joint moves no mass."""
    beyond = [list(links) for links in bodies.links]
    mass = bodies.mass.copy()
    for i in reversed(range(len(mass))):
        # what follows a joint may be without a mass: the M of the joint itself is looked at
        if mass[i] <= 0.0 and bodies.joint[i] < robot.n:
            raise RobotDescriptionError(
                f"joint '{robot.joints[bodies.joint[i]]}' moves no mass: none of the links {beyond[i]} has an "
                f"<inertial> with one. {REMEDY}, or leave the joint out of 'joints'"
            )
        parent = bodies.parent[i]
        if parent >= 0:
            mass[parent] += mass[i]
            beyond[parent] += beyond[i]


def _suspects(bodies: Bodies) -> str:
    """Name the links to look at first, as part of a sentence."""
    wrong = [
        link
        for link, inertial in bodies.inertials.items()
        if not np.isfinite(inertial.tensor).all() or np.linalg.eigvalsh(inertial.tensor)[0] < 0.0
    ]
    return f"; no body has the <inertia> of {wrong} (principal moments must be positive)" if wrong else ""
