r"""Which joints dry friction holds, and what motion tells of the rotors' inertia.

The efforts of exploration are as large as the links' inertia makes visible. Where a rotor has many times that inertia,
or dry friction is more than those efforts, a joint stands still whatever they do: its input gain can only be learned
from its first motion, and the samples before, which say that efforts have no effect, are no evidence of it.

Per tick of dt [s], z = (qd' - qd) / dt and with M(q) of the links, for joint j

    f_j = (u - M z)_j = a_j z_j + c_j

a_j [kg m^2 or kg] the inertia of its rotor and c_j gravity, friction and load, which are about constant while it moves
in one direction. z and f are smoothed over SMOOTHING. While the smoothed speed v_j is beyond MOVING times the velocity
noise, in one direction for WAIT smoothing times, their deviations dz, df from running means of MEAN seconds give

    S <- g S + w dz^2,    C <- g C + w dz df,    a_j = C / (S + S_0),    g = exp(-dt / MEMORY), w = 1 - 1 / count

S_0 is what noise alone would make of S in LEAST seconds: noise in z makes a smaller, which is the safe side. A lag of
the motors is in quadrature to z, so that it does not bias a, and a wrong delay makes a smaller. a_j is known from when
S > S_0 on. Steps of friction, when the joint breaks away or turns, are before the time that is waited.

Friction holds joint j while |v_j| stays below STILL times the noise, once that was so for HELD_AFTER seconds, and once

    |p_j| > PUSHED noise,    p <- exp(-dt / PUSH_MEMORY) p + B (u - u_slow)

the velocity that the commands' changes make by the learned input gain B = d qd' / d u, u_slow the commands smoothed
over PUSH_MEMORY: a free joint would have moved. `JointMotion` is the specification, joint_motion.cpp the same compiled.
"""

from __future__ import annotations

import ctypes
import functools
import math

import numpy as np
from numpy.typing import NDArray

from ..codegen.compiler import SAME_BITS, load_library, sources_of
from ..types import Array

SMOOTHING, MEAN, MEMORY, LEAST = 0.02, 0.05, 1.0, 0.5  # [s]
MOVING, WAIT = 2.0, 2.0
STILL, HELD_AFTER, PUSHED, PUSH_MEMORY = 1.2, 0.1, 8.0, 0.1  # ..., [s], ..., [s]
LONGEST_GAP = 0.1  # [s] between two samples: after a longer one the joint may do something else

MOTION_NUMBERS = ("dt", "smooth", "keep", "fade", "follow", "moving", "still", "pushed", "held_after")
MOTION_ROTORS = ("wait", "most", "least")
MOTION_INPUTS = ("before", "after", "u", "gain", "links")
MOTION_KEPT = ("speed", "direction", "age", "z", "f", "count", "z_mean", "f_mean", "S", "C", "known")
MOTION_PUSHED = ("slow", "push", "pushed_by", "still_for", "held", "ever_held", "work")


class JointMotion:
    """The motion of n joints with the period `dt` [s]; `noise` [rad/s or m/s]: sigma of the velocity change of a tick.

    Everything is of all joints at once, in arrays (n,); known, held and ever_held are 0 or 1 in them.
    """

    def __init__(self, n: int, dt: float, noise: float):
        self.n, self.dt = n, dt
        a = 1.0 - math.exp(-dt / SMOOTHING)
        acceleration = noise / math.sqrt(2.0) / dt  # by the noise of one velocity
        self._numbers = dict(
            dt=dt,
            smooth=a,
            keep=math.exp(-dt / MEMORY),
            fade=math.exp(-dt / PUSH_MEMORY),
            follow=1.0 - math.exp(-dt / PUSH_MEMORY),
            moving=MOVING * noise,
            still=STILL * noise,
            pushed=PUSHED * noise,
            held_after=HELD_AFTER - 1e-9,
            wait=WAIT / a,
            most=max(2.0, MEAN / dt),
            least=LEAST / dt * a * a * 2.0 / (2.0 - a) * acceleration**2,
        )
        self._kept = {name: np.zeros(n) for name in MOTION_KEPT + MOTION_PUSHED}
        self._last = -math.inf

    def reset(self) -> None:
        """Forget everything."""
        for array in self._kept.values():
            array[:] = 0.0
        self._last = -math.inf

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which joints friction holds (n,)."""
        return _flags(self._kept["held"])

    @property
    def ever_held(self) -> NDArray[np.bool_]:
        """Which joints friction has held since the last reset (n,)."""
        return _flags(self._kept["ever_held"])

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of which joints the rotor's inertia is known by their motion (n,)."""
        return _flags(self._kept["known"])

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which joints (n,) friction has held and have moved since."""
        return self.known & self.ever_held

    @property
    def rotor_inertia(self) -> Array:
        """The inertia a (n,) [kg m^2 or kg] of the rotors of such joints, 0 of the others."""
        inertia: Array = np.where(self.ever_held, self._kept["C"] / (self._kept["S"] + self._numbers["least"]), 0.0)
        return inertia

    def add(self, stamp: float, before: Array, after: Array, u: Array, gain: Array, links: Array) -> None:
        """Take in one period.

        Parameters
        ----------
        stamp
            Of its beginning [s].
        before, after
            The velocities (n,) at its beginning and end [rad/s or m/s].
        u
            The efforts (n,) in effect [N m or N].
        gain
            B (n, n).
        links
            M (n, n) [kg m^2 or kg] at this pose, or at one close by.
        """
        if not 0.0 <= stamp - self._last <= LONGEST_GAP:
            self._restart(u)
        self._last = stamp
        self._take(before, after, u, gain, links)

    def _restart(self, u: Array) -> None:
        """Compare nothing with what was before; the evidence of the rotors stays, and the joints that were held."""
        kept = self._kept
        for name in ("speed", "direction", "age", "z", "f", "count", "push", "pushed_by", "still_for", "held"):
            kept[name][:] = 0.0
        kept["slow"][:] = u

    def _take(self, before: Array, after: Array, u: Array, gain: Array, links: Array) -> None:
        """Take in a period that follows the last one."""
        k, c = self._kept, self._numbers
        z = (after - before) / c["dt"]
        f = u - links @ z
        k["speed"] += c["smooth"] * (after - k["speed"])
        k["z"] += c["smooth"] * (z - k["z"])
        k["f"] += c["smooth"] * (f - k["f"])
        k["push"] *= c["fade"]
        k["push"] += gain @ (u - k["slow"])
        k["slow"] += c["follow"] * (u - k["slow"])
        for j in range(self.n):
            self._watch(j)
            self._learn(j)

    def _watch(self, j: int) -> None:
        """Find out whether friction holds joint j."""
        k, c = self._kept, self._numbers
        if not abs(k["speed"][j]) < c["still"]:
            k["push"][j] = k["pushed_by"][j] = k["still_for"][j] = k["held"][j] = 0.0
            return
        k["still_for"][j] += c["dt"]
        k["pushed_by"][j] = max(k["pushed_by"][j], abs(k["push"][j]))
        if k["still_for"][j] >= c["held_after"] and k["pushed_by"][j] > c["pushed"]:
            k["held"][j] = k["ever_held"][j] = 1.0

    def _learn(self, j: int) -> None:
        """Learn the inertia of joint j's rotor from its motion."""
        k, c = self._kept, self._numbers
        speed, moving = k["speed"][j], c["moving"]
        direction = 1.0 if speed > moving else -1.0 if speed < -moving else 0.0
        k["age"][j] = k["age"][j] + 1.0 if direction and direction == k["direction"][j] else 0.0
        k["direction"][j] = direction
        k["S"][j] *= c["keep"]
        k["C"][j] *= c["keep"]
        if k["age"][j] < c["wait"]:
            k["count"][j] = 0.0
            return
        if not k["count"][j]:
            k["z_mean"][j], k["f_mean"][j] = k["z"][j], k["f"][j]
        k["count"][j] = min(k["count"][j] + 1.0, c["most"])
        share, dz, df = 1.0 / k["count"][j], k["z"][j] - k["z_mean"][j], k["f"][j] - k["f_mean"][j]
        k["z_mean"][j] += share * dz
        k["f_mean"][j] += share * df
        k["S"][j] += (1.0 - share) * dz * dz
        k["C"][j] += (1.0 - share) * dz * df
        if k["S"][j] > c["least"]:
            k["known"][j] = 1.0


def _flags(values: Array) -> NDArray[np.bool_]:
    """Return which of `values` are not 0."""
    flags: NDArray[np.bool_] = values != 0.0
    return flags


class _Structure(ctypes.Structure):
    """Mirrors `struct Motion` of joint_motion.cpp."""

    _fields_ = (
        [("n", ctypes.c_longlong)]
        + [(name, ctypes.c_double) for name in MOTION_NUMBERS + MOTION_ROTORS]
        + [(name, ctypes.c_void_p) for name in MOTION_INPUTS + MOTION_KEPT + MOTION_PUSHED]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled function; None where that fails, and the log has the reason."""
    return load_library("joint_motion", sources_of(__package__, "joint_motion.cpp"), SAME_BITS)


class CompiledMotion(JointMotion):
    """The same, faster; it differs only by how the products with matrices are rounded."""

    def __init__(self, functions: ctypes.PyDLL, n: int, dt: float, noise: float):
        super().__init__(n, dt, noise)
        inputs = {name: np.zeros((n, n) if name in ("gain", "links") else n) for name in MOTION_INPUTS}
        pointers = {name: array.ctypes.data for name, array in {**inputs, **self._kept}.items()}
        self._inputs = tuple(inputs.values())
        self._state = _Structure(n=n, **self._numbers, **pointers)
        self._address, self._take_in = ctypes.c_void_p(ctypes.addressof(self._state)), functions.motion_take
        self._copied: tuple[Array | None, Array | None] = None, None  # the matrices whose values the inputs have

    def _take(self, before: Array, after: Array, u: Array, gain: Array, links: Array) -> None:
        """See `JointMotion`."""
        to_before, to_after, to_u, to_gain, to_links = self._inputs
        to_before[:], to_after[:], to_u[:] = before, after, u
        if gain is not self._copied[0] or links is not self._copied[1]:
            to_gain[:], to_links[:], self._copied = gain, links, (gain, links)
        self._take_in(self._address)


def make_motion(n: int, dt: float, noise: float) -> JointMotion:
    """Make a `JointMotion`, compiled where it can be."""
    functions = library()
    return JointMotion(n, dt, noise) if functions is None else CompiledMotion(functions, n, dt, noise)
