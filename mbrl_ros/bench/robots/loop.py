"""A closed loop in one process: the plant and the node's control cycle in lockstep, without ROS and without a clock."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from ...config.configuration import Configuration
from ...controllers.base import Controller
from ...exceptions import MbrlError
from ...robots.kinematics import Kinematics
from ...runtime.conditions import SteppedConditions
from ...runtime.control_cycle import ControlCycle
from ...runtime.interfaces import Tick
from ...runtime.mailbox import Arrival
from ...safety.factory import make_supervisor
from ...safety.state_machine import Reason, State
from ...simulation.plant_base import BasePlant
from ...types import Array, Observation
from ..checked_outputs import CheckedOutputs

AFTER_LOSS = 0.5  # [s] a run goes on after its arm was lost
SAME_WARNING = 0.5  # [s]: warnings less apart are one
# what a command limiter does in ordinary operation, and no warning
LIMITED = Reason.LIMIT | Reason.RATE | Reason.SPEED
WARNED = (State.DEGRADED, State.FAULT, State.E_STOP)


class Row(NamedTuple):
    """One tick: true tip (3,) [m] and q (n,), speed and command over their limits (n,), and the state's code.

    away: the tip's distance from where its reference has it [m]; reasons: what was said to be wrong, Reason flags.
    """

    tip: Array
    q: Array
    speed: Array
    command: Array
    state: int
    away: float = 0.0
    reasons: Reason = Reason.NONE


class Loop:
    """A controller, the supervisor and a plant, tick by tick.

    Parameters
    ----------
    plant
        reset here.
    controller
        built for the plant's robot.
    configuration
        whose supervisor and time-out are used.
    told
        whether the loop knows by how much each command comes late, as the node does from its clock.
    lost_states
        share of the states that do not arrive.
    """

    def __init__(
        self,
        plant: BasePlant,
        controller: Controller,
        configuration: Configuration,
        *,
        told: bool = True,
        lost_states: float = 0.0,
    ):
        self.plant, self.controller, self._told, self.dt = plant, controller, told, plant.period
        robot = controller.robot
        self.outputs = CheckedOutputs(robot)
        self.conditions = SteppedConditions()
        self.cycle = ControlCycle(
            controller,
            make_supervisor(robot, configuration, self.dt),
            self.outputs,
            self.conditions,
            dt=self.dt,
            timeout=configuration.control.state_timeout,
            lockstep=True,
        )
        self._kinematics = Kinematics(robot)
        self._lost_states, self._rng = lost_states, np.random.default_rng([plant.seed, 3])
        self._unanswered = 0  # states lost in a row
        self.measurement = plant.reset()
        self._start = plant.truth.tip
        self._command_limit = np.maximum(np.abs(robot.command_lower), np.abs(robot.command_upper))
        self.k = 0
        self.rows: list[Row] = []
        self.lost_at: float | None = None
        self.cause = ""

    @property
    def t(self) -> float:
        """Now [s]."""
        return self.k * self.dt

    def tick(self) -> None:
        """Let one period pass."""
        m, truth, robot = self.measurement, self.plant.truth, self.controller.robot
        self.conditions.set_lateness(self.plant.delivery.late if self._told else 0.0)
        # the first state always arrives: the node begins with it
        if self.k and self._lost_states and self._rng.random() < self._lost_states:
            self._unanswered += 1
            tick = self.cycle.miss(self._unanswered * self.dt)
        else:
            self._unanswered = 0
            tick = self.cycle.tick(Arrival(Observation(m.stamp, m.q, m.qd), m.stamp, m.effort))
        self.rows.append(
            Row(
                truth.tip,
                truth.q,
                np.abs(truth.qd) / robot.velocity_limit,
                np.abs(self.outputs.u) / self._command_limit,
                int(self.cycle.supervisor.state),
                self._away(truth.tip),
                self._said(tick),
            )
        )
        if self.cycle.supervisor.state is State.FAULT and self.lost_at is None:
            self.lost_at, self.cause = self.t, Reason(self.cycle.supervisor.cause).name or "unknown"
        self.measurement = self.plant.step(self.outputs.u)
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

    def ease(self, q: Array) -> float:
        """Return the tip's speed [m] per radian of joint speed in its worst direction at q (n,): 0 where singular."""
        return float(np.linalg.svd(self._kinematics.jacobian(q), compute_uv=False)[-1])

    def spoke(self) -> int | None:
        """Return the first tick in which something was said to be wrong; of a lost arm, of the warning before the loss.

        None: nothing was said.
        """
        ticks = [
            k
            for k, row in enumerate(self.rows)
            if row.reasons and (self.lost_at is None or k * self.dt <= self.lost_at)
        ]
        if not ticks:
            return None
        first = 0
        if self.lost_at is not None:
            gaps = [i + 1 for i, (a, b) in enumerate(itertools.pairwise(ticks)) if (b - a) * self.dt > SAME_WARNING]
            first = gaps[-1] if gaps else 0
        return ticks[first]

    def _said(self, tick: Tick | None) -> Reason:
        """Return what a tick says is wrong."""
        if tick is None:
            return Reason.NONE
        reasons = tick.command.reasons & ~LIMITED
        return reasons or (self.cycle.supervisor.cause if tick.command.state in WARNED else Reason.NONE)

    def _away(self, tip: Array) -> float:
        """Return how far the tip is from where its reference has it [m], or from where it began."""
        wanted = self._start
        if self.controller.target is not None:
            wanted = self._kinematics.position(self.controller.joint_reference(self.measurement.stamp))
        return float(np.linalg.norm(tip - wanted))
