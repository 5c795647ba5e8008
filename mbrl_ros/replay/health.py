"""A model that is learned beside another controller, and what it tells: trust, prediction error, delay, load. No ROS.

What acts is the measured effort where the interface is effort, otherwise the newest command of the other controller.
Nothing is planned and no command is made.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..config.configuration import Configuration
from ..dynamics.load import Load, LoadEstimator
from ..robots import Robot
from ..runtime.mailbox import Arrival, Mailbox
from ..types import Array, Decision
from .observers import PassiveObserver

HEALTH_VERSION = "mbrl_ros/model_health/1"
HEALTH_FIELDS = {
    "stamp": "of the newest state that was learned from [s]",
    "trust": "consistency of the model with the data, 0 to 1",
    "nis": "normalized innovation squared of the last transition; NaN: there was none",
    "nis_bound": "its 95 % bound",
    "prediction_error": "root mean square of the velocity errors one period ahead [rad/s or m/s]",
    "delay": "in use [periods]",
    "delay_estimated": "estimated [periods]; NaN: not known",
    "delay_confidence": "of the estimate, 0 to 1; NaN: not known",
    "mass": "at the tool [kg]; NaN: not known, or the interface is not effort",
    "force": "size of the external force [N]; NaN: likewise",
    "transitions": "learned from since the start",
}


@dataclass(frozen=True, eq=False, slots=True)
class HealthReport:
    """What is known after a state: `values` of HEALTH_FIELDS, the `load` with efforts, and the decision behind it."""

    values: dict[str, float]
    load: Load | None
    decision: Decision


class ModelHealth:
    """Learns the dynamics of `robot` from states and from what others command.

    `events` counts states that nothing was learned from, by reason. memory [s] of the mass and the prediction error;
    with_gravity: measured efforts contain the arm's own gravity.
    """

    def __init__(self, robot: Robot, configuration: Configuration, *, memory: float, with_gravity: bool):
        self.robot, self.observer = robot, PassiveObserver(robot, configuration)
        self.events: Counter[str] = Counter()
        dt = self.observer.dt
        self._mailbox = Mailbox(dt, lockstep=False, player_period=None, events=self.events)
        self._mailbox.open()
        self._load = None
        if robot.interface == "effort":
            self._load = LoadEstimator(robot, memory, with_gravity=with_gravity)
        self._keep = math.exp(-dt / memory)
        self._command: Array | None = None
        self._begun = False
        self.forget()

    def forget(self) -> None:
        """Forget what was learned with the next state; the tare stays."""
        self._error = self._count = 0.0
        self._transitions, self._anew = 0, True
        self._last: tuple[float, Array, Array] | None = None  # stamp, q, qd of the last state
        self._shown = math.nan  # [s], when the load was estimated last
        if self._load is not None:
            self._load.forget()

    def tare(self) -> tuple[bool, str]:
        """Let the present load be zero; return whether that was done, and why not."""
        if self._load is None:
            return False, "loads are known with robot.interface: effort only"
        return (True, "the present load is zero") if self._load.tare() else (False, "no load has been estimated")

    def command(self, u: Array) -> None:
        """Take note of a command (n,) of the other controller; what is not finite is left out and counted."""
        if u.shape != (self.robot.n,) or not np.isfinite(u).all():
            self.events["commands refused"] += 1
        else:
            self._command = u

    def state(self, arrival: Arrival) -> HealthReport | None:
        """Learn from a state; None where it is not due, or what acted is not known."""
        self._mailbox.put(arrival)
        due = self._mailbox.take(lambda: 0.0)
        if due is None or not due.due:
            return None
        observation = due.observation
        applied = due.effort if self.robot.interface == "effort" else self._command
        if applied is None:
            self.events["no measured effort" if self.robot.interface == "effort" else "no command"] += 1
            self._begun = False
            return None
        observer = self.observer
        if self._anew:
            observer.reset(observation)
            self._anew, self._begun = False, True
        elif due.restarted or not self._begun:
            observer.learner.resume(applied)
            self._begun, self._last = True, None
        decision = observer.step(observation)
        observer.record(observation.stamp, np.clip(applied, self.robot.command_lower, self.robot.command_upper))
        return self._report(observation.stamp, observation.q, observation.qd, decision)

    def _report(self, stamp: float, q: Array, qd: Array, decision: Decision) -> HealthReport:
        observer = self.observer
        if decision.innovation is not None:
            self._transitions += 1
            self._count = self._keep * self._count + 1.0
            self._error = self._keep * self._error + float(decision.innovation @ decision.innovation) / self.robot.n
        load = self._loaded(stamp, q, qd, decision)
        delay = observer.delay
        estimate = delay.estimate
        values = {
            "stamp": stamp,
            "trust": float(observer.dynamics.consistency.level),
            "nis": float(decision.nis),
            "nis_bound": float(observer.nis_bound),
            "prediction_error": math.sqrt(self._error / self._count) if self._count else math.nan,
            "delay": float(delay.in_use),
            "delay_estimated": math.nan if estimate is None else float(estimate.ticks),
            "delay_confidence": math.nan if estimate is None else float(estimate.confidence),
            "mass": math.nan if load is None else load.mass,
            "force": math.nan if load is None else float(np.linalg.norm(load.force)),
            "transitions": float(self._transitions),
        }
        return HealthReport(values, load, decision)

    def _loaded(self, stamp: float, q: Array, qd: Array, decision: Decision) -> Load | None:
        """Return the load that the period up to this state shows; None where nothing was learned from it."""
        before, self._last = self._last, (stamp, q, qd)
        if self._load is None or before is None or decision.innovation is None:
            return None
        dt, learner = self.observer.dt, self.observer.learner
        if not 0.5 * dt < stamp - before[0] < 1.5 * dt:
            return None
        acted, _, _ = learner.history.during(before[0])
        gain = learner.dynamics.prior_gain(np.zeros(learner.nx))
        elapsed = stamp - self._shown if math.isfinite(self._shown) else 0.0
        self._shown = stamp
        return self._load.update(before[1], acted, qd - before[2], gain, elapsed)
