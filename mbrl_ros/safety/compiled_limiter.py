"""CommandLimiter in compiled code (command_limiter.cpp): two calls in a tick where numpy needs some thirty."""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ..codegen.compiler import SAME_BITS, load_library, sources_of
from ..config.sections.safety import SupervisorSettings
from ..robots import Robot
from ..types import Array, Observation
from .command_limiter import COMMAND_ROUNDING, CommandLimiter

LIMITER_INTERFACES = ("effort", "velocity", "position")
LIMITER_CONSTANTS = (
    *("lower", "upper", "largest_step", "saturated_below", "saturated_above", "position_upper"),
    *("minus_position_lower", "stopping", "fastest", "band", "acceleration", "slowing", "braking"),
)
LIMITER_VARIABLES = ("q", "qd", "u", "near", "previous", "last_step", "fraction", "guarded", "limited")


class _Structure(ctypes.Structure):
    """Mirrors `struct Limiter` of command_limiter.cpp."""

    with_near: int
    share: float
    slower: float
    _fields_ = (
        [(name, ctypes.c_longlong) for name in ("n", "interface", "with_near")]
        + [(name, ctypes.c_double) for name in ("dt", "band_rounding", "share", "slower")]
        + [(name, ctypes.c_void_p) for name in LIMITER_CONSTANTS + LIMITER_VARIABLES]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled functions; None where that fails, and the log has the reason."""
    return load_library("command_limiter", sources_of(__package__, "command_limiter.cpp"), SAME_BITS)


class CompiledLimiter(CommandLimiter):
    """The same limiter, faster, with the same results to the last bit."""

    def __init__(self, functions: ctypes.PyDLL, robot: Robot, settings: SupervisorSettings, dt: float):
        super().__init__(robot, settings, dt)
        self._watch, self._limit = functions.limiter_watch, functions.limiter_limit
        n = robot.n
        constants = (
            *(self._lower, self._upper, self._largest_step, self._saturated_below, self._saturated_above),
            *(self._stops[0], self._stops[1], self._stopping, self._fastest, self._band, self._acceleration),
            *(self._slowing, self._braking),
        )

        def vector(given: Array) -> Array:
            return np.array(np.broadcast_to(given, n), dtype=np.float64)

        self._constants = dict(zip(LIMITER_CONSTANTS, map(vector, constants), strict=True))
        self._variables = {name: np.zeros(n) for name in LIMITER_VARIABLES}
        pointers = {name: array.ctypes.data for name, array in (self._constants | self._variables).items()}
        self._state = _Structure(
            n=n, interface=LIMITER_INTERFACES.index(robot.interface), dt=dt, band_rounding=COMMAND_ROUNDING, **pointers
        )
        self._address = ctypes.c_void_p(ctypes.addressof(self._state))
        # the arrays of the base class, which replaces and never changes them, whose values the variables have
        self._of_previous = self._of_step = self._of_fraction = self._variables["u"]
        self._everything = np.ones(n)  # a fraction of one
        self._taken = tuple(self._variables[name] for name in ("u", "q", "qd"))
        self._given = tuple(self._variables[name] for name in ("previous", "last_step", "fraction"))

    def _share(self) -> None:
        """Let the variables have the values of the base class's arrays."""
        v, previous, step, fraction = self._variables, self.previous, self._last_step, self._fraction
        if previous is not self._of_previous or step is not self._of_step or fraction is not self._of_fraction:
            v["previous"][:], v["last_step"][:], v["fraction"][:] = previous, step, fraction
            self._of_previous, self._of_step, self._of_fraction = previous, step, fraction

    def watch(self, q: Array) -> tuple[bool, bool]:
        """See `CommandLimiter`."""
        self._share()
        self._taken[1][:] = q
        found = self._watch(self._address)
        return bool(found & 1), bool(found & 2)

    def limit(
        self, u: Array, observation: Observation, slower: float, near: Array | None, share: float = 1.0
    ) -> tuple[Array, int]:
        """See `CommandLimiter`."""
        (wanted, q, qd), (previous, last_step, fraction), state = self._taken, self._given, self._state
        self._share()
        wanted[:], q[:], qd[:] = u, observation.q, observation.qd
        if near is not None:
            self._variables["near"][:] = near
        state.with_near, state.slower, state.share = near is not None, slower, share
        reasons: int = self._limit(self._address)
        self._last_step = self._of_step = last_step.copy()
        self._fraction = self._of_fraction = self._everything if slower >= 1.0 else fraction.copy()
        self.previous = self._of_previous = previous.copy()
        return self.previous, reasons


def make_limiter(robot: Robot, settings: SupervisorSettings, dt: float) -> CommandLimiter:
    """Make a limiter, compiled where it can be; see `CommandLimiter`."""
    functions = library()
    return CommandLimiter(robot, settings, dt) if functions is None else CompiledLimiter(functions, robot, settings, dt)
