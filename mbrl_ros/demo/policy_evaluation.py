"""What a policy can do, measured in lockstep: unseen targets with the policy alone, and events it was not taught.

A target is reached within d if the true end effector stays within d of it over the last quarter second of its slot. An
injected event counts as noticed if the planner has taken over within `NOTICE` seconds; the command may not jump when it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from ..types import Array
from .environment import Environment

NOTICE = 0.5  # [s]
EVENTS = ("target behind the base", "arm torn away", "encoder jump", "velocity spike", "joint spun up")


def examine(
    make_room: Callable[[], Environment],
    targets: Array,
    slot: float,
    payload_kg: float,
    watch: Callable[[int], None] = lambda index: None,
) -> dict:
    """Visit every target (T, 3) with the policy alone. A target on whose way the planner took over counts as missed, and the
    policy is promoted again; where the supervisor stops the robot, a new room begins. watch(index) is told before each.
    """
    errors, falls, stops, seconds, fastest, outside = [], [], [], [], 0.0, 0
    room = _room(make_room, payload_kg)
    for index, target in enumerate(targets):
        watch(index)
        if room.stopped:
            room = _room(make_room, payload_kg)
        controller = room.controller
        controller.set_point_target(target, room.observation.stamp)
        room.tick()
        _promoted(controller)
        errors.append(room.visit(target, slot, lambda: seconds.append(room.decision.seconds.get("policy", np.nan))))
        if not controller.acting:
            falls.append(controller.reason)
            errors[-1] = np.inf
        if room.stopped:
            stops.append(room.supervisor.cause.name or "several")
        fastest, outside = max(fastest, room.fastest), outside + room.outside
        room.outside = 0
    errors = np.array(errors)
    return {
        "targets": len(errors),
        "payload_kg": payload_kg,
        "success_1cm": float((errors < 0.01).mean()),
        "success_2cm": float((errors < 0.02).mean()),
        "median_mm": 1e3 * float(np.median(errors)),
        "errors_mm": [round(1e3 * float(e), 2) if np.isfinite(e) else None for e in sorted(errors)],
        "falls": dict(Counter(falls)),
        "stops": dict(Counter(stops)),
        "decision_us": 1e6 * float(np.nanmedian(seconds)),
        "max_speed_fraction": fastest,
        "outside_limits": outside,
    }


def inject(
    make_room: Callable[[], Environment],
    targets: Array,
    behind: Array,
    seed: int,
    events: Sequence[str] = EVENTS,
    watch: Callable[[int], None] = lambda index: None,
) -> dict:
    """One event on the way to each of `targets` (T, 3), each in a new room; `behind` (T, 3): targets nobody taught. How
    many were noticed, how fast, and the largest step of a command then, over the command range.
    """
    rng, noticed, count = np.random.default_rng(seed), dict.fromkeys(events, 0), dict.fromkeys(events, 0)
    steps, early, delays = [], [], []
    for i, target in enumerate(targets):
        watch(i)
        event, room = events[i % len(events)], _room(make_room, 0.0)
        controller, span = room.controller, room.plant.robot.command_upper - room.plant.robot.command_lower
        controller.set_point_target(target, room.observation.stamp)
        room.tick()
        _promoted(controller)
        for _ in range(round(0.5 / room.plant.period)):
            room.tick()
        if not controller.acting:
            early.append(controller.reason)  # it fell before the event: not counted for or against it
            continue
        count[event] += 1
        _cause(event, room, behind[i % len(behind)], rng)
        last = room.decision.u
        for tick in range(round(NOTICE / room.plant.period)):
            room.tick()
            if not controller.acting:
                noticed[event] += 1
                delays.append(tick * room.plant.period)
                steps.append(float(np.abs((room.decision.u - last) / span).max()))
                break
            last = room.decision.u
    total = sum(count.values())
    return {
        "events": total,
        "fallback_rate": sum(noticed.values()) / total if total else float("nan"),
        "noticed": {e: [noticed[e], count[e]] for e in events},
        "largest_delay_s": max(delays, default=0.0),
        "largest_step": max(steps, default=0.0),
        "fell_before": dict(Counter(early)),
    }


def rise_and_fall(make_room: Callable[[], Environment], target: Array, away: Array, seed: int) -> list[tuple]:
    """Two seconds on the way to `target` (3,) in shadow, the policy promoted, two seconds on the way to `away` (3,), then
    the arm is torn away; the trace of the room.
    """
    room = make_room()
    for point, promoted in ((target, False), (away, True)):
        room.controller.set_point_target(point, room.observation.stamp)
        room.tick()
        if promoted:
            _promoted(room.controller)
        for _ in range(round(2.0 / room.plant.period)):
            room.tick()
    _cause("arm torn away", room, away, np.random.default_rng(seed))
    for _ in range(round(1.0 / room.plant.period)):
        room.tick()
    return room.trace


def _room(make_room: Callable[[], Environment], payload_kg: float) -> Environment:
    """A new room in which the planner has held the arm for a second."""
    room = make_room()
    room.plant.set_payload(payload_kg)
    for _ in range(round(1.0 / room.plant.period)):
        room.tick()
    return room


def _promoted(controller) -> None:
    if not controller.acting:
        controller.promote(force=True)


def _cause(event: str, room: Environment, behind: Array, rng: np.random.Generator) -> None:
    plant, robot = room.plant, room.plant.robot
    joint, sign = int(rng.integers(robot.n - 1)), float(rng.choice((-1.0, 1.0)))
    if event == "target behind the base":
        room.controller.set_point_target(behind, room.observation.stamp)
    elif event == "arm torn away":
        plant.push(joint, 1.2 * sign * robot.velocity_limit[joint])
        plant.push((joint + 1) % (robot.n - 1), -1.2 * sign * robot.velocity_limit[joint])
    elif event == "joint spun up":
        plant.push(joint, 1.6 * sign * robot.velocity_limit[joint])
    elif event == "encoder jump":
        outward = np.where(room.measurement.q > 0.5 * (robot.position_upper + robot.position_lower), 1.0, -1.0)
        shift = np.zeros(robot.n)
        shift[joint] = 3.0 * outward[joint]
        room.distort = lambda q, qd: (q + shift, qd)
    else:
        shift = np.zeros(robot.n)
        shift[joint] = 2.0 * sign * robot.velocity_limit[joint]
        room.distort = lambda q, qd: (q, qd + shift)
