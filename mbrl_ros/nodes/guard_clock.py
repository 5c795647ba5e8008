"""The time by which guard_node notices what does not come.

wall        the processor's monotonic clock
simulated   /clock without its leaps (guard/simulated_time.py), under use_sim_time
lockstep    the number of states (guard/lockstep.py), once mpc_node's parameters say so

/clock is read when a message comes that needs the time, and when the safe command may be due: its messages wake nobody.
"""

from __future__ import annotations

import time

from rclpy.node import Node

from ..guard.own_pause import DUE_ROUNDING
from ..guard.simulated_time import GuardTime
from .clock_topic import ClockTopic

LONGEST_SLEEP, LONGEST_SIMULATED_SLEEP = 1.0, 0.2  # [s] of wall time
SHORTEST_SIMULATED_SLEEP = 1e-3  # [s]
SLEPT = 0.5  # share of the simulated time that is left after which the clock is read again: its speed may change


class GuardClock:
    """The clock of `node`."""

    def __init__(self, node: Node):
        self._topic = ClockTopic(node) if node.get_parameter("use_sim_time").value else None
        self.simulated: GuardTime | None = None if self._topic is None else GuardTime(self._topic.now)

    def destroy(self) -> None:
        """Release the subscription to /clock."""
        if self._topic is not None:
            self._topic.destroy()

    def now(self) -> float:
        """Return the time [s], but not in lockstep."""
        return time.monotonic() if self.simulated is None else self.simulated.now()

    def sleep_until(self, due: float) -> float:
        """Return for how long [s] to sleep until `due` [s] by this clock, at most; not positive: `due` has come."""
        left = due - DUE_ROUNDING - self.now()
        if self.simulated is None or left <= 0.0:
            return min(left, LONGEST_SLEEP)
        asleep = SLEPT * left / max(1.0, self.simulated.speed)
        return min(max(asleep, SHORTEST_SIMULATED_SLEEP), LONGEST_SIMULATED_SLEEP)

    @property
    def problem(self) -> str:
        """What is wrong with the time, '' if nothing is."""
        stands = self.simulated is not None and self.simulated.stands
        return "simulated time stands still or has not begun: no message on /clock" if stands else ""
