"""What is shown of one moment, and the curves up to it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..types import Array

CURVE_LENGTH = 20.0  # [s] of the curves
MOST_CURVE_POINTS = 600  # of a curve: a display has no more columns
PLAN_COLOR, TARGET_COLOR = (26, 128, 230), (230, 100, 26)  # red, green, blue
TUBE_SHARE = 0.35  # of the tube's color in what is seen through it
MESSAGES = 6  # newest ones that are shown
CURVES = {
    "distance": "distance from the target [mm]",
    "speed": "fastest joint [rad/s or m/s]",
    "latency": "state to command [ms]",
    "surprise": "prediction error: NIS over its 95 % bound",
}


@dataclass
class Snapshot:
    """One moment; what is not known is empty, None or NaN.

    stamp [s]; positions {joint: [rad or m]}; path (T, 3) of the end effector along the plan and target (3,) [m] in the
    root link's frame; tube (T, 3, 3) [m]: the ellipsoid of two standard deviations at each point of the path, its half
    axes in columns; status {field: value} of ~/status; supervisor: its state and cause; messages, events: the newest
    last; curves {"time", *CURVES: (k,)}; speeds {joint: [rad/s or m/s]}; trust in the model, 0 to 1; points and
    wanted_points (k, 2): the features and those of the target, in half widths of the image; verdict: its line, or that
    the run goes on; health and health_curves: what model_health_node tells (view/health.py).
    """

    stamp: float = math.nan
    positions: dict[str, float] = field(default_factory=dict)
    path: Array | None = None
    tube: Array | None = None
    target: Array | None = None
    status: dict[str, float] = field(default_factory=dict)
    supervisor: str = ""
    messages: tuple[str, ...] = ()
    curves: dict[str, Array] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=dict)
    trust: float = math.nan
    events: tuple[str, ...] = ()
    points: Array | None = None
    wanted_points: Array | None = None
    verdict: str = ""
    health: dict[str, float] = field(default_factory=dict)
    health_curves: dict[str, Array] = field(default_factory=dict)


class Curves:
    """The last `length` [s] of the curves `names`, at most one point per `period` [s].

    Of CURVE_LENGTH at most MOST_CURVE_POINTS are kept.
    """

    def __init__(self, period: float, length: float = CURVE_LENGTH, names: Iterable[str] = CURVES):
        self._names = tuple(names)
        self._period, self._length = max(period, CURVE_LENGTH / MOST_CURVE_POINTS), length
        self._rows: deque[tuple[float, ...]] = deque()

    def due(self, stamp: float) -> bool:
        """Return whether values at `stamp` [s] would be kept: time has gone on by a period, or back."""
        newest = self._rows[-1][0] if self._rows else -math.inf
        return math.isfinite(stamp) and not newest <= stamp < newest + self._period

    def add(self, stamp: float, values: dict[str, float]) -> None:
        """Add the values at `stamp` [s] where that is due; what is not among them is NaN. Back in time, begin anew."""
        if not self.due(stamp):
            return
        if self._rows and stamp < self._rows[-1][0]:
            self._rows.clear()
        self._rows.append((stamp, *(values.get(name, math.nan) for name in self._names)))
        while self._rows[0][0] < stamp - self._length:
            self._rows.popleft()

    def arrays(self) -> dict[str, Array]:
        """Return {"time", *names: (k,)}."""
        table = np.array(self._rows, dtype=float).reshape(-1, 1 + len(self._names))
        return dict(zip(("time", *self._names), table.T, strict=True))


def values_of(
    status: dict[str, float], speeds: list[float], path: Array | None, target: Array | None
) -> dict[str, float]:
    """Return {curve: value} of one moment: velocities `speeds` (n,), the plan's path (T, 3) and the target (3,) [m]."""
    bound = status.get("nis_bound", math.nan)
    finite = [abs(speed) for speed in speeds if math.isfinite(speed)]
    return {
        "distance": math.nan if path is None or target is None else 1e3 * float(np.linalg.norm(path[0] - target)),
        "speed": max(finite, default=math.nan),
        "latency": status.get("latency_ms", math.nan),
        "surprise": status.get("nis", math.nan) / bound if bound > 0.0 else math.nan,
    }
