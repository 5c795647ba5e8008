"""Joint states with faults that happen on robots: what a driver, a network or another program makes of a good one.

Every class here is one kind of fault. `draw` begins a new fault; `messages` then returns, for each period until
`lasting` is over, what arrives instead of the good state. `expected` tells whether the fault must be counted in the
diagnostics: one that is as small as measurement noise need not be.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import JointState

from ...messages.readers import seconds
from ...nodes import message_writers
from .bad_messages import EXTREME

VISIBLE = {"position": 0.02, "velocity": 3.0}  # [rad], [rad/s]: a larger error in one sample must be noticed
GRIPPER = ("panda_finger_joint1", "panda_finger_joint2")
WHEELS = tuple(f"wheel_{place}_joint" for place in ("front_left", "front_right", "rear_left", "rear_right"))


class StateFault(ABC):
    """A kind of fault.

    `lasting`: for how many periods, `pause`: how many good ones follow at least, `together`: how many faults of the
    kind happen to one motion, `rounds_per_arm`: how many rounds until a new arm is made, and `at_start`: whether half
    of the new arms have such a fault from their first state on.
    """

    lasting, pause, together = 1, 3, 1
    rounds_per_arm, at_start = 200, False
    expected = True  # whether the fault must be counted
    causes_none = False  # whether what is added to the good state must cause no command

    def __init__(self, rng: np.random.Generator):
        self._rng = rng

    def draw(self) -> None:  # noqa: B027  # not every kind has something to draw
        """Begin another fault."""

    def leap(self) -> float:
        """Return by how much the robot's clock leaps ahead before the next state [s]."""
        return 0.0

    @abstractmethod
    def messages(self, good: JointState) -> tuple[list[JointState], int]:
        """Return what arrives in a period instead of the state `good`, and how many of it are wrong or unusual."""


class Outliers(StateFault):
    """One sample with an error of any size in position or velocity, in one joint or in all."""

    together = 12

    def messages(self, good: JointState) -> tuple[list[JointState], int]:
        """See StateFault."""
        rng, n = self._rng, len(good.name)
        what = "position" if rng.random() < 0.5 else "velocity"
        values = good.position if what == "position" else good.velocity
        joints: Sequence[int] = range(n) if rng.random() < 0.2 else [int(rng.integers(n))]
        size = 10.0 ** rng.uniform(-3.0, 3.0)
        extreme = float(rng.choice(EXTREME[:5])) if rng.random() < 0.1 else None
        for joint in joints:
            values[joint] = values[joint] + size * rng.choice((-1.0, 1.0)) if extreme is None else extreme
        # a velocity that is not a number is one that was not measured
        self.expected = size >= VISIBLE[what] if extreme is None else what == "position" or not math.isnan(extreme)
        return [good], 1


class Wraps(StateFault):
    """The first joint turns without end and is reported in (-pi, pi]; now and then some states are lost."""

    lasting, pause, expected = 200, 0, False

    def __init__(self, rng: np.random.Generator):
        super().__init__(rng)
        self._lost = 0

    def messages(self, good: JointState) -> tuple[list[JointState], int]:
        """See StateFault."""
        if self._lost or self._rng.random() < 0.01:
            self._lost = self._lost - 1 if self._lost else int(self._rng.integers(1, 12))
            return [], 0
        wrapped = math.remainder(good.position[0], 2.0 * math.pi)
        changed = abs(wrapped - good.position[0]) > math.pi
        good.position[0] = wrapped
        return [good], int(changed)


class Split(StateFault):
    """The joints come in several messages, with one stamp or one after the other; now and then one of them is lost."""

    lasting, pause, expected = 60, 40, False

    def draw(self) -> None:
        """Choose the parts, and which of them is lost when."""
        rng, n = self._rng, 7
        cuts = sorted(int(cut) for cut in rng.choice(np.arange(1, n), int(rng.integers(1, n)), replace=False))
        order = rng.permutation(n) if rng.random() < 0.5 else np.arange(n)
        self._parts = [part.tolist() for part in np.split(order, cuts)]
        self._spread = (
            float(rng.uniform(0.0, 4e-3)) if rng.random() < 0.5 else 0.0
        )  # [s] between the first and the last
        self._velocities = rng.random() < 0.8
        self._lost = (int(rng.integers(len(self._parts))), int(rng.integers(5, 50)), int(rng.integers(0, 20)))
        if rng.random() < 0.5:
            self._lost = (0, 0, 0)
        self._period = 0

    def messages(self, good: JointState) -> tuple[list[JointState], int]:
        """See StateFault."""
        part, first, count = self._lost
        parts = []
        for number, joints in enumerate(self._parts):
            if number == part and first <= self._period < first + count:
                continue
            message = JointState(
                name=[good.name[joint] for joint in joints], position=[good.position[joint] for joint in joints]
            )
            if self._velocities:
                message.velocity = [good.velocity[joint] for joint in joints]
            share = number / max(1, len(self._parts) - 1)
            message.header.stamp = message_writers.to_time(seconds(good.header.stamp) + share * self._spread)
            parts.append(message)
        self._period += 1
        return parts, len(parts)


class Foreign(StateFault):
    """Messages of other joints on the same topic, with the arm's stamp or one of their own."""

    lasting, pause, causes_none = 30, 5, True

    def messages(self, good: JointState) -> tuple[list[JointState], int]:
        """See StateFault."""
        rng = self._rng
        around: tuple[list[JointState], list[JointState]] = [], []
        stamp = seconds(good.header.stamp)
        for _ in range(int(rng.integers(1, 4))):
            names = (GRIPPER, WHEELS, ("joint",), ())[rng.choice(4, p=(0.6, 0.2, 0.1, 0.1))]
            message = JointState(name=list(names), position=rng.normal(size=len(names)).tolist())
            if rng.random() < 0.7:
                message.velocity = rng.normal(size=len(names)).tolist()
            own = stamp + float(rng.normal(scale=2e-3)) if rng.random() < 0.3 else stamp
            message.header.stamp = message_writers.to_time(max(0.0, own))
            around[int(rng.integers(2))].append(message)
        return [*around[0], good, *around[1]], len(around[0]) + len(around[1])


class SecondPublisher(StateFault):
    """A second publisher of the same joints: a forgotten joint_state_publisher, a simulation, a bag that is played."""

    pause = 450  # periods: it must be gone for FORGOTTEN [s] (messages/state_check.py)
    rounds_per_arm, at_start = 4, True

    def draw(self) -> None:
        """Choose its values, its rate, its stamps and how long it runs."""
        rng = self._rng
        self.lasting = int(rng.integers(20, 300))
        self._every, self._phase = int(rng.choice((1, 2, 4, 10))), 0
        self._values = rng.choice(("zeros", "elsewhere", "frozen"), p=(0.6, 0.2, 0.2))
        self._offset = rng.uniform(0.1, 1.0, 7) * rng.choice((-1.0, 1.0), 7)
        self._frozen: list[float] | None = None
        self._same_stamp = rng.random() < 0.3
        self._before = rng.random() < 0.5
        self._shift = float(rng.uniform(0.2e-3, 4e-3))

    def messages(self, good: JointState) -> tuple[list[JointState], int]:
        """See StateFault."""
        self._phase += 1
        if self._phase % self._every:
            return [good], 0
        other = copy.deepcopy(good)
        if self._values == "zeros":
            other.position = array("d", [0.0] * len(good.name))
        elif self._values == "elsewhere":
            other.position = array("d", (np.array(good.position) + self._offset).tolist())
        else:
            self._frozen = self._frozen or (np.array(good.position) + 0.3 * self._offset).tolist()
            other.position = array("d", self._frozen)
        other.velocity = array("d", [0.0] * len(good.name) if self._values != "elsewhere" else good.velocity)
        if not self._same_stamp:
            shift = -self._shift if self._before else self._shift
            other.header.stamp = message_writers.to_time(seconds(good.header.stamp) + shift)
        return ([other, good] if self._before else [good, other]), 1


class Leaps(StateFault):
    """Stamps leap: the robot's clock is set and goes on from there, or single states have a wrong stamp."""

    lasting, pause = 40, 260  # a clock that stood still counts as stopped after a second (messages/input_gate.py)

    def draw(self) -> None:
        """Choose a leap of the clock, or stray stamps."""
        rng = self._rng
        size = float(10.0 ** rng.uniform(-2.0, 4.0) * rng.choice((-1.0, 1.0)))
        self._leap, self._stray = (size, 0.0) if rng.random() < 0.6 else (0.0, size)
        self._strays = int(rng.integers(1, 4))
        # a leap ahead by less than a missed tick or two is a gap, and nothing to report
        self.expected = self._stray != 0.0 or size < 0.0 or size > 0.2

    def leap(self) -> float:
        """See StateFault."""
        leap, self._leap = self._leap, 0.0
        return leap

    def messages(self, good: JointState) -> tuple[list[JointState], int]:
        """See StateFault."""
        if self._strays and self._stray:
            self._strays -= 1
            stamp = max(1e-3, seconds(good.header.stamp) + self._stray)
            good.header.stamp = message_writers.to_time(stamp)
        return [good], 1
