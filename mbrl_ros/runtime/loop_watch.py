"""The loop monitor in the control cycle: what it is told of a tick, and what follows from what it finds."""

from __future__ import annotations

import math

import numpy as np

from ..controllers.base import Controller
from ..robots.kinematics import Kinematics
from ..safety.loop_measures import Model
from ..safety.loop_monitor import MEASURES, LoopMonitor
from ..safety.state_machine import Reason, State
from ..types import Array, Decision, Observation
from .applied_commands import AppliedCommands
from .interfaces import CommandSupervisor

COMMANDED_SAFELY = (State.FAULT, State.E_STOP)


class LoopWatch:
    """Lets a `LoopMonitor` watch the loop of `controller`, of the period `dt` [s], and lowers the gain.

    Where another's command acts than the one that leaves here, the loop is open, and nothing is said about it.
    """

    def __init__(self, controller: Controller, supervisor: CommandSupervisor, applied: AppliedCommands, dt: float):
        configuration = controller.configuration
        self._supervisor, self._applied = supervisor, applied
        self._controller, self._settings = controller, configuration.monitor
        self.monitor = LoopMonitor(controller.robot, self._settings, dt, configuration.dynamics.noise)
        # of a robot that nothing is known of, where a recording is replayed without its description, there is no tip
        watches_tip = self._settings.reaction != "ignore" and controller.robot.urdf
        self._kinematics = Kinematics(controller.robot) if watches_tip else None
        self._positions = None if self._kinematics is None else self._kinematics.position_map(2)
        self._joints: Array = np.zeros((2, controller.robot.n))  # measured, reference
        self._tip = [math.nan] * 3  # measured in the last tick
        self._gain = 1.0  # what the controller was told last

    def reset(self) -> None:
        """Start anew."""
        self.monitor.reset()
        self._tell()

    def judge(self, observation: Observation, decision: Decision, command: Array) -> Reason:
        """Return in which respects the loop is bad, and LOOP_LOST if the arm is to be held.

        Parameters
        ----------
        observation, decision
            of this tick; the supervisor has not filtered the latter yet.
        command
            the command (n,) in effect.
        """
        reaction = self._settings.reaction
        if reaction == "ignore" or self._controller.target is None:
            return Reason.NONE
        supervisor = self._supervisor
        if not self._applied.closed or supervisor.resuming or supervisor.state in COMMANDED_SAFELY:
            self.monitor.restart()
            return Reason.NONE
        self.monitor.update(observation.stamp, command, self._model(decision), *self._away(observation))
        if reaction == "warn":
            return self.monitor.reasons
        self._tell()
        return self.monitor.reasons | Reason.LOOP_LOST if self._holds else self.monitor.reasons

    @property
    def _holds(self) -> bool:
        return self.monitor.held and self._settings.reaction == "hold"

    def _tell(self) -> None:
        if self.monitor.gain != self._gain:
            self._gain = self.monitor.gain
            self._controller.limit_gain(self._gain)

    def _model(self, decision: Decision) -> Model | None:
        """Return what the model was fitted to in this tick; None where nothing was learned."""
        dynamics = self._controller.dynamics
        if dynamics is None or decision.innovation is None:
            return None
        return Model(dynamics.input_gain, dynamics.noise_std, *dynamics.expectation)

    def _away(self, observation: Observation) -> tuple[float, float]:
        """Return the distance of the end effector from its reference [m], and how much of it is the last tick's motion.

        NaN where no reference is known.
        """
        target, controller = self._controller.target, self._controller
        if self._kinematics is None or self._positions is None or target is None or target.kind == "features":
            return math.nan, math.nan
        if controller.uncontrolled is not None:
            self._kinematics.place(controller.uncontrolled)
        self._joints[0], self._joints[1] = observation.q, controller.joint_reference(observation.stamp)
        before, (self._tip, wanted) = self._tip, self._positions(self._joints).tolist()
        away = math.dist(self._tip, wanted)
        return away, away - math.dist(before, wanted)

    def report(self) -> list[tuple[str, object]]:
        """Return what the diagnostics tell of the loop, by name."""
        values = [(f"loop: {MEASURES[reason]}", value) for reason, value in self.monitor.values.items()]
        return [("gain [0..1]", self._gain), ("held for a bad loop", self._holds), *values]
