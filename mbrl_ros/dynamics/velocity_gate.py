r"""The velocity gate: measured velocities that neither the model nor the positions confirm are refused.

With the model's error e = qd' - qd'_predicted and the trapezoid's residual

    r = q' - q - dt/2 (qd + qd')

joint j's velocity is refused if all of these hold:

    |e_j| > g sqrt((a_j + rho) Sigma_jj)            the model did not expect it
    |r_j| > g rms(r_j)                              the positions did not move by it
    |r_j + dt/2 e_j| < |r_j| / 2                    and with the predicted velocity they agree better

A blow moves the positions, so it passes. What is refused is replaced by the prediction, for at most LONGEST_REFUSAL
samples in a row: after that the sensor is believed again. rms(r_j) is that of the last fifty samples or so, each
counted as at most LARGEST_MISMATCH times the present one, so that the outliers do not widen the gate. Nothing is
refused before FIRST samples.

`agree`, what happens in most ticks, is in compiled code, too (velocity_gate.cpp).
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np
from numpy.typing import NDArray

from ..codegen.compiler import SAME_BITS, load_library, sources_of
from ..types import Array

LONGEST_REFUSAL, FIRST = 3, 5
MISMATCH_MEMORY = 50.0  # samples
LARGEST_MISMATCH = 5.0  # times rms


class VelocityGate:
    """For n joints, a period dt [s], g = `threshold` standard deviations; `refusals`: samples with a refusal so far."""

    def __init__(self, n: int, dt: float, threshold: float):
        self.n, self.dt, self.threshold = n, dt, threshold
        self.refusals, self._refusing = 0, False  # whether any was refused in the last sample
        self._square, self._seen = np.zeros(n), 0
        self._running = np.zeros(n, dtype=int)

    def reset(self) -> None:
        """Forget the residuals seen so far."""
        self._square[:], self._running[:], self._seen = 0.0, 0, 0

    def agree(self, x: Array, x_next: Array) -> None:
        """Take note of states one period apart whose velocities the model expected: then none is refused."""
        before, after, n, half = x.tolist(), x_next.tolist(), self.n, 0.5 * self.dt
        squares = self._square.tolist()
        seen = self._seen = self._seen + 1
        rate = max(1.0 / MISMATCH_MEMORY, 1.0 / seen)
        for j, old in enumerate(squares):  # as in `refused`; for so few numbers lists take less time than arrays
            r = after[j] - before[j] - half * (before[n + j] + after[n + j])
            square = r * r
            if seen > 1:
                most = LARGEST_MISMATCH**2 * old + 1e-12
                square = most if most < square else square
            squares[j] = old + rate * (square - old)
        self._square[:] = squares
        if seen > FIRST + 1 and self._refusing:
            self._running[:], self._refusing = 0, False

    def refused(self, x: Array, x_next: Array, error: Array, std: Array) -> NDArray[np.bool_]:
        """Return which joints' velocities in x_next are refused (n,).

        Parameters
        ----------
        x, x_next
            States one period apart, at least [q; qd].
        error, std
            e (n,) [rad/s or m/s] of the velocities in x_next and its standard deviation (n,).
        """
        n = self.n
        r = self._residual(x, x_next)
        size, square = np.abs(r), r * r
        refused = np.zeros(n, dtype=bool)
        if self._seen > FIRST:
            refused = (
                (np.abs(error) > self.threshold * std)
                & (size > self.threshold * np.sqrt(self._square))
                & (np.abs(r + 0.5 * self.dt * error) < 0.5 * size)
                & (self._running < LONGEST_REFUSAL)
            )
            self._running, self._refusing = np.where(refused, self._running + 1, 0), bool(refused.any())
            self.refusals += self._refusing
        if self._seen:
            square = np.minimum(square, LARGEST_MISMATCH**2 * self._square + 1e-12)
        self._seen += 1
        rate = max(1.0 / MISMATCH_MEMORY, 1.0 / self._seen)
        self._square += np.where(refused, 0.0, rate) * (square - self._square)
        return refused

    def _residual(self, x: Array, x_next: Array) -> Array:
        n = self.n
        residual: Array = x_next[:n] - x[:n] - 0.5 * self.dt * (x[n : 2 * n] + x_next[n : 2 * n])
        return residual


class _Structure(ctypes.Structure):
    """Mirrors `struct Gate` of velocity_gate.h."""

    bounded: int
    rate: float
    _fields_ = (
        [(name, ctypes.c_longlong) for name in ("n", "bounded")]
        + [(name, ctypes.c_double) for name in ("half", "rate", "most")]
        + [(name, ctypes.c_void_p) for name in ("before", "after", "square")]
    )


@functools.lru_cache(maxsize=1)
def library() -> ctypes.PyDLL | None:
    """Load the compiled function; None where that fails, and the log has the reason."""
    return load_library("velocity_gate", sources_of(__package__, "velocity_gate.cpp", "velocity_gate.h"), SAME_BITS)


class CompiledGate(VelocityGate):
    """The same gate, faster, with the same results to the last bit."""

    def __init__(self, functions: ctypes.PyDLL, n: int, dt: float, threshold: float):
        super().__init__(n, dt, threshold)
        self._agree, self._before, self._after = functions.gate_agree, np.zeros(2 * n), np.zeros(2 * n)
        self.function = ctypes.cast(self._agree, ctypes.c_void_p).value  # where it is
        arrays = dict(before=self._before, after=self._after, square=self._square)
        pointers = {name: array.ctypes.data for name, array in arrays.items()}
        self._state = _Structure(n=n, half=0.5 * dt, most=LARGEST_MISMATCH**2, **pointers)
        self.address = ctypes.addressof(self._state)  # of the structure
        self._address = ctypes.c_void_p(self.address)

    def agree(self, x: Array, x_next: Array) -> None:
        """See `VelocityGate`."""
        end = 2 * self.n
        if x.size != end:
            x, x_next = x[:end], x_next[:end]
        self._before[:], self._after[:] = x, x_next
        self.prepare()
        self._agree(self._address)
        self.agreed()

    def prepare(self) -> None:
        """Tell the compiled code what it needs besides the states to take note of one more sample."""
        seen, state = self._seen + 1, self._state
        state.bounded, state.rate = seen > 1, max(1.0 / MISMATCH_MEMORY, 1.0 / seen)

    def agreed(self) -> None:
        """Take note that the compiled code has taken note of a sample."""
        seen = self._seen = self._seen + 1
        if seen > FIRST + 1 and self._refusing:
            self._running[:], self._refusing = 0, False


def make_gate(n: int, dt: float, threshold: float) -> VelocityGate:
    """Make a gate, compiled where it can be; see `VelocityGate`."""
    functions = library()
    return VelocityGate(n, dt, threshold) if functions is None else CompiledGate(functions, n, dt, threshold)
