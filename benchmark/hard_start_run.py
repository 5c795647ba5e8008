"""One run of hard_starts.py: the plant and the node's control loop in lockstep, in one process, without ROS."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from hard_start_cases import CONDITIONS, FAULTS, PAYLOADS, Fault, prepare

from mbrl_ros.bench.robots.case import Case
from mbrl_ros.bench.robots.loop import Loop
from mbrl_ros.bench.robots.run import ON_LIMIT, of_target
from mbrl_ros.bench.robots.targets import HOLD_TIME, SLOT_TIME
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.safety.state_machine import Request, State
from mbrl_ros.types import Array

AFTER_FAULT = 2.0  # [s] the run goes on
REST = 0.2  # [s] at the end of a forced fault in which the arm must be at rest


def run(
    arm: str,
    name: str,
    seed: int,
    *,
    interface: str = "effort",
    targets: int = 2,
    told: bool = True,
    description: str = "",
    overrides: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the numbers of one run: `name` is the condition."""
    begin = time.perf_counter()
    condition = CONDITIONS[name]
    case = prepare(
        arm,
        condition,
        seed,
        1 if condition.fault else targets,
        interface=interface,
        description=description,
        overrides=overrides,
    )
    controller = build_controller(case.robot, case.configuration)
    r = Loop(case.plant, controller, case.configuration, told=told)
    built = time.perf_counter()
    result = {"arm": arm, "condition": name, "seed": seed, "interface": interface}
    r.until(HOLD_TIME if condition.fault != "start" else FAULTS["start"].at)
    if condition.fault:
        result.update(_forced(r, case, FAULTS[condition.fault], PAYLOADS[arm]))
    else:
        for target in case.course.targets:
            r.go_to(target)
            r.until(r.t + SLOT_TIME - 1e-6)
    tip, speed, state = column(r, "tip"), column(r, "speed"), column(r, "state")
    stamps = r.dt * np.arange(len(tip))
    result.update(_targets(r, stamps, tip, case.course.targets[:0] if condition.fault else case.course.targets))
    result.update(
        sag_mm=1e3 * float(np.linalg.norm(tip[stamps < HOLD_TIME] - tip[0], axis=1).max()),
        fastest=float(speed.max()),
        at_limit=float((speed.max(axis=1) > ON_LIMIT).mean()),
        lost=r.lost_at is not None,
        lost_at=r.lost_at,
        cause=r.cause,
        outside=r.outputs.outside,
        states={State(s).name: float((state == s).mean()) for s in np.unique(state)},
        errors=r.outputs.errors,
        build_s=built - begin,
        run_s=time.perf_counter() - built,
    )
    return result


def column(r: Loop, name: str) -> Array:
    """Return one entry of every tick."""
    return np.array([getattr(row, name) for row in r.rows])


def _targets(r: Loop, stamps: Array, tip: Array, targets: Array) -> dict[str, Any]:
    """Return how many of the targets (k, 3) were held to the end of their slots, and their rest errors."""
    ends = [of_target(r, stamps, tip, i, target) for i, target in enumerate(targets)]
    return {
        "targets": len(ends),
        "reached": sum(end["reached"] for end in ends),
        "rest_mm": [end["rest_mm"] for end in ends],
    }


def _forced(r: Loop, case: Case, fault: Fault, payload: float) -> dict[str, Any]:
    """Force a fault (an emergency stop calls for the same safe command) and measure what the arm does afterwards."""
    at = fault.at
    if at != r.t:
        r.go_to(case.course.targets[0])
        if at is None:
            r.until(r.t + 0.05)
            at = 0.5 * (HOLD_TIME + r.controller.reference_end)
    if fault.loaded is not None:
        r.until(fault.loaded)
        case.plant.set_payload(payload)
    r.until(at)
    if r.lost_at is not None:
        return {"forced": None}
    entry, truth = r.k, case.plant.truth
    braking = _braking(case, truth.q, truth.qd)
    r.cycle.request(Request.E_STOP)
    end = r.t + AFTER_FAULT
    if fault.lost_after is not None:
        r.until(r.t + fault.lost_after)
        case.plant.set_payload(0.0)
        end += fault.lost_after
    r.until(end)
    tip, speed = column(r, "tip")[entry:], column(r, "speed")[entry:].max(axis=1)
    travel = float(np.linalg.norm(tip - tip[0], axis=1).max())
    return {
        "forced": {
            "at": round(entry * r.dt, 6),
            "entry_speed": float(speed[0]),
            "rise": float(speed.max() - speed[0]),
            "travel_mm": 1e3 * travel,
            "beyond_mm": 1e3 * (travel - braking),
            "rest_speed": float(speed[-round(REST / r.dt) :].max()),
        }
    }


def _braking(case: Case, q: Array, qd: Array) -> float:
    """Return how far the tip gets [m] when every joint brakes with its acceleration limit."""
    robot, kinematics = case.robot, Kinematics(case.robot)
    stop = np.abs(qd) / robot.acceleration_limit
    t = np.minimum(np.linspace(0.0, max(stop.max(), 1e-6), 100)[:, None], stop)
    path = kinematics.positions(q + qd * t - 0.5 * np.sign(qd) * robot.acceleration_limit * t**2)
    return float(np.linalg.norm(path - path[0], axis=1).max())
