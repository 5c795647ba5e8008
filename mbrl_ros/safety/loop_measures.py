r"""What the loop monitor knows of a tick as numbers: noise, commands and offsets to and fro, saturation.

loop_monitor.py has the formulas and what follows from them. `LoopMeasures` is the specification, loop_measures.cpp the
same in compiled code: one call in a tick instead of some hundred operations on lists.
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import NamedTuple

import numpy as np

from ..codegen.compiler import SAME_BITS, load_library, sources_of
from ..types import Array

LOOP_SIZES = ("n", "bounded", "after", "learned", "known")
LOOP_NUMBERS = ("dt", "share", "slow_share", "least", "noisiness", "noisiest", "chatter", "offset", "saturation")
LOOP_INPUTS = ("u", "input_gain", "noise", "expected", "at", "lower", "upper")
LOOP_KEPT = ("u_before", "expected_before", "at_before", "long_run", "c_absolute", "c_mean", "o_absolute", "o_mean")


class Model(NamedTuple):
    """The model of a tick, of which the monitor knows nothing else.

    input_gain (n, n): d qd' / d u; noise (n,): standard deviation of the velocity change [rad/s]; expected (n,): the
    velocity change [rad/s] that it expects at the present state and the command `at` (n,).
    """

    input_gain: Array
    noise: Array
    expected: Array
    at: Array


class _ToAndFro:
    """R(y) of y (n,) with `share` of a tick in the means; for so few numbers lists take less time than arrays."""

    def __init__(self, n: int, share: float):
        self._n, self._share = n, share
        self.restart()

    def restart(self) -> None:
        """Begin with y = 0."""
        self._absolute, self._mean = [0.0] * self._n, [0.0] * self._n

    def update(self, y: Array) -> float:
        """Return R with y taken in; a y that is not finite begins anew."""
        absolute, mean, share, largest = self._absolute, self._mean, self._share, 0.0
        for j, value in enumerate(y.tolist()):
            if not math.isfinite(value):
                self.restart()
                return 0.0
            size = absolute[j] = absolute[j] + share * (abs(value) - absolute[j])
            middle = mean[j] = mean[j] + share * (value - mean[j])
            largest = max(largest, size - abs(middle))
        return largest


class LoopMeasures:
    """The measures of n joints, with `share` and `slow_share` of a tick in the means and the period `dt` [s].

    lower, upper (n,): commands beyond which one counts as saturated, None where none does and no offset is looked at;
    least: the least long-run variance [rad^2/s^2]. Of the last update: noisiness, the largest s_j / l_j, and
    noisiest, the s_j [rad/s] that has it; chatter, R(c), and offset, R(o) [rad/s^2]; saturation.
    """

    def __init__(
        self, n: int, dt: float, share: float, slow_share: float, least: float, lower: Array | None, upper: Array | None
    ):
        self._n, self._dt, self._share, self._slow_share, self._least = n, dt, share, slow_share, least
        self._limits: list[tuple[float, float]] = []
        if lower is not None and upper is not None:
            self._limits = list(zip(lower.tolist(), upper.tolist(), strict=True))
        self._commands, self._offsets, self._long_run = _ToAndFro(n, share), _ToAndFro(n, share), [least] * n
        self._u: Array | None = None
        self._model: Model | None = None  # the last one
        self.noisiness = self.noisiest = self.chatter = self.offset = self.saturation = 0.0

    def reset(self) -> None:
        """Forget the noise in the long run."""
        self._long_run = [self._least] * self._n

    def restart(self) -> None:
        """Compare nothing with the ticks before."""
        self._commands.restart()
        self._offsets.restart()
        self._u, self._model = None, None
        self.noisiness = self.noisiest = self.chatter = self.offset = self.saturation = 0.0

    def update(self, u: Array, model: Model | None) -> None:
        """Take in the command u (n,) in effect and the model of one tick, None where nothing was learned in it."""
        self._compare(u, model)
        if self._limits:
            full = 0.0
            for value, (lower, upper) in zip(u.tolist(), self._limits, strict=True):
                if not lower < value < upper:
                    full = 1.0
            self.saturation += self._share * (full - self.saturation)
        if model is not None:
            self._compare_noise(model.noise)

    def _compare(self, u: Array, model: Model | None) -> None:
        """Take c and o of this tick, as far as they are known, into the means."""
        before, past = self._u, self._model
        self._u, self._model = u, past if model is None else model
        if before is None or self._model is None:
            return
        by_command = self._model.input_gain @ (u - before)
        self.chatter = self._commands.update(by_command) / self._dt
        if self._limits and model is not None and past is not None:
            unexplained = model.expected - past.expected - model.input_gain @ (model.at - past.at)
            self.offset = self._offsets.update(unexplained) / self._dt

    def _compare_noise(self, noise: Array) -> None:
        """Compare the standard deviations (n,) with the long-run ones, and take them into those."""
        largest, of_largest, long_run, least = 0.0, 0.0, self._long_run, self._least
        for j, std in enumerate(noise.tolist()):
            if not math.isfinite(std):
                continue
            variance = std * std
            growth = variance / long_run[j]
            long_run[j] += self._slow_share * (max(variance, least) - long_run[j])
            if growth > largest:
                largest, of_largest = growth, std
        self.noisiness, self.noisiest = math.sqrt(largest), of_largest


class _Structure(ctypes.Structure):
    """Mirrors `struct Loop` of loop_measures.cpp."""

    learned: int
    noisiness: float
    noisiest: float
    chatter: float
    offset: float
    saturation: float
    _fields_ = (
        [(name, ctypes.c_longlong) for name in LOOP_SIZES]
        + [(name, ctypes.c_double) for name in LOOP_NUMBERS]
        + [(name, ctypes.c_void_p) for name in LOOP_INPUTS + LOOP_KEPT]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled functions; None where that fails, and the log has the reason."""
    return load_library("loop_measures", sources_of(__package__, "loop_measures.cpp"), SAME_BITS)


class CompiledMeasures(LoopMeasures):
    """The same measures, faster; they differ only by how the products of the input gain are rounded."""

    def __init__(
        self,
        functions: ctypes.PyDLL,
        n: int,
        dt: float,
        share: float,
        slow_share: float,
        least: float,
        lower: Array | None,
        upper: Array | None,
    ):
        super().__init__(n, dt, share, slow_share, least, lower, upper)
        self._update, self._restart, self._reset = functions.loop_update, functions.loop_restart, functions.loop_reset
        arrays = self._arrays = {name: np.zeros(n) for name in LOOP_INPUTS + LOOP_KEPT}
        arrays["input_gain"] = np.zeros((n, n))
        if lower is not None and upper is not None:
            arrays["lower"][:], arrays["upper"][:] = lower, upper
        self._inputs = tuple(arrays[name] for name in ("u", "input_gain", "noise", "expected", "at"))
        pointers = {name: array.ctypes.data for name, array in arrays.items()}
        numbers = dict(dt=dt, share=share, slow_share=slow_share, least=least)
        self._state = _Structure(n=n, bounded=lower is not None, **numbers, **pointers)
        self._address = ctypes.c_void_p(ctypes.addressof(self._state))
        self._reset(self._address)

    def reset(self) -> None:
        """See `LoopMeasures`."""
        self._reset(self._address)

    def restart(self) -> None:
        """See `LoopMeasures`."""
        self._restart(self._address)
        self.noisiness = self.noisiest = self.chatter = self.offset = self.saturation = 0.0

    def update(self, u: Array, model: Model | None) -> None:
        """See `LoopMeasures`."""
        state, (command, input_gain, noise, expected, at) = self._state, self._inputs
        command[:] = u
        state.learned = model is not None
        if model is not None:
            input_gain[:], noise[:], expected[:], at[:] = model
        self._update(self._address)
        self.noisiness, self.noisiest, self.chatter = state.noisiness, state.noisiest, state.chatter
        self.offset, self.saturation = state.offset, state.saturation


def make_measures(
    n: int, dt: float, share: float, slow_share: float, least: float, lower: Array | None, upper: Array | None
) -> LoopMeasures:
    """Make measures, compiled where they can be; see `LoopMeasures`."""
    functions = library()
    if functions is None:
        return LoopMeasures(n, dt, share, slow_share, least, lower, upper)
    return CompiledMeasures(functions, n, dt, share, slow_share, least, lower, upper)
