"""One run of hard_starts.py: the plant and the node's control loop in lockstep, in one process, without ROS."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from hard_start_cases import ARMS, CONDITIONS, FAULTS, HOLD, SLOT, Case, Fault, prepare

from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.demo.metrics import rest_error, settled
from mbrl_ros.exceptions import MbrlError
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.event_log import Event
from mbrl_ros.runtime.interfaces import Tick
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.state_machine import Reason, Request, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Array, Observation

AFTER_LOSS, AFTER_FAULT = 0.5, 2.0  # [s] the run goes on
AT_LIMIT = 0.99  # of the velocity limit
REST = 0.2  # [s] at the end of a forced fault in which the arm must be at rest


class Outputs:
    """Takes what the loop hands out: the last command u (nu,), and how many were outside of `lower`, `upper`."""

    def __init__(self, lower: Array, upper: Array):
        self.u, self._lower, self._upper = np.zeros(lower.size), lower, upper
        self.outside, self.errors = 0, []

    def command(self, stamp: float, u: Array) -> None:
        """Keep the command and count it if it is outside the limits."""
        self.u = np.array(u)
        self.outside += not (np.isfinite(u).all() and (u >= self._lower).all() and (u <= self._upper).all())

    def tick(self, tick: Tick) -> None:
        """Nothing to publish."""

    def event(self, event: Event) -> None:
        """Keep no event log."""

    def log(self, level: str, text: str) -> None:
        """Keep errors."""
        if level == "error":
            self.errors.append(text)


class Run:
    """A closed loop over `case`, tick by tick.

    told: whether the loop knows by how much each command comes late, as the node does from its clock.
    """

    def __init__(self, case: Case, told: bool):
        self.case, self.told = case, told
        self.dt = case.plant.period
        self.controller = build_controller(case.robot, case.configuration)
        self.outputs = Outputs(case.robot.command_lower, case.robot.command_upper)
        supervisor = Supervisor(case.robot, case.configuration.supervisor, self.dt)
        self.conditions = SteppedConditions()
        self.cycle = ControlCycle(
            self.controller,
            supervisor,
            self.outputs,
            self.conditions,
            dt=self.dt,
            timeout=case.configuration.control.state_timeout,
            lockstep=True,
        )
        self.measurement = case.plant.reset()
        self.k = 0
        self.rows: list[tuple[Array, Array, int]] = []  # (tip (3,), |qd| over its limit (n,), state) of every tick
        self.lost_at: float | None = None
        self.cause = ""

    @property
    def t(self) -> float:
        """Now [s]."""
        return self.k * self.dt

    def tick(self) -> None:
        """One period."""
        case, m = self.case, self.measurement
        self.conditions.set_lateness(case.plant.delivery.late if self.told else 0.0)
        truth = case.plant.truth
        self.cycle.tick(Arrival(Observation(m.stamp, m.q, m.qd), m.stamp, m.effort))
        state = self.cycle.supervisor.state
        self.rows.append((truth.tip, np.abs(truth.qd) / case.robot.velocity_limit, int(state)))
        if state is State.FAULT and self.lost_at is None:
            self.lost_at, self.cause = self.t, Reason(self.cycle.supervisor.cause).name or "unknown"
        self.measurement = case.plant.step(self.outputs.u)
        self.k += 1

    def until(self, end: float) -> None:
        """Run until `end` [s], or AFTER_LOSS after the arm was lost."""
        while self.t < end - 1e-9 and (self.lost_at is None or self.t < self.lost_at + AFTER_LOSS):
            self.tick()

    def go_to(self, target: Array) -> None:
        """Give the controller a target (3,) [m]; a refusal is kept among the errors."""
        if self.lost_at is not None:
            return
        try:
            self.controller.set_point_target(target, self.t)
        except MbrlError as error:  # the target counts as not reached
            self.outputs.errors.append(str(error))

    def column(self, index: int) -> Array:
        """Return one entry of every row."""
        return np.array([row[index] for row in self.rows])


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
    r = Run(case, told)
    built = time.perf_counter()
    result = {"arm": arm, "condition": name, "seed": seed, "interface": interface}
    r.until(HOLD if condition.fault != "start" else FAULTS["start"].at)
    if condition.fault:
        result.update(_forced(r, FAULTS[condition.fault], ARMS[arm].payload))
    else:
        for target in case.targets:
            r.go_to(target)
            r.until(r.t + SLOT - 1e-6)
    tip, speed, state = r.column(0), r.column(1), r.column(2)
    stamps = r.dt * np.arange(len(tip))
    result.update(_targets(stamps, tip, case.targets[:0] if condition.fault else case.targets))
    result.update(
        sag_mm=1e3 * float(np.linalg.norm(tip[stamps < HOLD] - tip[0], axis=1).max()),
        fastest=float(speed.max()),
        at_limit=float((speed.max(axis=1) > AT_LIMIT).mean()),
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


def _targets(stamps: Array, tip: Array, targets: Array) -> dict[str, Any]:
    """Return how many of the targets (k, 3) were held to the end of their slots, and their rest errors."""
    reached, rest = 0, []
    for i, target in enumerate(targets):
        end = HOLD + (i + 1) * SLOT
        during = (stamps >= end - SLOT - 1e-9) & (stamps < end - 1e-9)
        if stamps[-1] < end - 2.0 * (stamps[1] - stamps[0]):
            rest.append(None)
            continue
        error = np.linalg.norm(tip[during] - target, axis=1)
        there = settled(stamps[during], error) is not None
        reached += there
        rest.append(rest_error(stamps[during], error))
    return {"targets": len(targets), "reached": reached, "rest_mm": rest}


def _forced(r: Run, fault: Fault, payload: float) -> dict[str, Any]:
    """Force a fault (an emergency stop calls for the same safe command) and measure what the arm does afterwards."""
    at = fault.at
    if at != r.t:
        r.go_to(r.case.targets[0])
        if at is None:
            r.until(r.t + 0.05)
            at = 0.5 * (HOLD + r.controller.reference_end)
    if fault.loaded is not None:
        r.until(fault.loaded)
        r.case.plant.set_payload(payload)
    r.until(at)
    if r.lost_at is not None:
        return {"forced": None}
    entry, truth = r.k, r.case.plant.truth
    braking = _braking(r.case, truth.q, truth.qd)
    r.cycle.request(Request.E_STOP)
    end = r.t + AFTER_FAULT
    if fault.lost_after is not None:
        r.until(r.t + fault.lost_after)
        r.case.plant.set_payload(0.0)
        end += fault.lost_after
    r.until(end)
    tip, speed = r.column(0)[entry:], r.column(1)[entry:].max(axis=1)
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
