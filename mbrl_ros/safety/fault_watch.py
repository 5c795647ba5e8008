"""What makes a fault or a warning of successive ticks: overspeed, failed decisions, commands at their limits."""

from __future__ import annotations

from ..config.sections.safety import SupervisorSettings
from ..robots import Robot
from ..types import Observation
from .state_machine import Reason, State

FAST_TICKS = 2  # in a row with a joint above `overspeed`: one sample alone is no fault


class FaultWatch:
    """Counts the ticks of one control loop with the period `dt` [s] that were not as they should be."""

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float):
        self._settings, self._dt, self._position = settings, dt, robot.interface == "position"
        self._overspeed: list[float] = (settings.overspeed * robot.velocity_limit).tolist()
        self._failures = self._fast_ticks = self._saturated_ticks = 0

    def reset(self) -> None:
        """Start anew."""
        self._failures = self._fast_ticks = self._saturated_ticks = 0

    def state_changed(self, after: State) -> None:
        """Take note that the supervisor's state is now `after`."""
        self._saturated_ticks = 0
        if after is State.HOLD:
            self._failures = 0

    def overspeed(self, observation: Observation) -> bool:
        """Return whether a joint is faster than `supervisor.overspeed` times its speed limit."""
        for speed, most in zip(observation.qd.tolist(), self._overspeed, strict=True):
            if abs(speed) > most:
                return True
        return False

    def faults(self, observation: Observation, failed: bool, reasons: int) -> int:
        """Return why this tick is a fault, as Reason flags; 0 if it is none.

        Parameters
        ----------
        observation
            the present state.
        failed
            whether the controller made no usable decision.
        reasons
            Reason flags why not.
        """
        self._failures = self._failures + 1 if failed else 0
        self._fast_ticks = self._fast_ticks + 1 if self.overspeed(observation) else 0
        faults = int(Reason.OVERSPEED) if self._fast_ticks >= FAST_TICKS else 0
        return faults | reasons if self._failures > self._settings.max_failed_plans else faults

    def limit_warnings(self, outside: bool, saturated: bool) -> int:
        """Return OUTSIDE and SATURATED as Reason flags.

        Parameters
        ----------
        outside
            whether a joint is outside its position limits.
        saturated
            whether the last command of any joint was at its limit.
        """
        warnings = int(Reason.OUTSIDE) if outside else 0
        if not self._position:
            self._saturated_ticks = self._saturated_ticks + 1 if saturated else 0
            if self._saturated_ticks * self._dt > self._settings.longest_saturation:
                warnings |= int(Reason.SATURATED)
        return warnings
