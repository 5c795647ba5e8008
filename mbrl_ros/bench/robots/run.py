"""Run one cell of the bench and return its numbers.

A run holds for HOLD_TIME seconds from nothing, then goes to its targets, SLOT_TIME seconds each. A target is reached
when the tip stays within 1 cm to the end of its slot; its rest error is the median over the end of the slot
(demo/metrics.py). A payload is fastened in the first slot and taken off in the last one, each LOAD_AFTER into it, when
the arm is at rest.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...demo.metrics import REST_WINDOW, rest_error, settled
from ...simulation.plant_base import BasePlant
from ...types import Array
from .arms import ARMS
from .case import Case, prepare
from .conditions import CONDITIONS
from .controllers import build
from .loop import Loop
from .targets import HOLD_TIME, REST_TIME, SLOT_TIME

Numbers = dict[str, Any]
ON_LIMIT = 0.99  # of a velocity or command limit
LOAD_AFTER = SLOT_TIME - REST_TIME  # [s]
LATER = 0.4  # [s] into the first motion, where a lag or delay appears
FAR = 1.0  # [mm]: a rest error above this is explained
SINGULAR = 0.3  # of how easily the tip moved in the first posture: below this a posture is nearly singular
STILL = 0.01  # [of the velocity limit]: an arm slower than this is at rest


@dataclass(frozen=True)
class Task:
    """One cell: which arm, interface, condition, controller and seed; and what differs from the usual."""

    arm: str
    interface: str
    condition: str
    controller: str
    seed: int
    targets: int = 2
    description: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> tuple[str, str, str, str, str]:
        """Where its numbers stand in the results."""
        return self.arm, self.interface, self.condition, self.controller, str(self.seed)


def attempt(task: Task) -> Numbers:
    """Run one task; what it raises is a result, too: `failed` is its traceback."""
    try:
        return run(task)
    except Exception as error:  # whatever a cell meets, the others run
        return {**_nothing(task), "cause": f"did not run: {error}", "failed": traceback.format_exc()}


def run(task: Task) -> Numbers:
    """Return the numbers of one run."""
    begin = time.perf_counter()
    case = prepare(
        ARMS[task.arm],
        CONDITIONS[task.condition],
        task.seed,
        task.targets,
        interface=task.interface,
        description=task.description,
        overrides=task.overrides,
    )
    condition = CONDITIONS[task.condition]
    controller = build(task.controller, case.robot, case.configuration, case.plant.settings)
    loop = Loop(case.plant, controller, case.configuration, lost_states=condition.lost_states)
    built = time.perf_counter()
    loop.until(HOLD_TIME)
    last = len(case.course.targets) - 1
    for i, target in enumerate(case.course.targets):
        loop.go_to(target)
        if condition.later and i == 0:
            loop.until(HOLD_TIME + LATER)
            change(case.plant, condition.later)
        end = HOLD_TIME + (i + 1) * SLOT_TIME
        if condition.loaded and i in (0, last):
            loop.until(end - SLOT_TIME + LOAD_AFTER)
            case.plant.set_payload(case.payload if i == 0 else 0.0)
        loop.until(end)
    return {
        **numbers(loop, case),
        "build_s": round(built - begin, 2),
        "run_s": round(time.perf_counter() - built, 2),
    }


def change(plant: BasePlant, later: Mapping[str, float]) -> None:
    """Give the drives another motor_lag [s] or command_delay [ticks]."""
    if "motor_lag" in later:
        plant.set_motor_lag((later["motor_lag"],))
    if "command_delay" in later:
        plant.delivery.set_delay(later["command_delay"])


def numbers(loop: Loop, case: Case) -> Numbers:
    """Return the numbers of a loop that has run."""
    tip, speed = np.array([row.tip for row in loop.rows]), np.array([row.speed for row in loop.rows])
    stamps = loop.dt * np.arange(len(tip), dtype=np.float64)
    ends, why = [of_target(loop, stamps, tip, i, target) for i, target in enumerate(case.course.targets)], ""
    if loop.lost_at is not None:
        why = f"{loop.cause} at {loop.lost_at:.3f} s"
    else:
        why = "; ".join(end["why"] for end in ends if end["why"])
    k = loop.spoke()
    spoke = None if k is None else loop.rows[k]
    errors = list(dict.fromkeys(loop.outputs.errors))
    rests = [end["rest_mm"] for end in ends]
    return {
        "reached": sum(end["reached"] for end in ends),
        "targets": len(ends),
        "rest_mm": None if None in rests else max(rests, default=0.0),
        "sag_mm": 1e3 * float(np.linalg.norm(tip[stamps < HOLD_TIME] - tip[0], axis=1).max()),
        "lost": loop.lost_at is not None,
        "speed_fraction": float(speed.max()),
        "outside_limits": loop.outputs.outside,
        "spoke_at_mm": None if spoke is None else 1e3 * spoke.away,
        "cause": "; ".join(filter(None, [why, *errors[:2]])),
        "spoke": "" if spoke is None else spoke.reasons.name or "unknown",
        "spoke_at_s": None if k is None else k * loop.dt,
        "warned": sum(bool(row.reasons) for row in loop.rows) / len(loop.rows),
        "lost_at_s": loop.lost_at,
        "rests_mm": rests,
        "motion_mm": max((end["motion_mm"] for end in ends if end["motion_mm"] is not None), default=None),
        "at_limit": float((speed.max(axis=1) > ON_LIMIT).mean()),
        "redrawn": case.course.redrawn,
        "payload_kg": case.payload,
        "errors": len(loop.outputs.errors),
    }


def of_target(loop: Loop, stamps: Array, tip: Array, i: int, target: Array) -> dict[str, Any]:
    """Return whether target `i` was reached, its rest error, the motion that remains, and what is wrong."""
    end = HOLD_TIME + (i + 1) * SLOT_TIME
    during = (stamps >= end - SLOT_TIME - 1e-9) & (stamps < end - 1e-9)
    if stamps[-1] < end - 2.0 * loop.dt:
        why = f"target {i + 1}: not run to its end"
        return {"reached": False, "rest_mm": None, "motion_mm": None, "why": why}
    error = np.linalg.norm(tip[during] - target, axis=1)
    rest, late = rest_error(stamps[during], error), during & (stamps >= end - REST_WINDOW)
    motion = 1e3 * float(np.linalg.norm(np.ptp(tip[late], axis=0)))
    reached, why = settled(stamps[during], error) is not None, ""
    if not reached or rest > FAR:
        why = f"target {i + 1}: {rest:.1f} mm away, {_motion(loop, np.flatnonzero(late).tolist())}"
    return {"reached": reached, "rest_mm": rest, "motion_mm": motion, "why": why}


def _motion(loop: Loop, ticks: list[int]) -> str:
    """Say what the arm does during `ticks`: whether it rests, is nearly singular, and which commands are at limits."""
    speed = max(float(loop.rows[k].speed.max()) for k in ticks)
    command = np.mean([loop.rows[k].command > ON_LIMIT for k in ticks], axis=0)
    words = ["at rest" if speed < STILL else f"moving at up to {speed:.2f} of the limit"]
    if loop.ease(loop.rows[ticks[-1]].q) < SINGULAR * loop.ease(loop.rows[0].q):
        words.append("near a singular posture")
    full = [name for name, share in zip(loop.controller.robot.joints, command, strict=True) if share > 0.5]
    return ", ".join([*words, *([f"full command on {' and '.join(full)}"] if full else [])])


def _nothing(task: Task) -> Numbers:
    """Return the numbers of a run that was none."""
    return {
        "reached": 0,
        "targets": task.targets,
        "rest_mm": None,
        "sag_mm": None,
        "lost": False,
        "speed_fraction": None,
        "outside_limits": 0,
        "spoke_at_mm": None,
    }
