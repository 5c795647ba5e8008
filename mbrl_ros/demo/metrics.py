"""The numbers of one run, from what the plant and the controller recorded. All errors are of the true state.

A target's error is the distance of the true end effector to it. It is reached at the first moment from which on the
error stays within 1 cm until its slot ends (or the payload comes); its rest error is the median over the slot's last
`REST_WINDOW` seconds.
"""

from __future__ import annotations

import numpy as np

from ..types import Array
from .scenario import Scenario, Slot

REACHED = 0.01  # [m]
REST_WINDOW = 0.75  # [s]


def summarise(scenario: Scenario, robot, truth: dict[str, Array], control: dict[str, Array], *, rate_hz: float,
              horizon: int, estimator: str) -> dict:
    """summary.json as a dictionary. `truth` and `control` are the logs of the plant and of the controller: stamp (T,)
    in seconds since the start, tip (T, 3), qd (T, n), features (T, m), u (T, nu), nis (T,), ... (simulation/episode.py)."""
    points, images = scenario.slots_of("point"), scenario.slots_of("features")
    return {
        "seed": scenario.seed, "rate_hz": rate_hz, "horizon": horizon, "estimator": estimator,
        "targets": [_target(slot, scenario, truth, control) for slot in points],
        "feature_targets": [{"final_error_fraction": _image_error(slot, truth)} for slot in images],
        "payload": _payload(scenario, truth),
        "max_joint_speed_fraction": float(np.max(np.abs(truth["qd"]) / robot.velocity_limit)),
        "limit_violations": _violations(robot, control["u"]),
        "ticks": {"count": int(control["stamp"].size), "missed": int(control["missed"][-1]),
                  "compute_ms": _percentiles(control["compute_ms"]), "period_us": _percentiles(control["period_us"])},
        "message_to_command_ms": _percentiles(control["latency_ms"]),
        "prediction": _prediction(control)}


def tip_error(slot: Slot, truth: dict[str, Array]) -> tuple[Array, Array]:
    """(stamps, distance to the target [m]) during a slot."""
    during = (truth["stamp"] >= slot.start) & (truth["stamp"] < slot.end)
    return truth["stamp"][during], np.linalg.norm(truth["tip"][during] - slot.value, axis=1)


def _target(slot: Slot, scenario: Scenario, truth, control) -> dict:
    stamps, error = tip_error(slot, truth)
    if scenario.payload_time is not None and slot.start < scenario.payload_time < slot.end:
        stamps, error = stamps[stamps < scenario.payload_time], error[stamps < scenario.payload_time]
    at = min(np.searchsorted(control["stamp"], slot.start + 0.05), control["stamp"].size - 1)
    reached = settled(stamps, error)
    return {"time_to_1cm_s": None if reached is None else reached - float(control["reference_end"][at]),
            "rest_error_mm": rest_error(stamps, error)}


def _payload(scenario: Scenario, truth) -> dict | None:
    if scenario.payload_time is None:
        return None
    slot = next(s for s in scenario.slots if s.start <= scenario.payload_time < s.end)
    stamps, error = tip_error(slot, truth)
    after = stamps >= scenario.payload_time
    reached = settled(stamps[after], error[after])
    return {"mass_kg": scenario.payload_kg, "bump_mm": 1e3 * float(error[after].max()),
            "recover_to_1cm_s": None if reached is None else reached - scenario.payload_time,
            "rest_error_mm": rest_error(stamps, error)}


def settled(stamps: Array, error: Array, bound: float = REACHED) -> float | None:
    """The first stamp from which on error <= bound until the end; None if it never stays."""
    outside = np.flatnonzero(error > bound)
    if outside.size == 0:
        return float(stamps[0])
    return float(stamps[outside[-1] + 1]) if outside[-1] + 1 < stamps.size else None


def rest_error(stamps: Array, error: Array) -> float:
    """Median error over the last REST_WINDOW seconds [mm]."""
    return 1e3 * float(np.median(error[stamps >= stamps[-1] - REST_WINDOW]))


def _image_error(slot: Slot, truth) -> float:
    """Median distance to the target over the slot's last half second, over the image's width (= 2 coordinate units)."""
    stamp = truth["stamp"]
    last = (stamp >= slot.end - 0.5) & (stamp < slot.end)
    return float(np.median(np.linalg.norm(truth["features"][last] - slot.value, axis=1)) / 2.0)


def _violations(robot, u: Array) -> int:
    """Commands that are not finite or outside their limits."""
    inside = np.isfinite(u) & (u >= robot.command_lower) & (u <= robot.command_upper)
    return int((~inside.all(axis=1)).sum())


def _prediction(control) -> dict:
    """One-step error of the velocities over that of "no change", and how often the NIS kept its 95 % bound."""
    known = np.isfinite(control["nis"])
    change = np.diff(control["qd"], axis=0)[known[1:]]
    error = control["innovation"][1:][known[1:]]
    return {"nmse_qd": float((error**2).sum() / (change**2).sum()) if change.size else None,
            "nis_coverage_95": float((control["nis"][known] <= control["nis_bound"][known]).mean())
            if known.any() else None}


def _percentiles(values: Array) -> dict:
    values = values[np.isfinite(values)]
    if not values.size:
        return {"p50": None, "p99": None, "max": None}
    return {"p50": float(np.median(values)), "p99": float(np.percentile(values, 99)), "max": float(values.max())}
