"""The outputs of a replay: a row per tick, a hash of all commands, and their difference from the recorded ones."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ..controllers.base import Controller
from ..robots import Robot
from ..runtime.event_log import Event
from ..runtime.interfaces import Tick
from ..types import Array, Decision
from .applied import RecordedApplied
from .difference import Difference
from .notes import BagClock, Notes
from .prediction import PredictionScores
from .table import Table
from .timeline import RecordedTick

TABLE_PER_JOINT = ("q", "qd", "u", "u_proposed", "u_recorded", "innovation")
PER_TICK = (
    "nis",
    "nis_bound",
    "far_error",
    "far_change",
    "difference",
    "decision_status",
    "plan_status",
    "plan_iterations",
    "cost",
    "supervisor_state",
    "supervisor_reasons",
    "missed",
    "rejected",
    "compute_ms",
    "late",
    "recorded_compute_ms",
    "recorded_latency_ms",
)


class ReplayOutputs:
    """The `Outputs` of a replay's control cycle.

    `ticks` counts ticks with a decision; `sha256` is that of all commands, each as its stamp and its values in
    little-endian float64.

    Parameters
    ----------
    robot, controller
        of the replay.
    planned
        whether commands are computed.
    applied
        knows the recorded commands.
    rejected
        returns how many inputs have been refused until now.
    clock, notes
        of the replay.
    """

    def __init__(
        self,
        robot: Robot,
        controller: Controller,
        planned: bool,
        applied: RecordedApplied,
        rejected: Callable[[], int],
        clock: BagClock,
        notes: Notes,
    ):
        self._controller, self._planned, self._applied = controller, planned, applied
        self._rejected, self._clock, self._notes = rejected, clock, notes
        self._span = robot.command_upper - robot.command_lower
        self.prediction: PredictionScores | None = None
        if controller.dynamics is not None:
            self.prediction = PredictionScores(controller.dynamics)
            controller.dynamics.show_transitions_to(self.prediction)
        self.difference = Difference()
        self.ticks = 0
        self._recorded: RecordedTick | None = None
        self._last: Array = np.zeros(robot.n)
        self._digest = hashlib.sha256()
        columns = {**dict.fromkeys(("time", "stamp")), **dict.fromkeys(TABLE_PER_JOINT, robot.joints)}
        self.table = Table({**columns, **dict.fromkeys(PER_TICK)})

    @property
    def sha256(self) -> str:
        """The hash of all commands until now."""
        return self._digest.hexdigest()

    def expect(self, recorded: RecordedTick | None) -> None:
        """Set what is recorded of the next tick; None: nothing."""
        self._recorded = recorded

    def compare_last(self, recorded: Array) -> None:
        """Compare the last command with a recorded one (nu,)."""
        self.difference.add(np.abs(self._last - recorded) / self._span)

    # --- from the control cycle -----------------------------------------------------------------------------------

    def command(self, stamp: float, u: Array) -> None:
        """Hash a command."""
        self._last = u
        self._digest.update(struct.pack("<d", stamp) + np.asarray(u, dtype="<f8").tobytes())

    def event(self, event: Event) -> None:
        """Ignore it: the event log of the recording has it already."""

    def log(self, level: str, text: str) -> None:
        """Note what the cycle reports."""
        self._notes.add(text)

    def tick(self, tick: Tick) -> None:
        """Add the row of a tick."""
        observation, command, decision = tick.observation, tick.command, tick.decision
        row: dict[str, Any] = dict(
            time=self._clock.since_begin,
            stamp=observation.stamp,
            q=observation.q,
            qd=observation.qd,
            missed=tick.missed,
            supervisor_state=command.state,
            supervisor_reasons=command.reasons,
            rejected=self._rejected(),
        )
        if self._recorded is not None:
            row.update(missed=self._recorded.missed, late=self._recorded.late)
        if decision is not None:
            row.update(self._decision(decision, tick.compute))
        if self._planned:
            recorded = self._applied.recorded(observation.stamp)
            if recorded is not None and decision is not None:
                difference = self.difference.add(np.abs(command.u - recorded) / self._span)
                row.update(u_recorded=recorded, difference=difference)
            row.update(u=command.u)
        self.table.add(**row)

    def _decision(self, decision: Decision, compute: float) -> dict[str, Any]:
        self.ticks += 1
        row: dict[str, Any] = {}
        if self._recorded is not None:
            row.update(recorded_compute_ms=self._recorded.compute_ms, recorded_latency_ms=self._recorded.latency_ms)
        if self.prediction is not None:
            bound = self._controller.nis_bound
            self.prediction.add_decision(decision, bound)
            if decision.innovation is not None:
                error, change = self.prediction.far
                row.update(far_error=error, far_change=change, nis_bound=bound)
        row.update(
            innovation=decision.innovation,
            nis=decision.nis,
            decision_status=decision.status,
            compute_ms=1e3 * compute,
        )
        if self._planned:
            row.update(u_proposed=decision.u)
            if decision.plan is not None:
                plan = decision.plan
                row.update(plan_status=plan.status, plan_iterations=plan.iterations, cost=plan.cost)
        return row
