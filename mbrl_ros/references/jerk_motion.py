r"""A motion with limited jerk over the horizon: many samples of its positions take one call.

With the pieces of jerk_trajectory.py, the position of joint j in the piece k, which began b_k after the motion, is

    y_j(t) = p_k + s (v_k + s (a_k/2 + s jerk_k/6)),      s = t - b_k

`JerkMotion` is the specification; jerk_motion.cpp does the same in compiled code, to the last bit.
"""

from __future__ import annotations

import bisect
import ctypes
import functools

import numpy as np

from ..codegen.compiler import SAME_BITS, load_library, sources_of
from ..types import Array
from .jerk_trajectory import PIECES, JerkTrajectory

MOTION_INTEGERS = ("n", "pieces", "count")
MOTION_NUMBERS = ("begin", "end")
MOTION_ARRAYS = ("times", "begins", "C", "start", "goal", "y")


class JerkMotion:
    """The positions of a motion.

    Parameters
    ----------
    trajectory
        The motion, from a start to a goal.
    begin
        When it begins [s].
    start, goal
        Positions (n,) before the motion and after it.
    """

    def __init__(self, trajectory: JerkTrajectory, begin: float, start: Array, goal: Array):
        self.begin, self.end, self._start, self._goal = begin, begin + trajectory.duration, start, goal
        self._begins, self._C = trajectory.polynomials()

    def over(self, times: Array) -> Array:
        """Return y (T, n) at rising `times` (T,) [s]."""
        begins, C = self._begins.tolist(), self._C.tolist()
        y: Array = np.repeat(self._goal[None], len(times), axis=0)
        for i, t in enumerate(times.tolist()):
            if not t >= self.begin:
                y[i] = self._start
            elif t < self.end:
                for j, of_joint in enumerate(begins):
                    k = bisect.bisect_right(of_joint, t - self.begin) - 1
                    s, (p, v, a, jerk) = t - self.begin - of_joint[k], C[j][k]
                    y[i, j] = p + s * (v + s * (a + s * jerk))
        return y


class _Structure(ctypes.Structure):
    """Mirrors `struct Motion` of jerk_motion.cpp."""

    _fields_ = (
        [(name, ctypes.c_longlong) for name in MOTION_INTEGERS]
        + [(name, ctypes.c_double) for name in MOTION_NUMBERS]
        + [(name, ctypes.c_void_p) for name in MOTION_ARRAYS]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled function; None where that fails, and the log has the reason."""
    return load_library("jerk_motion", sources_of(__package__, "jerk_motion.cpp"), SAME_BITS)


class CompiledJerkMotion(JerkMotion):
    """The same, faster, with the same results to the last bit."""

    def __init__(self, functions: ctypes.PyDLL, trajectory: JerkTrajectory, begin: float, start: Array, goal: Array):
        super().__init__(trajectory, begin, start, goal)
        self._sample, self._count = functions.motion_sample, -1
        self._start, self._goal = np.array(start, dtype=np.float64), np.array(goal, dtype=np.float64)
        arrays = dict(begins=self._begins, C=self._C, start=self._start, goal=self._goal)
        pointers = {name: array.ctypes.data for name, array in arrays.items()}
        self._state = _Structure(n=self._goal.size, pieces=PIECES, begin=self.begin, end=self.end, **pointers)
        self._address = ctypes.c_void_p(ctypes.addressof(self._state))

    def over(self, times: Array) -> Array:
        """See `JerkMotion`."""
        if len(times) != self._count:
            self._make_room(len(times))
        self._times[:] = times
        self._sample(self._address)
        y: Array = self._y.copy()
        return y

    def _make_room(self, count: int) -> None:
        self._count, self._times, self._y = count, np.zeros(count), np.zeros((count, self._goal.size))
        self._state.count = count
        self._state.times, self._state.y = self._times.ctypes.data, self._y.ctypes.data


def make_jerk_motion(trajectory: JerkTrajectory, begin: float, start: Array, goal: Array) -> JerkMotion:
    """Make the motion, compiled where it can be; see `JerkMotion`."""
    functions = library()
    if functions is None:
        return JerkMotion(trajectory, begin, start, goal)
    return CompiledJerkMotion(functions, trajectory, begin, start, goal)
