"""The time by which guard_node notices what does not come.

wall        the processor's monotonic clock
simulated   /clock without its leaps (guard/simulated_time.py), under use_sim_time
lockstep    the number of states (guard/lockstep.py), once mpc_node's parameters say so
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node

from ..guard.own_pause import DUE_ROUNDING
from ..guard.simulated_time import GuardTime

LONGEST_SLEEP, LONGEST_SIMULATED_SLEEP = 1.0, 0.2  # [s] of wall time; /clock that stands still wakes nobody


class GuardClock:
    """The clock of `node`; `wake` is called in the executor's thread whenever /clock has moved."""

    def __init__(self, node: Node, wake: Callable[[], None]):
        self.simulated: GuardTime | None = None
        if not node.get_parameter("use_sim_time").value:
            return
        clock = node.get_clock()
        self.simulated = GuardTime(lambda: 1e-9 * clock.now().nanoseconds)
        least = Duration(nanoseconds=1)
        threshold = JumpThreshold(min_forward=least, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        self._handle = clock.create_jump_callback(threshold, post_callback=lambda _: wake())

    def now(self) -> float:
        """Return the time [s], but not in lockstep."""
        return time.monotonic() if self.simulated is None else self.simulated.now()

    def sleep_until(self, due: float) -> float:
        """Return for how long [s] to sleep until `due` [s] by this clock, at most; not positive: `due` has come."""
        longest = LONGEST_SLEEP if self.simulated is None else LONGEST_SIMULATED_SLEEP
        return min(due - DUE_ROUNDING - self.now(), longest)

    @property
    def problem(self) -> str:
        """What is wrong with the time, '' if nothing is."""
        stands = self.simulated is not None and self.simulated.stands
        return "simulated time stands still or has not begun: no message on /clock" if stands else ""
