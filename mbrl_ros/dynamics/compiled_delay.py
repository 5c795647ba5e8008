"""DelayEstimator in compiled code (delay.cpp): one call in a tick, and a few in an estimate."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Generator

import numpy as np

from ..codegen.compiler import load_library, sources_of
from ..config.sections.dynamics import DelaySettings
from ..exceptions import CompileError
from ..types import Array
from .delay_estimation import (
    BLOCK_ROWS,
    LEAST_WEIGHT,
    LONGEST_BRIDGED,
    REST_LEVEL,
    Conditional,
    DelayEstimate,
    DelayEstimator,
)
from .whitening import COLORS, STEADY

DELAY_INTEGERS = (
    *("n", "lags", "size", "stride", "block_rows", "colors", "bridged"),
    *("filled", "held", "known", "steady", "best"),
)
DELAY_NUMBERS = (
    *("dt", "forgetting", "fewest", "least_weight", "rest_level", "near"),
    *("count", "seen", "stamp", "commanded", "stamp_before"),
)
DELAY_ARRAYS = (
    *("moments", "block", "weights", "energy", "noise", "commands", "before", "color", "q", "qd", "command"),
    *("carried", "variances", "filtered", "work"),
    *("snapshot", "correlations", "scales", "coarse", "grid", "values"),
)
DELAY_RESULTS = ("of_snapshot", "least", "mean", "std", "inside", "explained")
NOTHING_MOVES, NO_FACTOR = 1, 2  # what delay_given_state returns
DELAYS_AT_ONCE = 4  # DELAYS of delay.cpp
MOST_FINE = 64  # delays of the fine grid; more are computed by the base class


class _Structure(ctypes.Structure):
    """Mirrors `struct Delay` of delay.cpp."""

    filled: int
    steady: int
    count: float
    seen: float
    stamp: float
    mean: float
    std: float
    inside: float
    explained: float
    _fields_ = (
        [(name, ctypes.c_longlong) for name in DELAY_INTEGERS]
        + [(name, ctypes.c_double) for name in DELAY_NUMBERS]
        + [(name, ctypes.c_void_p) for name in DELAY_ARRAYS]
        + [(name, ctypes.c_double) for name in DELAY_RESULTS]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled functions; None where that fails, and the log has the reason."""
    functions = load_library("delay", sources_of(__package__, "delay.cpp", "delay_estimate.h", "cholesky.h"))
    if functions is not None:
        pointer = ctypes.c_void_p
        for name in ("update", "fold", "interrupt", "reset", "complete", "begin", "finish"):
            getattr(functions, f"delay_{name}").argtypes = [pointer]
        functions.delay_color.argtypes = [pointer, ctypes.c_longlong]
        functions.delay_given_state.argtypes = [pointer] * 4
        functions.delay_log_determinants.argtypes = [*[pointer] * 4, ctypes.c_longlong]
        functions.delay_log_determinants.restype = ctypes.c_longlong
    return functions


class CompiledDelayEstimator(DelayEstimator):
    """The same estimator, faster; commands, states and the filter's memory are in arrays of its own."""

    def __init__(self, n: int, dt: float, settings: DelaySettings | None = None):
        functions = library()
        if functions is None:
            raise CompileError("delay.cpp could not be compiled; the log has the reason")
        self._functions, self._state, self._turn = functions, _Structure(), 0
        self._address = ctypes.c_void_p(ctypes.addressof(self._state))
        super().__init__(n, dt, settings)

    def _share_arrays(self) -> None:
        """Tell the compiled code the sizes, and where the arrays are."""
        n, size, lags = self.n, self._size, self.lags
        self._q, self._qd, self._command = np.zeros(n), np.zeros(n), np.zeros(n)
        self._whitening = np.zeros((len(COLORS), size)), np.zeros(len(COLORS))  # what is carried on; variances
        states = 2 * n + 1
        self._arrays = dict(
            moments=self._moments,
            block=self._block,
            weights=self._weights,
            energy=self._energy,
            noise=self._noise,
            commands=np.zeros(((lags + 2 * LONGEST_BRIDGED) * self.stride + 2, n)),
            before=np.zeros(2 * n),
            color=np.array(COLORS),
            q=self._q,
            qd=self._qd,
            command=self._command,
            carried=self._whitening[0],
            variances=self._whitening[1],
            filtered=np.zeros(BLOCK_ROWS * (size + DELAYS_AT_ONCE)),
            snapshot=np.zeros_like(self._moments),
            correlations=np.zeros((2, n * (lags + 1), n * (lags + 1))),
            scales=np.zeros((2, n * (lags + 1))),
            coarse=np.zeros((2, 2 * lags - 1)),
            grid=np.zeros(2 * lags + MOST_FINE),
            values=np.zeros(2 * lags + MOST_FINE),
            work=np.zeros(max(states * (states + n * lags + n) + DELAYS_AT_ONCE, 3 * n * n * DELAYS_AT_ONCE)),
        )
        sizes = dict(n=n, lags=lags, size=size, stride=self.stride)
        constants = dict(block_rows=BLOCK_ROWS, colors=len(COLORS), bridged=LONGEST_BRIDGED)
        numbers = dict(dt=self.dt, forgetting=self._forgetting, fewest=self.settings.fewest)
        levels = dict(least_weight=LEAST_WEIGHT, rest_level=REST_LEVEL, near=STEADY)
        pointers = {name: array.ctypes.data for name, array in self._arrays.items()}
        for name, value in {**sizes, **constants, **numbers, **levels, **pointers}.items():
            setattr(self._state, name, value)
        self._allocate_results()

    def reset(self) -> None:
        """Forget all data."""
        super().reset()
        if not self._state.n:  # while the base class sets itself up
            self._share_arrays()
        self._functions.delay_reset(self._address)

    def interrupt(self) -> None:
        """Take note that what acted since the last update is not known."""
        self._functions.delay_interrupt(self._address)

    def update(self, stamp: float, q: Array, qd: Array, command: Array) -> None:
        """See `DelayEstimator`."""
        self._q[:], self._qd[:], self._command[:] = q, qd, command
        self._state.stamp = stamp
        self._functions.delay_update(self._address)

    def _fold(self) -> None:
        self._functions.delay_fold(self._address)
        self._count = self._state.count

    def _estimated(self, count: float) -> Generator[None, None, DelayEstimate | None]:
        """See `DelayEstimator`; where a matrix has no factor, the base class begins it again."""
        functions, state = self._functions, self._state
        functions.delay_begin(self._address)
        for color in range(len(COLORS)):
            found = functions.delay_color(self._address, color)
            if found == NO_FACTOR:
                return (yield from self._readable())
            if found == NOTHING_MOVES:
                return None
            yield
        if functions.delay_finish(self._address) == NO_FACTOR:
            return (yield from self._readable())
        return self._of(state.mean, state.std, state.inside, state.explained)

    def _readable(self) -> Generator[None, None, DelayEstimate | None]:
        """Estimate as the base class does."""
        self._complete_moments()
        return super()._estimated(self._state.count)

    def _complete_moments(self) -> None:
        """Write the lower triangle of the moments, which the compiled code leaves as it is."""
        self._functions.delay_complete(self._address)

    def _given_state(self, S: Array) -> Conditional | None:
        self._turn = (self._turn + 1) % len(COLORS)  # one for each color of the only estimate that is being made
        conditional, addresses = self._conditionals[self._turn]
        self._given[:] = S
        found = self._functions.delay_given_state(self._address, *addresses)
        if found == NO_FACTOR:
            return super()._given_state(S)
        return None if found == NOTHING_MOVES else conditional

    def _log_determinants(self, delays: Array, commands: Array, with_y: Array, y: Array, scale: Array) -> Array:
        """See `DelayEstimator`; `commands` is a view of the whole matrix of correlations."""
        count, matrix = len(delays), self._matrices.get(id(commands))
        if matrix is None or count > self._delays.size:
            return super()._log_determinants(delays, commands, with_y, y, scale)
        self._delays[:count] = delays
        if self._functions.delay_log_determinants(self._address, matrix, *self._grid, count) < count:
            return super()._log_determinants(delays, commands, with_y, y, scale)
        values: Array = self._values[:count] + 2.0 * np.log(scale).sum()
        return values

    def _allocate_results(self) -> None:
        """Make the arrays that an estimate is computed in; to ask an array of numpy where it is takes long."""
        n, lags, first = self.n, self.lags, self.n * self.lags
        self._given = np.zeros((self._size, self._size))
        self._delays, self._values = np.zeros(2 * lags + MOST_FINE), np.zeros(2 * lags + MOST_FINE)
        self._grid = self._delays.ctypes.data, self._values.ctypes.data
        self._conditionals: list[tuple[Conditional, tuple[int, int, int]]] = []
        self._matrices: dict[int, int] = {}  # id of a view of the commands' part: where the whole begins
        for _ in COLORS:
            C, scale = np.zeros((first + n, first + n)), np.zeros(first + n)
            commands = C[:first, :first].reshape(lags, n, lags, n).transpose(0, 2, 1, 3)
            conditional = commands, C[:first, first:].reshape(lags, n, n), C[first:, first:], scale[-n:]
            self._conditionals.append((conditional, (self._given.ctypes.data, C.ctypes.data, scale.ctypes.data)))
            self._matrices[id(commands)] = C.ctypes.data


def make_delay_estimator(n: int, dt: float, settings: DelaySettings | None = None) -> DelayEstimator:
    """Make an estimator, compiled where it can be; see `DelayEstimator`."""
    kind = DelayEstimator if library() is None else CompiledDelayEstimator
    return kind(n, dt, settings)
