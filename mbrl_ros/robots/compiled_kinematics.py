"""The end effector in many poses by one compiled call (kinematics.cpp); kinematics.py is the specification.

The function is the same for every robot: what differs, the fixed transforms between the movable joints of the chain and
what moves each of them, is given as numbers.
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ..codegen.compiler import lane_source, load_library, sources_of
from ..types import Array
from . import urdf
from .bodies import aligned
from .robot import Robot

CHAIN_SIZES = ("n", "links", "count")
CHAIN_ARRAYS = ("source", "prismatic", "scale", "offset", "placement", "tip", "Q", "r", "P")


class _Structure(ctypes.Structure):
    """Mirrors `struct Chain` of kinematics.cpp."""

    _fields_ = [(name, ctypes.c_longlong) for name in CHAIN_SIZES] + [(name, ctypes.c_void_p) for name in CHAIN_ARRAYS]


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled function; None where that fails, and the log has the reason."""
    return load_library("kinematics", {**sources_of(__package__, "kinematics.cpp"), **lane_source()})


class CompiledPositions:
    """Q (count, n) [rad or m] -> P (count, 3) [m]: the end effector of `robot`; the next call overwrites P.

    r (k,): where the joints of `Robot.uncontrolled` stand, read at every call.
    """

    def __init__(self, functions: ctypes.PyDLL, robot: Robot, count: int, r: Array):
        self._function = functions.chain_positions
        self._Q, self._P = np.zeros((count, robot.n)), np.zeros((count, 3))
        self._arrays = {**_chain(robot), "tip": np.array(robot.tip_offset, dtype=np.float64), "r": r}
        self._arrays |= {"Q": self._Q, "P": self._P}
        pointers = {name: self._arrays[name].ctypes.data for name in CHAIN_ARRAYS}
        self._structure = _Structure(n=robot.n, links=len(self._arrays["source"]), count=count, **pointers)
        self._address = ctypes.c_void_p(ctypes.addressof(self._structure))

    def __call__(self, rows: Array) -> Array:
        """Return P (count, 3) [m] of `rows` (count, n)."""
        self._Q[:] = rows
        self._function(self._address)
        return self._P


def _chain(robot: Robot) -> dict[str, Array]:
    """Return what kinematics.cpp reads of the chain's joints, from the tip inwards."""
    moved_by: dict[str, tuple[int, float, float]] = {name: (i, 1.0, 0.0) for i, name in enumerate(robot.joints)}
    moved_by |= {name: (robot.n + i, 1.0, 0.0) for i, name in enumerate(robot.uncontrolled)}
    moved_by |= {f.name: (f.master, f.multiplier, f.offset) for f in robot.followers}
    movers, prismatic, placements, inner = list[tuple[int, float, float]](), list[bool](), list[Array](), np.eye(4)
    for joint in reversed(urdf.parse(robot.urdf).chain(robot.tip)):
        if joint.name in moved_by:
            turned = aligned(joint.axis)
            movers.append(moved_by[joint.name])
            prismatic.append(joint.kind == "prismatic")
            placements.append(turned.T @ inner)
            inner = turned
        inner = joint.origin @ inner
    placements.append(inner)
    source, scale, offset = zip(*movers, strict=True) if movers else ((), (), ())
    return {
        "source": np.array(source, dtype=np.int64),
        "prismatic": np.array(prismatic, dtype=np.int64),
        "scale": np.array(scale, dtype=np.float64),
        "offset": np.array(offset, dtype=np.float64),
        "placement": np.ascontiguousarray(np.array(placements)[:, :3]),
    }
