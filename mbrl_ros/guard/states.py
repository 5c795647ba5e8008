"""Joint states for the safe command. They are kept as they came and are read only when the safe command needs one.

Joints that come in several messages are put together (joint_parts.py). A state is refused whose stamp is not later than
the one before, that holds no joint of the arm, that is not finite, or whose positions the time since the last state
cannot explain, neither with the velocity limits nor with the velocities that were measured. After `state_timeout`
without a state the next one is taken whatever its stamp and positions: the robot's clock may begin anew. A joint
without position limits is continuous, and a leap of a whole turn is no motion.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .joint_parts import Awaited, JointParts, Layouts, Part
from .messages import Array, GuardParameters

KEPT, KEPT_OF_A_JOINT = 8, 2  # messages that wait to be read, at least; and for each joint, which may have its own
SLOPE_STATES = 5  # states over which a velocity is the slope of the positions
LEAP, SLACK = 1.5, 0.05  # a joint moves by at most 1.5 times its velocity limit and 0.05 [rad or m] between two states
FASTEST = 2.0  # times the velocity limit: a velocity beyond it is believed only where positions confirm it, ...
CONFIRMED = 0.5  # ... up to this share of their slope: an arm that was thrown has to be braked, too
FULL_TURN = 2.0 * np.pi


@dataclass(frozen=True, eq=False, slots=True)
class JointStates:
    """Positions q (n,) [rad or m] and velocities qd (n,) in the order of the commands; stamp and arrival [s]."""

    q: Array
    qd: Array
    stamp: float
    arrived: float


class StateBuffer:
    """Keeps the newest joint states. `decode` makes a sensor_msgs/JointState of what `put` was given.

    `refused` counts the states that were not taken, by reason.
    """

    def __init__(self, decode: Callable[[Any], Any]):
        self._decode = decode
        self._pending: deque[tuple[Any, float]] = deque(maxlen=KEPT)
        self._past: deque[JointStates] = deque(maxlen=SLOPE_STATES)
        self._parameters: GuardParameters | None = None
        self._layouts, self._parts, self._awaited = Layouts(()), JointParts(0), Awaited(0)
        self.refused: Counter[str] = Counter()

    def configure(self, parameters: GuardParameters) -> None:
        """Take joints, limits and time-out from `parameters`."""
        before, self._parameters = self._parameters, parameters
        if before is None or before.joints != parameters.joints:
            n = parameters.n
            self._layouts, self._parts, self._awaited = Layouts(parameters.joints), JointParts(n), Awaited(n)
            self._pending = deque(self._pending, maxlen=max(KEPT, KEPT_OF_A_JOINT * n))
            self._past.clear()

    def put(self, message: Any, arrived: float) -> None:
        """Keep a message that came at `arrived` [s]; from any thread."""
        self._pending.append((message, arrived))

    def completes(self, message: Any) -> bool:
        """Return whether a message that is put here is the last one of a state: every joint has come."""
        if self._parameters is None:
            return False
        try:
            return self._awaited.completes(self._layouts.find(self._decode(message).name)[0])
        except Exception:  # whatever is wrong with it
            return False

    def newest(self, now: float) -> JointStates | None:
        """Return the newest state, None if there is none younger than the time-out at `now` [s]."""
        if self._parameters is None:
            return None
        while self._pending:
            self._take(*self._pending.popleft())
        if not self._past or now - self._past[-1].arrived > self._parameters.state_timeout:
            return None
        return self._past[-1]

    def _take(self, raw: Any, arrived: float) -> None:
        try:
            reason = self._read(self._decode(raw), arrived)
        except Exception:  # whatever is wrong with one message must not end the safe command
            reason = "unreadable"
        if reason:
            self.refused[reason] += 1

    def _read(self, message: Any, arrived: float) -> str:
        """Take the state that a message completes, or return why it is refused; '' also while joints are awaited."""
        parameters = self._parameters
        assert parameters is not None
        joints, places = self._layouts.find(message.name)
        if not joints:
            return "joints missing"
        if len(message.position) != len(message.name):
            return "positions missing"
        q = np.array([message.position[i] for i in places], dtype=np.float64)
        qd = np.full(q.size, np.nan)
        if len(message.velocity) == len(message.name):
            qd = np.array([message.velocity[i] for i in places], dtype=np.float64)
        stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        if not np.isfinite(q).all():
            return "not finite"
        if len(joints) == parameters.n:
            self._parts.clear()
            return self._add(q, qd, stamp, arrived)
        whole = self._parts.add(stamp, Part(joints, q, qd), parameters.state_timeout)
        if isinstance(whole, str):
            return whole
        stamp, q, qd = whole
        return self._add(q, qd, stamp, arrived)

    def _add(self, q: Array, qd: Array, stamp: float, arrived: float) -> str:
        """Add a state, or return why it is refused."""
        parameters = self._parameters
        assert parameters is not None
        if self._past and arrived - self._past[-1].arrived > parameters.state_timeout:
            self._past.clear()
        if self._past:
            last = self._past[-1]
            if stamp <= last.stamp:
                return "not newer"
            way = q - last.q
            turns = np.where(np.isinf(parameters.position_upper), FULL_TURN * np.round(way / FULL_TURN), 0.0)
            q, way = q - turns, way - turns
            fastest = np.maximum(parameters.velocity, np.fmin(np.abs(qd), np.abs(last.qd)))
            if (np.abs(way) > LEAP * fastest * (stamp - last.stamp) + SLACK).any():
                return "positions leap"
        self._past.append(JointStates(q, self._velocity(qd, q, stamp), stamp, arrived))
        return ""

    def _velocity(self, qd: Array, q: Array, stamp: float) -> Array:
        """Return the measured velocity, or the slope of the positions where it is NaN or impossible."""
        assert self._parameters is not None
        slope = newest = np.zeros(q.size)
        if self._past:
            slope = (q - self._past[0].q) / (stamp - self._past[0].stamp)
            newest = (q - self._past[-1].q) / (stamp - self._past[-1].stamp)
        believed = np.abs(qd) <= FASTEST * self._parameters.velocity
        return np.where(believed | (np.abs(qd - newest) <= CONFIRMED * np.abs(newest)), qd, slope)
