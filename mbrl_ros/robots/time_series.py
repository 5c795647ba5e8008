"""Values with stamps, bounded in age and number, and the two of them around a time."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Generic, NamedTuple, TypeVar

ONE_STAMP = 1e-6  # [s]: stamps this close are one; those of our time are floats with steps of 0.24 us

Value = TypeVar("Value")


class Between(NamedTuple, Generic[Value]):
    """A time between two values: `share` of the way from `before` to `after`; both are one at a stamp."""

    before: Value
    after: Value
    share: float


class TimeSeries(Generic[Value]):
    """The values of the last `age` [s] by their stamps [s], at most `most` of them.

    Where they come more often than `most` in `age`, only the newest value and those at least age / most apart are kept.
    A value is kept at most once for a stamp, and values may come in any order.
    """

    def __init__(self, age: float, most: int):
        self._age, self._spacing, self._most = age, age / most, most
        self._stamps: list[float] = []
        self._values: list[Value] = []

    @property
    def newest(self) -> float:
        """The newest stamp [s]; minus infinity if there is none."""
        return self._stamps[-1] if self._stamps else -math.inf

    @property
    def oldest(self) -> float:
        """The oldest stamp [s]; infinity if there is none."""
        return self._stamps[0] if self._stamps else math.inf

    @property
    def last(self) -> Value:
        """The value of the newest stamp; IndexError if there is none."""
        return self._values[-1]

    def clear(self) -> None:
        """Forget all values."""
        self._stamps, self._values = [], []

    def add(self, stamp: float, value: Value) -> bool:
        """Add a value; return False, and leave it out, if it is too old or its stamp is there already."""
        stamps, values = self._stamps, self._values
        if not stamps or stamp > stamps[-1]:
            if len(stamps) > 1 and stamp - stamps[-2] < self._spacing:
                stamps[-1], values[-1] = stamp, value
            else:
                stamps.append(stamp)
                values.append(value)
            first = bisect_left(stamps, stamp - self._age)
            if first:
                del stamps[:first], values[:first]
            return True
        k = bisect_left(stamps, stamp)
        if stamp < stamps[-1] - self._age or stamps[k] == stamp or len(stamps) >= 2 * self._most:
            return False
        stamps.insert(k, stamp)
        values.insert(k, value)
        return True

    def at(self, stamp: float) -> Between[Value] | None:
        """Return what is around `stamp` [s]; None if it is outside the stamps by more than ONE_STAMP."""
        stamps, values = self._stamps, self._values
        if not stamps or not stamps[0] - ONE_STAMP <= stamp <= stamps[-1] + ONE_STAMP:
            return None
        k = bisect_right(stamps, stamp)
        if k == 0 or k == len(stamps) or stamps[k - 1] == stamp:
            value = values[max(0, k - 1)]
            return Between(value, value, 0.0)
        before, after = stamps[k - 1], stamps[k]
        return Between(values[k - 1], values[k], (stamp - before) / (after - before))
