"""Evaluate a policy in lockstep: unseen targets with the policy alone, and events for which it was not trained.

A target is reached within d if the true end effector stays within d of it over the last quarter second of its slot.
An injected event counts as detected if the planner has taken over within `DETECTION` seconds; the command may not
jump then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..controllers.policy import PolicyController
from ..types import Array
from .environment import Environment, TickRecord

DETECTION = 0.5  # [s]
# The names are keys of summary.json.
BEHIND_BASE, TORN_AWAY, ENCODER_JUMP = "target behind the base", "arm torn away", "encoder jump"
VELOCITY_SPIKE, SPUN_UP = "velocity spike", "joint spun up"
EVENTS = (BEHIND_BASE, TORN_AWAY, ENCODER_JUMP, VELOCITY_SPIKE, SPUN_UP)


class Takeover(NamedTuple):
    """How the planner took over: delay [s] after the event, and the step of the command over the command range."""

    delay: float
    step: float


def evaluate_policy(
    make_environment: Callable[[], Environment],
    targets: Array,
    slot: float,
    payload_kg: float,
    progress: Callable[[int], None] = lambda index: None,
) -> dict[str, Any]:
    """Visit every target with the policy alone.

    A target during which the planner took over counts as missed, and the policy is promoted again.

    Parameters
    ----------
    make_environment
        Makes an environment whose controller has the policy.
    targets
        Points (T, 3) [m].
    slot
        Time for each [s].
    payload_kg
        Mass at the hand.
    progress
        Is called with the index of every target.

    Returns
    -------
    dict
        The entries of summary.json.
    """
    errors: list[float] = []
    seconds: list[float] = []
    fallbacks, stops = Counter[str](), Counter[str]()
    fastest, violations = 0.0, 0
    environment = _holding(make_environment, payload_kg)
    for index, target in enumerate(targets):
        progress(index)
        if environment.stopped:
            environment = _holding(make_environment, payload_kg)
        errors.append(_visit_with_policy(environment, target, slot, seconds))
        if not environment.controller.acting:
            fallbacks[environment.controller.reason] += 1
            errors[-1] = np.inf
        if environment.stopped:
            stops[environment.supervisor.cause.name or "several"] += 1
        fastest, violations = max(fastest, environment.fastest), violations + environment.violations
        environment.violations = 0
    distances = np.array(errors)
    return {
        "targets": len(distances),
        "payload_kg": payload_kg,
        "success_1cm": float((distances < 0.01).mean()),
        "success_2cm": float((distances < 0.02).mean()),
        "median_mm": 1e3 * float(np.median(distances)),
        "errors_mm": [round(1e3 * float(e), 2) if np.isfinite(e) else None for e in sorted(distances)],
        "falls": dict(fallbacks),
        "stops": dict(stops),
        "decision_us": 1e6 * float(np.nanmedian(seconds)),
        "max_speed_fraction": fastest,
        "outside_limits": violations,
    }


def inject_events(
    make_environment: Callable[[], Environment],
    targets: Array,
    behind: Array,
    seed: int,
    events: Sequence[str] = EVENTS,
    progress: Callable[[int], None] = lambda index: None,
) -> dict[str, Any]:
    """Inject one event on the way to each target, each in a new environment.

    Parameters
    ----------
    make_environment
        Makes an environment whose controller has the policy.
    targets
        Points (T, 3) [m].
    behind
        Points (T, 3) [m] behind the base, for which the policy was not trained.
    seed
        Of joints and directions.
    events
        Names from EVENTS, used in turn.
    progress
        Is called with the index of every target before it is visited.

    Returns
    -------
    dict
        How many events were detected, how fast, and the largest step of the requested command then, over the command
        range: the entries of summary.json.
    """
    rng = np.random.default_rng(seed)
    detected, count = dict.fromkeys(events, 0), dict.fromkeys(events, 0)
    takeovers: list[Takeover] = []
    early: list[str] = []
    for i, target in enumerate(targets):
        progress(i)
        event, environment = events[i % len(events)], _holding(make_environment, 0.0)
        environment.controller.set_point_target(target, environment.observation.stamp)
        environment.tick()
        _promote(environment.controller)
        environment.run(0.5)
        if not environment.controller.acting:
            early.append(environment.controller.reason)  # the planner took over before the event, which is not counted
            continue
        count[event] += 1
        _inject(event, environment, behind[i % len(behind)], rng)
        takeover = _wait_for_takeover(environment)
        if takeover is not None:
            detected[event] += 1
            takeovers.append(takeover)
    total = sum(count.values())
    return {
        "events": total,
        "fallback_rate": sum(detected.values()) / total if total else float("nan"),
        "noticed": {event: [detected[event], count[event]] for event in events},
        "largest_delay_s": max((takeover.delay for takeover in takeovers), default=0.0),
        "largest_step": max((takeover.step for takeover in takeovers), default=0.0),
        "fell_before": dict(Counter(early)),
    }


def record_takeover(
    make_environment: Callable[[], Environment], target: Array, away: Array, seed: int
) -> list[TickRecord]:
    """Record how the planner takes over: two seconds in shadow, two with the policy, then the arm is torn away.

    In shadow the arm moves towards `target` (3,) [m], with the policy towards `away` (3,) [m].
    """
    environment = make_environment()
    for point, promoted in ((target, False), (away, True)):
        environment.controller.set_point_target(point, environment.observation.stamp)
        environment.tick()
        if promoted:
            _promote(environment.controller)
        environment.run(2.0)
    _inject(TORN_AWAY, environment, away, np.random.default_rng(seed))
    environment.run(1.0)
    return environment.trace


def _holding(make_environment: Callable[[], Environment], payload_kg: float) -> Environment:
    """Make an environment in which the planner has held the arm for a second."""
    environment = make_environment()
    environment.plant.set_payload(payload_kg)
    environment.run(1.0)
    return environment


def _visit_with_policy(environment: Environment, target: Array, slot: float, seconds: list[float]) -> float:
    """Visit `target` (3,) [m] with the policy; append the time [s] of each of its decisions to `seconds`."""
    environment.controller.set_point_target(target, environment.observation.stamp)
    environment.tick()
    _promote(environment.controller)

    def after_tick() -> None:
        decision = environment.decision
        seconds.append(float("nan") if decision is None else decision.seconds.get("policy", float("nan")))

    return environment.visit(target, slot, after_tick)


def _wait_for_takeover(environment: Environment) -> Takeover | None:
    """Simulate until the planner takes over; None if it does not within DETECTION."""
    robot, last = environment.plant.robot, environment.trace[-1].u
    for tick in range(round(DETECTION / environment.plant.period)):
        u = environment.tick().u
        if not environment.controller.acting:
            step = float(np.abs((u - last) / (robot.command_upper - robot.command_lower)).max())
            return Takeover(tick * environment.plant.period, step)
        last = u
    return None


def _promote(controller: PolicyController) -> None:
    if not controller.acting:
        controller.promote(force=True)


def _inject(event: str, environment: Environment, behind: Array, rng: np.random.Generator) -> None:
    plant, robot = environment.plant, environment.plant.robot
    joint, sign = int(rng.integers(robot.n - 1)), float(rng.choice((-1.0, 1.0)))
    shift = np.zeros(robot.n)
    if event == BEHIND_BASE:
        environment.controller.set_point_target(behind, environment.observation.stamp)
    elif event == TORN_AWAY:
        plant.push(joint, 1.2 * sign * robot.velocity_limit[joint])
        plant.push((joint + 1) % (robot.n - 1), -1.2 * sign * robot.velocity_limit[joint])
    elif event == SPUN_UP:
        plant.push(joint, 1.6 * sign * robot.velocity_limit[joint])
    elif event == ENCODER_JUMP:
        shift[joint] = 3.0 if environment.measurement.q[joint] > robot.middle[joint] else -3.0
        environment.distort = lambda q, qd: (q + shift, qd)
    else:
        shift[joint] = 2.0 * sign * robot.velocity_limit[joint]
        environment.distort = lambda q, qd: (q, qd + shift)
