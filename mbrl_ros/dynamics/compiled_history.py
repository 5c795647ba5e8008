"""CommandHistory in compiled code (history.cpp): one call for what acted in a tick, one to roll a state forward."""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ..codegen.compiler import SAME_BITS, load_library, sources_of
from ..types import Array, CommandVector, LinearGaussianDynamics, StateVector
from .delay import CommandHistory

HISTORY_INTEGERS = ("n", "length", "nx", "newest", "whole", "late")
HISTORY_NUMBERS = ("dt", "fraction", "stamp", "std")
HISTORY_ARRAYS = ("stamps", "commands", "stds", "initial", "F", "f", "u", "neighbors", "x", "change")


class _Structure(ctypes.Structure):
    """Mirrors `struct History` of history.h."""

    newest: int
    late: int
    stamp: float
    std: float
    _fields_ = (
        [(name, ctypes.c_longlong) for name in HISTORY_INTEGERS]
        + [(name, ctypes.c_double) for name in HISTORY_NUMBERS]
        + [(name, ctypes.c_void_p) for name in HISTORY_ARRAYS]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled functions; None where that fails, and the log has the reason."""
    functions = load_library("history", sources_of(__package__, "history.cpp", "history.h"), SAME_BITS)
    if functions is not None:
        functions.history_entry.restype = ctypes.c_longlong
    return functions


class CompiledHistory(CommandHistory):
    """The same history, faster; a state is rolled forward with sums in another order."""

    def __init__(self, functions: ctypes.PyDLL, nu: int, dt: float, delay: float, *, length: int = 64):
        super().__init__(nu, dt, delay, length=length)
        self._functions, self._state, self._times = functions, _Structure(), np.full(length, -np.inf)
        self._address = ctypes.c_void_p(ctypes.addressof(self._state))
        self._first, self._u, self._neighbors = np.zeros(nu), np.zeros(nu), np.zeros((2, nu))
        arrays = dict(stamps=self._times, commands=self._commands, stds=self._stds, initial=self._first)
        self._state.n, self._state.length, self._state.newest, self._state.dt = nu, length, -1, dt
        self._point_to(u=self._u, neighbors=self._neighbors, **arrays)
        self.make_room(1)
        self.set_delay(delay)

    def _point_to(self, **arrays: Array) -> None:
        for name, array in arrays.items():
            setattr(self._state, name, array.ctypes.data)

    @property
    def address(self) -> int:
        """Where the structure is."""
        return ctypes.addressof(self._state)

    def function(self, name: str) -> int | None:
        """Return where the compiled function history_`name` is."""
        return ctypes.cast(self._functions[f"history_{name}"], ctypes.c_void_p).value

    def look_at(self, stamp: float, late: int = 0) -> None:
        """Let the next call concern `stamp` [s], and commands that come `late` whole ticks late."""
        self._state.stamp, self._state.late = stamp, late

    @property
    def u(self) -> CommandVector:
        """The command (nu,) that the last call has found."""
        u: CommandVector = self._u.copy()
        return u

    def make_room(self, nx: int) -> None:
        """Make the arrays for states (nx,)."""
        self._F, self._f, self._x = np.zeros((nx, nx + self._u.size)), np.zeros(nx), np.zeros(nx)
        self._change, self._state.nx = np.zeros(nx), nx
        self._point_to(F=self._F, f=self._f, x=self._x, change=self._change)

    def set_delay(self, delay: float) -> None:
        """See `CommandHistory`."""
        super().set_delay(delay)
        self._state.whole, self._state.fraction = self.whole, self.fraction

    def reset(self, command: CommandVector) -> None:
        """See `CommandHistory`."""
        super().reset(command)
        self._times[:], self._first[:], self._state.newest = -np.inf, self._initial, -1

    def record(self, stamp: float, command: CommandVector, std: float = 0.0) -> None:
        """See `CommandHistory`."""
        entry = self._newest = (self._newest + 1) % self._length
        self._times[entry], self._commands[entry], self._stds[entry] = stamp, command, std
        self._state.newest = entry

    def _index(self, stamp: float) -> int | None:
        self._state.stamp = stamp
        entry: int = self._functions.history_entry(self._address)
        return None if entry < 0 else entry

    def in_effect(self, stamp: float) -> CommandVector:
        """See `CommandHistory`."""
        self._state.stamp = stamp
        self._functions.history_in_effect(self._address)
        u: CommandVector = self._u.copy()
        return u

    def during(self, stamp: float) -> tuple[CommandVector, Array, float]:
        """See `CommandHistory`."""
        self._state.stamp = stamp
        self._functions.history_during(self._address)
        return self._u.copy(), self._neighbors.copy(), self._state.std

    def roll_forward(
        self, x: StateVector, stamp: float, dynamics: LinearGaussianDynamics, late: int = 0
    ) -> StateVector:
        """See `CommandHistory`."""
        if self.whole + late == 0 and self.fraction == 0.0:
            return x
        if self._x.size != x.size:
            self.make_room(x.size)
        self._x[:], self._F[:], self._f[:] = x, dynamics.F[0], dynamics.f[0]
        self._state.stamp, self._state.late = stamp, late
        self._functions.history_roll_forward(self._address)
        ahead: StateVector = self._x.copy()
        return ahead


def make_history(nu: int, dt: float, delay: float) -> CommandHistory:
    """Make a history, compiled where it can be; see `CommandHistory`."""
    functions = library()
    return CommandHistory(nu, dt, delay) if functions is None else CompiledHistory(functions, nu, dt, delay)
