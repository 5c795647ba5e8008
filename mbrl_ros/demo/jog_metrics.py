r"""Compute how soon the true arm answers a change of a stream of velocities, and how smooth its reference is.

A change is the first message of a slot, at t_0 [s]: a stream that begins or turns back. With the true joint velocities
qd(t) and their mean w over the last AT_END of the slot, the arm has answered at the first t > t_0 with

    (qd(t) - qd(t_0)) . (w - qd(t_0)) >= ANSWERED |w - qd(t_0)|^2,

and the latency is t - t_0. Without such a t in the slot, or without motion, there is none. The jerk of the reference is
its third difference, which for a motion within the jerk limit never exceeds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config.sections.references import ReferenceSettings
from ..robots import Robot
from ..scenarios.scenario import Scenario
from .metrics import Log, percentiles

ANSWERED = 0.1  # of the change of the velocity
AT_END = 0.2  # [s] of a slot
LEAST_CHANGE = 1e-3  # of the velocity limits: a smaller change is no motion


def jogged(
    scenario: Scenario,
    robot: Robot,
    truth: Log,
    control: Log,
    sent: Sequence[tuple[float, int]],
    settings: ReferenceSettings,
) -> dict[str, Any]:
    """Return the entry `jog` of summary.json; `sent` as of JogStream."""
    latencies = np.array([_latency(t, scenario.slots[number].end, robot, truth) for t, number in sent])
    limit = settings.jerk_fraction * robot.jerk_limit
    period = float(np.median(np.diff(control["stamp"])))
    jerk = np.abs(np.diff(control["reference_q"], 3, axis=0)) / period**3
    return {
        "changes": len(scenario.slots),
        "answered": int(np.isfinite(latencies).sum()),
        "latency_ms": percentiles(1e3 * latencies),
        "jerk_share": float((jerk / limit).max()) if len(jerk) else 0.0,
    }


def _latency(begun: float, end: float, robot: Robot, truth: Log) -> float:
    """Return how long [s] the true arm takes to answer a change at `begun`, in a slot until `end` [s]; NaN: never."""
    stamps, speeds = truth["stamp"], truth["qd"] / robot.velocity_limit
    during = (stamps >= begun - 1e-9) & (stamps < end - 1e-9)
    if during.sum() < 2:
        return float("nan")
    t, v = stamps[during], speeds[during]
    change = v[t >= t[-1] - AT_END].mean(axis=0) - v[0]
    size = float(change @ change)
    answered = np.flatnonzero((v - v[0]) @ change >= ANSWERED * size)
    if size < LEAST_CHANGE**2 or not answered.size:
        return float("nan")
    return float(t[answered[0]] - begun)
