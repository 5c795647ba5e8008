"""Keep a row of every tick and write the table (.npz) when the node is deactivated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..codegen.compiler import fallbacks
from ..controllers.base import Controller
from ..data.tick_log import TickLog
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..runtime.interfaces import CommandSupervisor, Tick
from ..types import Array
from .reporter import Reporter
from .status import TARGET_KINDS
from .tick_observer import TickObserver

TICK_NUMBERS = (
    "stamp",
    "compute_ms",
    "latency_ms",
    "period_us",
    "nis",
    "nis_bound",
    "nis_dof",
    "decision_status",
    "plan_status",
    "plan_iterations",
    "cost",
    "state",
    "reasons",
    "missed",
    "target_kind",
    "target_stamp",
    "reference_end",
    "rejected",
    "late",
    "cause",
)
TICK_PER_JOINT = ("q", "qd", "u_proposed", "u", "innovation", "reference_q")


class TickTable(TickObserver):
    """The table of all ticks between activation and deactivation, written to `path`."""

    def __init__(
        self,
        path: str,
        robot: Robot,
        controller: Controller,
        supervisor: CommandSupervisor,
        kinematics: Kinematics,
        *,
        rejected: Callable[[], int],
        facts: Callable[[], dict[str, Any]],
        reporter: Reporter,
    ):
        """Prepare a table; rejected() is the number of rejected inputs, facts() what is written beside the rows."""
        self._path, self._robot, self._controller, self._supervisor = path, robot, controller, supervisor
        self._kinematics, self._rejected, self._facts, self._reporter = kinematics, rejected, facts, reporter
        self._log = self._empty()

    def begin(self) -> None:
        """Start an empty table."""
        self._log = self._empty()

    def after_tick(self, tick: Tick) -> None:
        """Add the row of a tick."""
        decision, observation, controller = tick.decision, tick.observation, self._controller
        plan, target = decision.plan if decision is not None else None, controller.target
        self._log.add(
            stamp=observation.stamp,
            q=observation.q,
            qd=observation.qd,
            u=tick.command.u,
            compute_ms=1e3 * tick.compute,
            period_us=1e6 * tick.period,
            missed=tick.missed,
            state=tick.command.state,
            reasons=tick.command.reasons,
            nis_bound=controller.nis_bound,
            reference_end=controller.reference_end,
            reference_q=controller.joint_reference(observation.stamp),
            rejected=self._rejected(),
            late=tick.late,
            cause=self._supervisor.cause,
            target_kind=None if target is None else TARGET_KINDS[target.kind],
            target_stamp=None if target is None else target.stamp,
        )
        if controller.uncontrolled is not None:
            self._log.amend(uncontrolled=controller.uncontrolled)
        if decision is not None:
            self._log.amend(
                latency_ms=1e3 * tick.latency,
                u_proposed=decision.u,
                nis=decision.nis,
                nis_dof=decision.nis_dof,
                decision_status=decision.status,
                innovation=decision.innovation,
            )
        if plan is not None:
            n, m = self._robot.n, controller.m
            self._log.amend(
                plan_status=plan.status,
                plan_iterations=plan.iterations,
                cost=plan.cost,
                features=plan.x_hat[0, 2 * n : 2 * n + m],
            )

    def end(self) -> None:
        """Write the table, with the positions of the end effector and of its reference (T, 3) [m] added."""
        arrays = self._log.arrays()
        facts = {
            "joints": self._robot.joints,
            "dt": self._controller.dt,
            "fallbacks": fallbacks(),
            **self._facts(),
        }
        try:
            self._log.save(
                self._path,
                facts,
                tip=self._positions(arrays["q"], arrays.get("uncontrolled")),
                reference_tip=self._positions(arrays["reference_q"], arrays.get("uncontrolled")),
            )
        except OSError as error:
            self._reporter.log("error", f"the log was not written: {error}")

    def _positions(self, q: Array, uncontrolled: Array | None) -> Array:
        return self._kinematics.positions(q, uncontrolled) if len(q) else np.zeros((0, 3))

    def _empty(self) -> TickLog:
        n, k = self._robot.n, len(self._robot.uncontrolled)
        columns = {**dict.fromkeys(TICK_NUMBERS), **dict.fromkeys(TICK_PER_JOINT, n), "features": self._controller.m}
        return TickLog({**columns, "uncontrolled": k} if k else columns)
