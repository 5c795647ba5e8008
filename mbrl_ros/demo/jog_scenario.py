"""The demo's scenario of jogging: streams of velocities, of the tool and of the joints, that begin, turn back and end.

The arm holds still for `HOLD` seconds. Then come JOGS_DRAWN pairs of slots: in the first a stream of JOG_RATE messages
a second asks for a velocity, in the second for its opposite, without a pause between them; after the second the stream
ends, and the arm comes to rest by the time-out. Twists of the tool and velocities of the joints alternate, directions
and sizes are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..references.jogging import JOGS
from ..robots import Robot
from ..scenarios.pose_scenario import check_joints
from ..scenarios.scenario import HOLD, Scenario, Slot
from ..types import Array

JOG_RATE = 50.0  # [Hz] of the stream
JOGS_DRAWN, JOG_SLOT, JOG_PAUSE = 10, 0.6, 0.9  # pairs of slots; [s] of a slot, and after a pair
LINEAR, ANGULAR = (0.05, 0.12), (0.1, 0.4)  # [m/s], [rad/s] of a twist
JOINT_SHARE = (0.05, 0.2)  # of the velocity limit, of the joint that is asked for most


def build_jog_scenario(robot: Robot, seed: int) -> Scenario:
    """Build the streams of a seed.

    Raises
    ------
    ConfigurationError
        The robot has too few joints for any twist of its tool.
    """
    check_joints(robot)
    rng, slots, t = np.random.default_rng(seed), list[Slot](), HOLD
    for number in range(JOGS_DRAWN):
        kind, value = ("twist", _twist(rng)) if number % 2 == 0 else ("velocities", _velocities(robot, rng))
        for sign in (1.0, -1.0):
            slots.append(Slot(kind, t, t + JOG_SLOT, sign * value))
            t += JOG_SLOT
        t += JOG_PAUSE
    return Scenario(seed, t, tuple(slots), 0.0, None)


class JogStream:
    """The messages of a scenario's streams, as they are due.

    sent: (stamp [s] since the start, number of the slot) of the first message of every slot so far.
    """

    def __init__(self, scenario: Scenario):
        self._slots = [slot for slot in scenario.slots if slot.kind in JOGS]
        self._due = -np.inf
        self.sent: list[tuple[float, int]] = []

    def __bool__(self) -> bool:
        """Return whether there is any stream."""
        return bool(self._slots)

    def due(self, now: float) -> Iterator[Slot]:
        """Yield the slot whose velocity is to be sent `now` [s] since the start, if a message is due."""
        number = next((i for i, slot in enumerate(self._slots) if slot.start <= now + 1e-9 < slot.end), None)
        if number is None:
            self._due = -np.inf
            return
        if now + 1e-9 < self._due:
            return
        period = 1.0 / JOG_RATE
        self._due = (now if now - self._due >= period else self._due) + period
        if not self.sent or self.sent[-1][1] != number:
            self.sent.append((now, number))
        yield self._slots[number]


def _twist(rng: np.random.Generator) -> Array:
    """Draw the velocity (6,) of the tool [m/s, rad/s]."""
    ways = rng.standard_normal((2, 3))
    ways /= np.linalg.norm(ways, axis=1)[:, None]
    return np.concatenate((rng.uniform(*LINEAR) * ways[0], rng.uniform(*ANGULAR) * ways[1]))


def _velocities(robot: Robot, rng: np.random.Generator) -> Array:
    """Draw velocities (n,) of the joints."""
    way = rng.uniform(-1.0, 1.0, robot.n)
    return np.asarray(rng.uniform(*JOINT_SHARE) / np.abs(way).max() * way * robot.velocity_limit)
