"""The joint-space inertia M(q) of a robot, from the masses in its URDF: kinetic energy = qd^T M(q) qd / 2.

The composite-rigid-body algorithm (Walker and Orin 1982; Featherstone 2008, section 6.2). The links between one
controlled joint and the next are one body; the base is fixed, joints that are not controlled are locked at zero.
A body is described at its joint, with z along the joint's axis: mass m, h = m c (c its centre of mass), and tensor I
about the joint. All are turned into the directions of the root link, so that only shifts remain. The bodies beyond
joint i, taken as one and moved with unit acceleration of it about (or along) its axis a_i, need

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
from importlib.resources import files

import numpy as np

from ..codegen.compiler import load_library
from ..exceptions import RobotDescriptionError
from ..types import Array, checked
from . import urdf as description
from .robot import Robot

# M must be positive definite at this many poses, drawn uniformly within the joint limits and within REACH of zero.
POSES, SEED = 8, 0
REACH = math.pi  # [rad or m]
# It is where its smallest eigenvalue is above this, once joint i's row and column are divided by the square root of
# trace I (revolute) or m (prismatic) of all that joint moves. Rounding leaves some 1e-15, usable robots have 1e-6 to 1.
TOLERANCE = 1e-10
BODY = 22  # numbers in `struct Body` of inertia.cpp
ARRAYS = ("q", "parent", "prismatic", "joint", "placement", "mass", "moment", "tensor", "work", "M")
REMEDY = (
    "Write mass, centre of mass and inertia of the moving links into their <inertial> (from CAD or the maker's "
    "description package)"
)


class _Structure(ctypes.Structure):
    """Mirrors `struct Joints` of inertia.cpp."""

    _fields_ = [("n", ctypes.c_longlong)] + [(name, ctypes.c_void_p) for name in ARRAYS]


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """The compiled function, or None; the log says why."""
    return load_library("inertia", {"inertia.cpp": (files(__package__) / "inertia.cpp").read_text()})


def has_inertials(robot: Robot) -> bool:
    """Whether `JointSpaceInertia(robot)` can be had.

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
    """M(q) of `robot`; RobotDescriptionError names the link or joint whose inertia is missing or wrong.

    Links that no controlled joint moves are not looked at.
    """

    def __init__(self, robot: Robot):
        self.n = robot.n
        with np.errstate(all="ignore"):  # a URDF may hold any number
            self._read(robot)
            self._check(robot)
        self._function, functions = None, library()
        if functions is not None:
            self._compile(functions)

    def __call__(self, q: Array) -> Array:
        """M (n, n) [kg m^2; kg between prismatic joints, kg m between one and a revolute one] at q (n,) [rad or m].

        A new array, exactly symmetric, in the order of `robot.joints`.
        """
        if self._function is None:
            return self.numpy(q)
        # the usual array is spared a check dearer than M
        self._q[:] = q if getattr(q, "shape", None) == (self.n,) else checked("q", q, (self.n,))
        self._function(self._address)
        return self._M.copy()

    def numpy(self, q: Array) -> Array:
        """The same in numpy: what inertia.cpp is tested against, and what runs where nothing compiles."""
        return self._evaluate(checked("q", q, (self.n,)))[0]

    # --- inside -----------------------------------------------------------------------------------------------

    def _read(self, robot: Robot) -> None:
        """The bodies, one per controlled joint, parents first: body i moves with entry `_joint[i]` of q."""
        tree, n = description.parse(robot.urdf), robot.n
        chains = {link: tree.chain(link) for link in tree.links}
        joints = {joint.name: joint for joint in tree.joints}
        order = sorted(robot.joints, key=lambda name: len(chains[joints[name].child]))
        self._joint = np.array([robot.joints.index(name) for name in order], dtype=np.int64)
        self._prismatic = np.array([joints[name].kind == "prismatic" for name in order], dtype=np.int64)
        self._parent = np.full(n, -1, dtype=np.int64)
        self._placement = np.zeros((n, 3, 4))  # at q = 0, in the parent body
        self._mass, self._moment, self._tensor = np.zeros(n), np.zeros((n, 3)), np.zeros((n, 3, 3))
        self._links: list[list[str]] = [[] for _ in order]  # of every body
        self._inertials = description.inertials(
            robot.urdf, [link for link, chain in chains.items() if any(joint.name in order for joint in chain)]
        )

        def standing(chain: tuple[description.Joint, ...]) -> tuple[int, Array]:
            """The body at the end of `chain` (-1: the base), and the chain's end in it (4, 4)."""
            T = np.eye(4)
            for joint in reversed(chain):
                if joint.name in order:
                    return order.index(joint.name), _aligned(joint.axis).T @ T
                T = joint.origin @ T
            return -1, T

        for i, name in enumerate(order):
            *before, joint = chains[joints[name].child]
            self._parent[i], T = standing(tuple(before))
            self._placement[i] = (T @ joint.origin @ _aligned(joint.axis))[:3]
        for link, chain in chains.items():
            i, T = standing(chain)
            if i >= 0:
                self._links[i].append(link)
            if link in self._inertials:
                inertial, R = self._inertials[link], T[:3, :3]
                c = R @ inertial.centre + T[:3, 3]
                self._mass[i] += inertial.mass
                self._moment[i] += inertial.mass * c
                self._tensor[i] += R @ inertial.tensor @ R.T + inertial.mass * (c @ c * np.eye(3) - np.outer(c, c))

    def _compile(self, functions: ctypes.PyDLL) -> None:
        """Fix everything the compiled function reads and writes."""
        self._q, self._M, self._work = np.zeros(self.n), np.zeros((self.n, self.n)), np.zeros((self.n, BODY))
        self._six = np.ascontiguousarray(self._tensor.reshape(-1, 9)[:, [0, 4, 8, 1, 2, 5]])
        arrays = dict(
            q=self._q,
            parent=self._parent,
            prismatic=self._prismatic,
            joint=self._joint,
            placement=self._placement,
            mass=self._mass,
            moment=self._moment,
            tensor=self._six,
            work=self._work,
            M=self._M,
        )
        self._structure = _Structure(n=self.n, **{name: array.ctypes.data for name, array in arrays.items()})
        self._address = ctypes.c_void_p(ctypes.addressof(self._structure))
        self._function = functions.joint_space_inertia
        self._function.argtypes, self._function.restype = [ctypes.c_void_p], None

    def _evaluate(self, q: Array) -> tuple[Array, Array]:
        """M (n, n), and what joint i's row and column are compared with (n,): see TOLERANCE."""
        n, parent, prismatic, joint = self.n, self._parent, self._prismatic, self._joint
        R, d = np.zeros((n + 1, 3, 3)), np.zeros((n, 3))
        R[-1] = np.eye(3)  # the base, which is body -1
        for i, angle in enumerate(q[joint]):
            E, t = self._placement[i, :, :3], self._placement[i, :, 3]
            c, s = (1.0, 0.0) if prismatic[i] else (np.cos(angle), np.sin(angle))
            R[i] = R[parent[i]] @ E @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
            d[i] = R[parent[i]] @ t + (angle * R[i, :, 2] if prismatic[i] else 0.0)
        a, m, h = R[:n, :, 2], self._mass.copy(), np.einsum("ijk,ik->ij", R[:n], self._moment)
        I = R[:n] @ self._tensor @ R[:n].transpose(0, 2, 1)
        M = np.zeros((n, n))
        for i in reversed(range(n)):
            force, torque = (m[i] * a[i], np.cross(h[i], a[i])) if prismatic[i] else (np.cross(a[i], h[i]), I[i] @ a[i])
            j = i
            while j >= 0:
                M[joint[i], joint[j]] = M[joint[j], joint[i]] = a[j] @ (force if prismatic[j] else torque)
                torque = torque + np.cross(d[j], force)
                j = parent[j]
            if parent[i] >= 0:
                dh = np.outer(d[i], h[i])
                I[parent[i]] += (
                    I[i]
                    + (m[i] * d[i] @ d[i] + 2.0 * d[i] @ h[i]) * np.eye(3)
                    - m[i] * np.outer(d[i], d[i])
                    - dh
                    - dh.T
                )
                h[parent[i]] += h[i] + m[i] * d[i]
                m[parent[i]] += m[i]
        size = np.zeros(n)
        size[joint] = np.where(prismatic, m, np.trace(I, axis1=1, axis2=2))
        return M, size

    def _check(self, robot: Robot) -> None:
        """Raise RobotDescriptionError where M is not usable."""
        beyond = [list(links) for links in self._links]
        mass = self._mass.copy()
        for i in reversed(range(self.n)):
            name = robot.joints[self._joint[i]]
            if mass[i] <= 0.0:
                raise RobotDescriptionError(
                    f"joint '{name}' moves no mass: none of the links {beyond[i]} has an <inertial> "
                    f"with one. {REMEDY}, or leave the joint out of 'joints'"
                )
            if self._parent[i] >= 0:
                mass[self._parent[i]] += mass[i]
                beyond[self._parent[i]] += beyond[i]
        rng = np.random.default_rng(SEED)
        low, high = (np.clip(limit, -REACH, REACH) for limit in (robot.position_lower, robot.position_upper))
        for q in rng.uniform(low, high, (POSES, self.n)):
            M, size = self._evaluate(q)
            M /= np.sqrt(np.outer(size, size))
            if not np.isfinite(M).all():
                worst = int(np.argmin(np.isfinite(M).all(axis=0)))
            else:
                values, vectors = np.linalg.eigh(M)
                if values[0] > TOLERANCE:
                    continue
                worst = int(np.argmax(np.abs(vectors[:, 0])))
            raise RobotDescriptionError(
                f"the inertia that joint '{robot.joints[worst]}' moves is not positive at q = "
                f"{np.round(q, 3).tolist()}{self._suspects()}. {REMEDY}, or leave the joint out of "
                f"'joints'"
            )

    def _suspects(self) -> str:
        """The links to look at first, as part of a sentence."""
        wrong = [
            link
            for link, inertial in self._inertials.items()
            if not np.isfinite(inertial.tensor).all() or np.linalg.eigvalsh(inertial.tensor)[0] < 0.0
        ]
        return f"; no body has the <inertia> of {wrong} (principal moments must be positive)" if wrong else ""


def _aligned(axis: Array) -> Array:
    """A turn (4, 4) that takes z to the unit `axis`; the x it chooses does not matter."""
    T = np.eye(4)
    x = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    T[:3, 0] = x / np.linalg.norm(x)
    T[:3, 1] = np.cross(axis, T[:3, 0])
    T[:3, 2] = axis
    return T
