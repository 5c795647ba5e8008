"""What the rivals have in common: which of their commands acts when."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ....config.configuration import Configuration
from ....controllers.effort_tracking import EffortTracking
from ....robots import Robot
from ....types import Array, Observation


class Rival(EffortTracking):
    """A controller with efforts that knows which of its commands acts."""

    def __init__(self, robot: Robot, configuration: Configuration, name: str):
        super().__init__(robot, configuration, name)
        self._delay = max(0, round(configuration.control.delay))
        self._sent: list[Array] = []  # the commands of which the last few may still have to act, oldest first

    @abstractmethod
    def forget(self) -> None:
        """Forget what was learned."""

    def acting(self) -> Array | None:
        """Return the command (n,) that acted in the last period; None: not known.

        The newest one sent, and with a delay of one period the one before it.
        """
        place = len(self._sent) - 1 - self._delay
        return self._sent[place] if place >= 0 else None

    def acting_next(self, newest: Array) -> Array:
        """Return the command (n,) that acts in the period to come, if `newest` (n,) is sent now."""
        known = [*self._sent, newest]
        return known[max(0, len(known) - 1 - self._delay)]

    def record(self, stamp: float, command: Array) -> None:
        """Keep the commands that may still act."""
        self._sent = [*self._sent, np.array(command)][-(self._delay + 1) :]

    def reset(self, observation: Observation) -> None:
        """Rest where the robot is."""
        self._sent = []
        self.forget()
        self.target_manager.reset(observation.q, observation.stamp)

    def resume(self, observation: Observation, command: Array) -> None:
        """Go on at `observation` after an interruption; what was learned stays."""
        self._sent = []
        super().resume(observation, command)
