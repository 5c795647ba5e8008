"""The clocks of mpc_node: when a state came, whether its stamp has leapt, and how old the newest one is.

Without a simulation elapsed time is the processor's monotonic clock; the node's clock, which may be set, only tells the
age of a state on arrival. Under use_sim_time both are /clock (guard/simulated_time.py).
"""

from __future__ import annotations

import math
import time

from rclpy.node import Node

from ..guard.simulated_time import SimulatedTime
from ..messages.input_gate import InputGate
from ..runtime.time_line import StampJudge, StateAge
from .clock_topic import ClockTopic


class InputClock:
    """The clock of a control loop with the period `dt` [s], whose states pass the gate `states`.

    In lockstep no clock is read.
    """

    def __init__(self, node: Node, states: InputGate, dt: float, *, lockstep: bool):
        self._node, self._states, self._lockstep = node, states, lockstep
        self._age, self._judge = StateAge(), StampJudge(dt)
        simulated = bool(node.get_parameter("use_sim_time").value)
        self._topic = ClockTopic(node) if simulated else None
        self.simulated = SimulatedTime(self.node_time, dt, states.timeout) if simulated and not lockstep else None

    def destroy(self) -> None:
        """Release the subscription to /clock."""
        if self._topic is not None:
            self._topic.destroy()

    def node_time(self) -> float:
        """Return the time of the node's clock [s]: that of the machine, or /clock."""
        return 1e-9 * self._node.get_clock().now().nanoseconds if self._topic is None else self._topic.now()

    def now(self) -> float:
        """Return the time of deadlines, which does not leap [s]."""
        return time.perf_counter() if self.simulated is None else self.simulated.now()

    def stands(self) -> bool:
        """Whether simulated time stands still, or has not begun."""
        return self.simulated is not None and self.simulated.stands()

    def age(self) -> float:
        """Return the age of the newest state [s]; infinite before the first."""
        return self._states.age(0.0) if self._lockstep else self._age.at(self.now())

    @property
    def started(self) -> bool:
        """Whether the node's clock runs: without /clock no stamp can be judged."""
        return self.simulated is None or self.simulated.started

    @property
    def silent(self) -> bool:
        """Whether no message has come on /clock for a while, and the stamps of states have taken its place."""
        return self.simulated is not None and self.simulated.silent

    @property
    def set_back(self) -> bool:
        """Whether /clock was set back and no state has come since."""
        return self.simulated is not None and self.simulated.set_back

    def at(self, stamp: float) -> float:
        """Return the node's time [s] when a state stamped `stamp` [s] arrives."""
        return self.node_time() if self.simulated is None else self.simulated.clock_at(stamp)

    def frame_time(self) -> float:
        """Return the node's time [s] when a feature frame arrives."""
        return self.node_time() if self.simulated is None else self.simulated.clock_at(-math.inf)

    def add_state(self, stamp: float, restarted: bool) -> bool:
        """Take note of an accepted state stamped `stamp` [s]; return whether it begins a new time line."""
        if self._lockstep:
            return restarted
        if self.simulated is not None:
            self.simulated.add_state(stamp)
        now = self.now()
        self._age.add_state(self._states.age(self.at(stamp)), now)
        if restarted:
            self._judge.forget()
        return self._judge.leap(stamp, now) > 0.0 or restarted
