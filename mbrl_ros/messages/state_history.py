"""States of a robot as they were reported, and whether one was reported before."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.unwrapping import whole_turns
from ..types import Array

REMEMBERED = 200  # states
MOVES = 0.01  # of its velocity limit: a joint that is slower may rest, with a constant error of its velocity
LARGEST_SHIFT, ON_THE_WAY = 0.5, 4e-3  # [s]; [rad or m]
COPIED = 3e-3  # [rad or m]: a joint this far from where it is now, exactly where it was in a state before


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """A state: raw positions as they were reported, q (n,) without jumps of whole turns, velocities, and the slope.

    Velocities and slopes are NaN where they are not known.
    """

    stamp: float
    raw: Array
    q: Array
    qd: Array
    slope: Array
    measured: Array  # velocities as they were reported


def unwrapped(continuous: NDArray[np.bool_], last: Sample, stamp: float, raw: Array, qd: Array) -> Array:
    """Return raw (n,) continued from `last` without jumps of whole turns; `continuous` (n,) joints can have them."""
    if not continuous.any():
        return raw
    step = raw - last.raw
    velocity = np.nan_to_num(0.5 * (np.where(np.isnan(qd), last.qd, qd) + last.qd))
    turns = np.where(continuous, whole_turns(step, velocity * (stamp - last.stamp)), 0.0)
    offset = np.where(continuous, np.round((last.raw - last.q) / (2.0 * np.pi)), 0.0)
    positions: Array = raw - 2.0 * np.pi * (offset + turns)
    return positions


def following(continuous: NDArray[np.bool_], last: Sample, stamp: float, raw: Array, qd: Array) -> Sample:
    """Return the state raw, qd (n,) at `stamp` [s] with its slope since `last`; see `unwrapped`."""
    q = unwrapped(continuous, last, stamp, raw, qd)
    return Sample(stamp, raw, q, qd, (q - last.q) / (stamp - last.stamp), qd)


def continued(last: Sample, new: Sample, lost: NDArray[np.bool_], qd: Array, tolerance: Array) -> Sample:
    """Return the new state with velocities qd (n,) and the positions that are `lost` (n,) continued from the last one.

    By the mean of both velocities where the new one differs by at most `tolerance` (n,), else by the last one.
    """
    step = new.stamp - last.stamp
    steady = np.abs(qd - last.qd) <= tolerance  # NaN is not
    velocity = np.nan_to_num(np.where(steady, 0.5 * (last.qd + qd), last.qd))
    q = np.where(lost, last.q + step * velocity, new.q)
    raw = np.where(lost, last.raw + (q - last.q), new.raw)
    return Sample(new.stamp, raw, q, qd, np.where(lost, velocity, new.slope), new.measured)


def frozen(before: Sample, raw: Array, qd: Array, fastest: Array) -> bool:
    """Whether a state repeats the one before in every value although the robot moves; `fastest` (n,): its limits."""
    if not (np.array_equal(raw, before.raw) and np.array_equal(qd, before.measured, equal_nan=True)):
        return False
    return bool((np.abs(np.nan_to_num(before.qd)) > MOVES * fastest).any())


def contradicted(last: Sample, new: Sample, slope: Array, tolerance: Array) -> NDArray[np.bool_]:
    """Return (n,) whose velocity the slope (n,) of the positions contradicts."""
    mean = 0.5 * (last.qd + new.qd)
    return np.asarray((np.abs(new.qd - slope) > tolerance) & (np.abs(mean - slope) > 0.5 * tolerance))


def shifted(last: Sample, new: Sample, tolerance: Array, least: float) -> bool:
    """Whether a state is where the last one's motion leads at another time than its stamp says.

    That is q = q_0 + v (h + d) within ON_THE_WAY, v = (v_0 + v_1)/2, for one d of at most LARGEST_SHIFT, with h + d of
    at `least` so long [s]; the velocities differ by at most `tolerance` (n,).
    """
    v, step = 0.5 * (last.qd + new.qd), new.stamp - last.stamp
    off, square = new.q - last.q - step * v, float(v @ v)
    if not square > 0.0 or not (np.abs(new.qd - last.qd) <= tolerance).all():
        return False
    shift = float(v @ off) / square
    possible = abs(shift) <= LARGEST_SHIFT and step + shift >= least
    return possible and bool((np.abs(off - shift * v) <= ON_THE_WAY).all())


class StateHistory:
    """The last states of one publisher; a state that repeats one of them in every bit is a copy that comes late."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()  # oldest first

    def clear(self) -> None:
        """Forget all states."""
        self._known.clear()

    def add(self, raw: Array, qd: Array) -> None:
        """Remember a state of which nothing was replaced."""
        key = raw.tobytes() + qd.tobytes()
        if key not in self._known:
            if len(self._known) == REMEMBERED:
                self._known.popitem(last=False)
            self._known[key] = None

    def copied(self, raw: Array, qd: Array, last: Array) -> bool:
        """Whether the state raw, qd (n,) was there before, and is not where the robot was `last` (n,)."""
        return raw.tobytes() + qd.tobytes() in self._known and bool((np.abs(raw - last) > COPIED).any())
