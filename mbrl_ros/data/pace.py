"""How far positions move over how far velocities and stamps tell: 1 where clock and units are right."""

from __future__ import annotations

import numpy as np

from ..types import Array

PACE_WINDOW = 0.2  # [s] over which positions and velocities are compared
STILL_NOISE = 0.005  # [rad or m] of motion in that time that may be noise
FEWEST_STEPS = 20  # below which nothing is said
MOVING_SHARE = 0.1  # of the distance in a fast window, above which a window counts


def pace(stamps: Array, q: Array, qd: Array) -> float | None:
    """Return the ratio of the distance by positions to that by velocities; None where nothing moves.

    Over windows of PACE_WINDOW, so that noise and positions that are updated more rarely than velocities average out:
    with dq and dq' the changes of the positions by themselves and by the velocities,

        pace = median over the windows of dq . dq' / dq' . dq'

    where only the windows in which the robot moves count: at rest the ratio is one of noise to noise, and a sensor that
    holds its value at rest would make it zero. Steps over gaps and those that are not finite are left out.

    Parameters
    ----------
    stamps : (T,) [s]
    q, qd : (T, n)
    """
    step = np.diff(stamps)[:, None]
    travelled = 0.5 * (qd[1:] + qd[:-1]) * step
    moved = np.diff(q, axis=0)
    usable = np.isfinite(travelled).all(axis=1) & np.isfinite(moved).all(axis=1) & (step[:, 0] > 0.0)
    usable &= step[:, 0] < 10.0 * np.median(np.abs(step))
    moved, travelled, step = moved[usable], travelled[usable], step[usable]
    if len(moved) < FEWEST_STEPS:
        return None
    width = max(1, round(PACE_WINDOW / max(float(np.median(step)), 1e-9)))
    starts = np.arange(0, len(moved), width)
    moved, travelled = (np.add.reduceat(part, starts, axis=0) for part in (moved, travelled))
    if max(np.abs(moved).max(), np.abs(travelled).max()) < STILL_NOISE:
        return None
    distance = np.linalg.norm(travelled, axis=1)
    moving = distance > max(MOVING_SHARE * float(np.percentile(distance, 95.0)), 1e-12)
    if not moving.any():
        return None
    return float(np.median((moved * travelled).sum(axis=1)[moving] / distance[moving] ** 2))
