"""One recording as values: the states, the commands, and what had to be repaired.

Sample k is the state x_k = [q_k; qd_k] at stamp t_k and the command u_k in effect during [t_k, t_k+1): a command held
until the next one where the recording is sampled at its own rate, the mean over the interval where it is resampled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataError
from ..types import Array, Transition

# Samples further apart than this many periods are not one transition.
GAP = 1.5
# Fastest rate at which recordings are used unless asked otherwise [Hz]; it is the controller's default rate.
FASTEST_SAMPLING = 200.0


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """What the user knows of a recording; what is left empty is found out.

    Attributes
    ----------
    columns : the column map of a table (tables.py)
    topic, command_topic : of a bag
    joints : which joints of a bag, in this order
    """

    columns: str = ""
    topic: str = ""
    command_topic: str = ""
    joints: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Recording:
    """T samples of n joints.

    Attributes
    ----------
    name : of the file
    joints : names, in the order of the columns
    stamps : (T,) [s] from the first sample on
    q : (T, n) [rad or m]
    qd : (T, n) [rad/s or m/s]
    u : (T, n) commands, or None
    u_source : where u was found
    interface : what u means: effort, velocity or position; an effort may be in any unit proportional to it, such as a
        motor current
    counts : how often each kind of defect was met
    notes : sentences for the user
    """

    name: str
    joints: tuple[str, ...]
    stamps: Array
    q: Array
    qd: Array
    u: Array | None
    u_source: str = ""
    interface: str = "effort"
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def period(self) -> float:
        """The median distance of two samples [s]."""
        return float(np.median(np.diff(self.stamps)))

    @property
    def duration(self) -> float:
        """From the first to the last sample [s]."""
        return float(self.stamps[-1] - self.stamps[0])

    def joined(self) -> NDArray[np.bool_]:
        """Return whether samples k and k+1 are one period apart, (T-1,)."""
        apart = np.diff(self.stamps) / self.period
        return (apart < GAP) & (apart > 2.0 - GAP)

    def transitions(self) -> Iterator[Transition]:
        """Yield every transition of one period. Without commands u is zero."""
        u = np.zeros_like(self.q) if self.u is None else self.u
        x = np.hstack([self.q, self.qd])
        for k in np.flatnonzero(self.joined()):
            yield Transition(float(self.stamps[k]), x[k], u[k], x[k + 1])

    def without_u(self) -> Recording:
        """Return the recording without its commands."""
        return dataclasses.replace(self, u=None, u_source="")

    def resampled(self, rate: float | None = None) -> Recording:
        """Return the recording at `rate` [Hz], or if None at its own rate but no faster than FASTEST_SAMPLING.

        Causal and unsmoothed in the state: each sample is the newest one not later than its time, as a controller
        would see it. u is averaged over the interval it acts in, which is what moves the joints.
        """
        recorded = 1.0 / self.period
        rate = min(recorded, FASTEST_SAMPLING) if rate is None else rate
        if rate > 1.01 * recorded:
            raise DataError(f"{self.name} was sampled at {recorded:.4g} Hz and cannot be resampled to {rate:.4g} Hz")
        step = max(1, round(recorded / rate))
        if step == 1:
            return self
        kept: list[int] = []
        apart = np.diff(self.stamps)
        broken = np.concatenate([[0], np.flatnonzero(apart > GAP * self.period) + 1, [len(self.stamps)]])
        for begin, end in zip(broken[:-1], broken[1:], strict=True):
            kept.extend(range(begin, end - step + 1, step))
        keep = np.array(kept, dtype=np.int64)
        if len(keep) < 3:
            raise DataError(f"{self.name} holds less than three samples at {rate:.4g} Hz")
        u = None if self.u is None else np.array([self.u[k : k + step].mean(axis=0) for k in keep])
        return dataclasses.replace(
            self,
            stamps=self.stamps[keep],
            q=self.q[keep],
            qd=self.qd[keep],
            u=u,
            notes=(*self.notes, f"every {step}th sample used ({recorded / step:.4g} Hz), u averaged"),
        )

    def delayed(self, ticks: float) -> Recording:
        """Return the recording with the commands that act: u(t - d) to first order, for a delay d of `ticks` [periods].

        Samples for which that is not known, at the beginning and behind a gap, are left out.
        """
        if self.u is None or ticks == 0.0:
            return self
        whole, share = int(ticks), ticks - int(ticks)
        lags = whole + (share > 0.0)
        together = np.concatenate([[0], np.cumsum(~self.joined())])  # number of the stretch without a gap
        k = np.arange(lags, len(self.stamps))
        k = k[together[k] == together[k - lags]]
        u = (1.0 - share) * self.u[k - whole] + share * self.u[k - lags]
        return dataclasses.replace(self, stamps=self.stamps[k], q=self.q[k], qd=self.qd[k], u=u)

    def part(self, begin: float, end: float) -> Recording:
        """Return the samples with begin <= stamp < end [s]."""
        inside = (self.stamps >= begin) & (self.stamps < end)
        return dataclasses.replace(
            self,
            stamps=self.stamps[inside],
            q=self.q[inside],
            qd=self.qd[inside],
            u=None if self.u is None else self.u[inside],
        )

    def summary(self) -> str:
        """Describe the recording in a few lines for the user."""
        lines = [
            f"{self.name}: {len(self.stamps)} samples of {len(self.joints)} joints, {self.duration:.1f} s at "
            f"{1.0 / self.period:.4g} Hz; u: {self.u_source or 'none'}"
        ]
        lines += [f"  {what}: {count}" for what, count in self.counts.items() if count]
        return "\n".join(lines + [f"  {note}" for note in self.notes])
