"""Compute the numbers of one run from what the plant and the controller recorded. All errors are of the true state.

The error of a target is the distance of the true end effector to it. The target is reached at the first time from which
on the error stays within the tolerance (1 cm, less for a small arm) until its slot ends (or the payload comes); its
rest error is the median over the last `REST_WINDOW` seconds of the slot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robots import Robot
from ..safety.state_machine import Reason, State
from ..scenarios.scenario import Scenario, Slot
from ..types import Array

Log = dict[str, Array]  # columns of a table of ticks
Flags = NDArray[np.bool_]
REACHED = 0.01  # [m]
REST_WINDOW = 0.75  # [s]
LOST = (State.FAULT, State.E_STOP)


def summarise(
    scenario: Scenario,
    robot: Robot,
    truth: Log,
    control: Log,
    *,
    rate_hz: float,
    horizon: int,
    estimator: str,
) -> dict[str, Any]:
    """Return summary.json as a dictionary.

    Parameters
    ----------
    scenario, robot
        What was run.
    truth, control
        Logs of the plant and of the controller: stamp (T,) [s] since the start, tip (T, 3) [m], qd (T, n), features
        (T, m), u (T, nu), nis (T,), ... (nodes/simulation.py, nodes/tick_table.py).
    rate_hz, horizon, estimator
        Of the controller.

    Returns
    -------
    dict
        Numbers; None for parts that a run that ended early did not reach.
    """
    points, images = scenario.slots_of("point"), scenario.slots_of("features")
    return {
        "seed": scenario.seed,
        "rate_hz": rate_hz,
        "horizon": horizon,
        "estimator": estimator,
        "tolerance_mm": 1e3 * scenario.tolerance,
        "targets": [_target(slot, scenario, truth, control) for slot in points],
        "feature_targets": [
            {"final_error_fraction": _image_error(slot, truth), "start_s": slot.start} for slot in images
        ],
        "payload": _payload(scenario, truth),
        "max_joint_speed_fraction": float(np.max(np.abs(truth["qd"]) / robot.velocity_limit)),
        "limit_violations": _violations(robot, control["u"]),
        "ticks": {
            **_ticks(truth, control),
            "compute_ms": percentiles(control["compute_ms"]),
            "period_us": percentiles(control["period_us"]),
        },
        "message_to_command_ms": percentiles(control["latency_ms"]),
        "prediction": _prediction(control),
        "supervisor": _supervisor(truth, control),
        "moments": {
            "fastest_s": float(truth["stamp"][np.argmax(np.max(np.abs(truth["qd"]) / robot.velocity_limit, axis=1))]),
            "outside_s": _first(control["stamp"], ~_inside(robot, control["u"])),
        },
    }


def lost_at(control: Log) -> float | None:
    """Return when the supervisor stopped the arm for good: the first stamp in FAULT or E_STOP, None without one."""
    return _first(control["stamp"], np.isin(control["state"], LOST))


def until(stamp: float, log: Log) -> Log:
    """Return the rows of a log up to `stamp` [s]."""
    kept = log["stamp"] <= stamp
    return {name: array[kept] if array.ndim and len(array) == len(kept) else array for name, array in log.items()}


def tip_error(slot: Slot, truth: Log) -> tuple[Array, Array]:
    """Return stamps [s] and distances to the target [m] during a slot."""
    during = (truth["stamp"] >= slot.start) & (truth["stamp"] < slot.end)
    return truth["stamp"][during], np.linalg.norm(truth["tip"][during] - slot.value[:3], axis=1)


def answered(truth: Log, control: Log) -> Log:
    """Return the controller's log up to its answer to the plant's last state.

    After that no states come; what the controller does then does not belong to the run.
    """
    at = int(np.searchsorted(control["stamp"], truth["stamp"][-1] - 1e-6)) + 1 if truth["stamp"].size else 0
    return {
        name: array[:at] if array.ndim and len(array) == len(control["stamp"]) else array
        for name, array in control.items()
    }


def _target(slot: Slot, scenario: Scenario, truth: Log, control: Log) -> dict[str, Any]:
    stamps, error = tip_error(slot, truth)
    end = slot.end
    if scenario.payload_time is not None and slot.start < scenario.payload_time < slot.end:
        end = scenario.payload_time
        stamps, error = stamps[stamps < end], error[stamps < end]
    if not lasted(end, truth):
        return {"time_to_1cm_s": None, "rest_error_mm": None, "start_s": slot.start}
    at = min(int(np.searchsorted(control["stamp"], slot.start + 0.05)), control["stamp"].size - 1)
    reached = settled(stamps, error, scenario.tolerance)
    return {
        "time_to_1cm_s": None if reached is None else reached - float(control["reference_end"][at]),
        "rest_error_mm": rest_error(stamps, error),
        "start_s": slot.start,
    }


def _payload(scenario: Scenario, truth: Log) -> dict[str, Any] | None:
    if scenario.payload_time is None:
        return None
    slot = next(s for s in scenario.slots if s.start <= scenario.payload_time < s.end)
    if not lasted(slot.end, truth):
        return {
            "mass_kg": scenario.payload_kg,
            "bump_mm": None,
            "recover_to_1cm_s": None,
            "rest_error_mm": None,
            "start_s": scenario.payload_time,
        }
    stamps, error = tip_error(slot, truth)
    after = stamps >= scenario.payload_time
    reached = settled(stamps[after], error[after], scenario.tolerance)
    return {
        "mass_kg": scenario.payload_kg,
        "bump_mm": 1e3 * float(error[after].max()),
        "recover_to_1cm_s": None if reached is None else reached - scenario.payload_time,
        "rest_error_mm": rest_error(stamps, error),
        "start_s": scenario.payload_time,
    }


def lasted(end: float, truth: Log) -> bool:
    """Return whether the run lasted until `end` [s], within two ticks."""
    stamp = truth["stamp"]
    return stamp.size > 1 and bool(stamp[-1] >= end - 2.5 * (stamp[1] - stamp[0]))


def settled(stamps: Array, error: Array, bound: float = REACHED) -> float | None:
    """Return the first stamp from which on error <= bound [m] until the end; None if there is none."""
    outside = np.flatnonzero(error > bound)
    if outside.size == 0:
        return float(stamps[0])
    return float(stamps[outside[-1] + 1]) if outside[-1] + 1 < stamps.size else None


def rest_error(stamps: Array, error: Array) -> float:
    """Return the median error over the last REST_WINDOW seconds [mm]."""
    return 1e3 * float(np.median(error[stamps >= stamps[-1] - REST_WINDOW]))


def _image_error(slot: Slot, truth: Log) -> float | None:
    """Return the median distance to the target in the last half second, over the image's width (2 units)."""
    if not lasted(slot.end, truth):
        return None
    stamp = truth["stamp"]
    last = (stamp >= slot.end - 0.5) & (stamp < slot.end)
    return float(np.median(np.linalg.norm(truth["features"][last] - slot.value, axis=1)) / 2.0)


def _violations(robot: Robot, u: Array) -> int:
    """Count the commands that are not finite or outside their limits."""
    return int((~_inside(robot, u)).sum())


def _inside(robot: Robot, u: Array) -> Flags:
    """Return (T,) whether a command is finite and inside its limits."""
    inside: Flags = np.isfinite(u) & (u >= robot.command_lower) & (u <= robot.command_upper)
    return np.asarray(inside.all(axis=1))


def _first(stamps: Array, where: Flags) -> float | None:
    """Return the first stamp where `where` (T,) is true; None if nowhere."""
    found = np.flatnonzero(where)
    return float(stamps[found[0]]) if found.size else None


def _ticks(truth: Log, control: Log) -> dict[str, Any]:
    """Return count, missed (no state came in time), late (answered a period late or more) and late_fraction.

    late_fraction is the share of the ticks that were missed or late, or of the plant's periods that passed without a
    new command, whichever is larger.
    """
    count, missed = int(control["stamp"].size), int(control["missed"][-1])
    late = int((control["late"] >= 1.0).sum()) if "late" in control else 0
    held = float(truth["held"][-1]) / truth["stamp"].size if "held" in truth else 0.0
    return {
        "count": count,
        "missed": missed,
        "late": late,
        "late_fraction": max((missed + late) / (count + missed), held),
    }


def _supervisor(truth: Log, control: Log) -> dict[str, Any]:
    """Return the supervisor's state and cause when the arm was lost, else those of the last tick.

    since_s: since when in that state; lost_s: when the arm was lost; tip_moved_mm: how far the tip moved after that.
    """
    state, stamps = control["state"].astype(int), control["stamp"]
    lost = lost_at(control)
    at = state.size - 1 if lost is None else int(np.flatnonzero(stamps == lost)[0])
    begun = at - int(np.argmax(state[at::-1] != state[at])) + 1 if (state[:at] != state[at]).any() else 0
    moved = None
    if lost is not None:
        after = truth["tip"][truth["stamp"] >= lost - 1e-6]
        moved = 1e3 * float(np.linalg.norm(after - after[0], axis=1).max()) if len(after) else None
    return {
        "state": State(state[at]).name,
        "cause": names(Reason(int(control["cause"][at]))) if "cause" in control else "none",
        "since_s": float(stamps[begun]),
        "lost_s": lost,
        "tip_moved_mm": moved,
    }


def names(reasons: Reason) -> str:
    """Return the names of a sum of flags."""
    return ", ".join(str(reason.name) for reason in Reason if reason and reason in reasons) or "none"


def _prediction(control: Log) -> dict[str, float | None]:
    """Return the one-step error of the velocities over that of no change, and the share of NIS in their 95 % bound."""
    known = np.isfinite(control["nis"])
    change = np.diff(control["qd"], axis=0)[known[1:]]
    error = control["innovation"][1:][known[1:]]
    return {
        "nmse_qd": float((error**2).sum() / (change**2).sum()) if change.any() else None,
        "nis_coverage_95": float((control["nis"][known] <= control["nis_bound"][known]).mean())
        if known.any()
        else None,
    }


def percentiles(values: Array) -> dict[str, float | None]:
    """Return p50, p99 and the maximum of the finite ones of `values` (T,); None without any."""
    values = values[np.isfinite(values)]
    if not values.size:
        return {"p50": None, "p99": None, "max": None}
    return {"p50": float(np.median(values)), "p99": float(np.percentile(values, 99)), "max": float(values.max())}
