"""From raw samples to a Recording: defects are repaired or dropped, counted and named.

Stamps must rise: of samples with the same stamp the first stays, samples that step backward are dropped. Samples with
a NaN are dropped. A sample that repeats the one before in every measured value, to the last bit, is an old message
sent again: it is dropped, since its stamp is not when it was measured. Angles that wrap are unwrapped, unless
the velocity explains the jump.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataError
from ..types import Array
from .pace import pace
from .recording import GAP, Recording
from .unwrapping import whole_turns

FEWEST_ROWS = 20  # samples below which a recording is of no use
# The clock of the positions may differ from the stamps by this factor before it is worth a note.
CLOCK_TOLERANCE = 1.02


def cleaned(
    name: str,
    joints: tuple[str, ...],
    stamps: Array,
    q: Array,
    qd: Array | None,
    u: Array | None,
    *,
    u_source: str = "",
    interface: str = "effort",
    counts: dict[str, int] | None = None,
    notes: tuple[str, ...] = (),
) -> Recording:
    """Make a Recording of raw samples.

    Parameters
    ----------
    stamps : (T,) [s]
    q, qd, u : (T, n); qd None: q is differentiated; u None: without commands
    counts, notes : what was met already while reading

    Raises
    ------
    DataError : too little is left
    """
    counts, remarks = dict(counts or {}), list(notes)
    if u is not None and not np.isfinite(u).all(axis=1).any():
        u = None
        remarks.append(f"{u_source} holds no finite value: evaluated without commands")
    columns = [part for part in (q, qd, u) if part is not None]
    order = _usable(stamps, columns, counts)
    if len(order) < FEWEST_ROWS:
        raise DataError(
            f"{name} holds {len(order)} usable samples; at least {FEWEST_ROWS} are needed. "
            f"Met: { {what: count for what, count in counts.items() if count} or 'no defect' }"
        )
    stamps, q = stamps[order] - stamps[order[0]], q[order]
    qd = None if qd is None else qd[order]
    q, counts["wrapped angles unwrapped"] = unwrapped(stamps, q, qd)
    if qd is None:
        qd = np.vstack([np.zeros(q.shape[1]), np.diff(q, axis=0) / np.diff(stamps)[:, None]])
        remarks.append("no velocities in the recording: positions were differentiated backward")
    else:
        remarks += _clock(stamps, q, qd)
    if u is None:
        remarks += [] if u_source else ["no commands in the recording"]
    else:
        u = u[order]
        remarks += _constant(u, joints, u_source)
        if np.ptp(u, axis=0).max() == 0.0:
            u = None
            remarks.append(f"{u_source} never changes: evaluated without commands")
    counts["gaps"] = int((np.diff(stamps) > GAP * np.median(np.diff(stamps))).sum())
    return Recording(
        name, joints, stamps, q, qd, u, u_source if u is not None else "", interface, counts, tuple(remarks)
    )


def _usable(stamps: Array, columns: list[Array], counts: dict[str, int]) -> NDArray[np.int64]:
    """Return the indices of the samples that can be used, and count the others by their defect."""
    finite = np.isfinite(stamps) & np.all([np.isfinite(part).all(axis=1) for part in columns], axis=0)
    counts["samples with NaN or infinite values dropped"] = int((~finite).sum())
    order = np.flatnonzero(finite)
    rising, duplicate, backward = _rising(stamps[order])
    counts["duplicated stamps dropped"], counts["backward stamps dropped"] = duplicate, backward
    order = order[rising]
    fresh = _fresh([part[order] for part in columns])
    counts["repeated messages dropped"] = int((~fresh).sum())
    return order[fresh]


def unwrapped(stamps: Array, q: Array, qd: Array | None) -> tuple[Array, int]:
    """Return q (T, n) without jumps of whole turns, and how many there were.

    A jump is a change of more than half a turn that the velocity over the interval does not explain.
    """
    step = np.diff(q, axis=0)
    expected = 0.0 if qd is None else 0.5 * (qd[1:] + qd[:-1]) * np.diff(stamps)[:, None]
    turns = whole_turns(step, expected)
    return np.vstack([q[:1], q[1:] - 2.0 * np.pi * np.cumsum(turns, axis=0)]), int(np.count_nonzero(turns))


def time_unit(stamps: Array, q: Array, qd: Array) -> float:
    """Infer which of 1, 1e-3, 1e-6, 1e-9 s one unit of `stamps` (T,) is, from q, qd (T, n); 1 if they do not tell."""
    moved = np.diff(q, axis=0)
    mean = 0.5 * (qd[1:] + qd[:-1])
    usable = np.isfinite(moved).all(1) & np.isfinite(mean).all(1) & (np.abs(moved).max(1) < 1.0)
    usable &= np.diff(stamps) > 0.0
    travelled = (mean * np.diff(stamps)[:, None])[usable]
    scale = (moved[usable] * travelled).sum() / max((travelled**2).sum(), 1e-300)
    if scale <= 0.0:
        return 1.0
    return float(10.0 ** (3 * np.clip(np.round(np.log10(scale) / 3.0), -3, 0)))


def _rising(stamps: Array) -> tuple[NDArray[np.int64], int, int]:
    """Return the indices of the samples kept, and how many were duplicated and backward."""
    kept, duplicate, backward, newest = [], 0, 0, -np.inf
    for k, stamp in enumerate(stamps):
        if stamp > newest:
            kept.append(k)
            newest = stamp
        elif stamp == newest:
            duplicate += 1
        else:
            backward += 1
            if backward > 10 and backward > len(kept):
                raise DataError("most stamps run backward; sort the recording or check its time column")
    return np.array(kept, dtype=np.int64), duplicate, backward


def _fresh(columns: list[Array]) -> NDArray[np.bool_]:
    """Return (T,) False where a sample repeats the one before in everything; rest without noise is no repetition."""
    same = np.all([(part[1:] == part[:-1]).all(axis=1) for part in columns], axis=0)
    moving = np.zeros(len(same), dtype=bool) if len(columns) < 2 else np.abs(columns[1][1:]).max(axis=1) > 0.0
    return np.concatenate([[True], ~(same & moving)])


def _clock(stamps: Array, q: Array, qd: Array) -> list[str]:
    """Return a note if positions move at another pace than velocities and stamps tell."""
    if not qd.any():
        return ["velocities are zero throughout"] if (np.diff(q, axis=0) != 0.0).any() else []
    ratio = pace(stamps, q, qd)
    if ratio is None or 1.0 / CLOCK_TOLERANCE < ratio < CLOCK_TOLERANCE:
        return []
    return [f"positions move {ratio:.3f} times as far as velocities and stamps tell: the clock or the units are off"]


def _constant(u: Array, joints: tuple[str, ...], source: str) -> list[str]:
    still = [joint for joint, width in zip(joints, np.ptp(u, axis=0), strict=True) if width == 0.0]
    return [f"{source} is constant for {', '.join(still)}"] if still and len(still) < len(joints) else []
