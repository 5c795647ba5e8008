"""From ROS messages to the core's values.

A message here is anything with the fields of its ROS type: the nodes give rclpy's, the replay what it decoded from a
bag, and both get the same values from the same bytes. Readers never raise an error for a message: what is wrong with it
is counted by the stream's `InputGate` under its reason, with the names involved.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..guard.command_bytes import PAST_GUARD
from ..robots import Robot
from ..types import Array, FeatureFrame, Observation
from .input_gate import Admission, InputGate, Rejection
from .joint_assembly import JointAssembly, JointValues, WholeState
from .joint_order import Index, JointOrder
from .point_cloud import cloud_columns
from .state_check import StateCheck
from .state_history import COPIED
from .uncontrolled_joints import UncontrolledJoints

Message = Any  # with the fields of a ROS message
PLAUSIBLE = 10.0  # an input further outside the robot's limits than this many times their size is no measurement


def seconds(stamp: Message) -> float:
    """Return a builtin_interfaces/Time or Duration in seconds."""
    return float(stamp.sec + 1e-9 * stamp.nanosec)


class StateReading(NamedTuple):
    """A joint state: the observation, the measured effort (n,) [N m or N] or None, and whether it begins a time line.

    It also begins one where it does not continue the states before.
    """

    observation: Observation
    effort: Array | None
    restarted: bool


class JointStateReader:
    """Reads JointState messages in the order of the robot's joints.

    Of further joints in a message only those of `Robot.uncontrolled` count. Where they come without the robot's
    joints, or with some of them only, their positions are not part of a state but wait for `take_uncontrolled`.

    `estimating` tells whether velocities of the last state were missing and were estimated from the positions,
    `repeated` whether the last message was the one before, sent again, and `second_publisher` whether states of two
    publishers alternate.

    Parameters
    ----------
    robot
        its limits tell which values are plausible.
    gate
        judges the stamps and counts what is refused.
    missing_velocity
        "estimate" or "refuse".
    cutoff
        of the velocity estimate's low-pass [Hz].
    """

    def __init__(self, robot: Robot, gate: InputGate, *, missing_velocity: str = "estimate", cutoff: float = 30.0):
        self.gate, self.order = gate, JointOrder(robot.joints)
        self.estimating = self.repeated = self._whole = False
        self._refuse = missing_velocity == "refuse"
        self._check = StateCheck(robot, cutoff)
        self._assembly = JointAssembly(robot.joints, gate.timeout)
        self._others = UncontrolledJoints(robot.uncontrolled)
        self._taken: Array | None = None
        self._accepted: tuple[float, Array, Array] | None = None  # stamp, q and qd of the last state as it came
        span = robot.position_upper - robot.position_lower
        self._lowest, self._highest = robot.position_lower - span, robot.position_upper + span
        self._fastest = PLAUSIBLE * robot.velocity_limit
        self._strongest = PLAUSIBLE * (
            np.maximum(robot.effort_limit, robot.command_upper) if robot.interface == "effort" else robot.effort_limit
        )

    @property
    def second_publisher(self) -> bool:
        """Whether states of two publishers alternate."""
        return self._check.second_publisher

    @property
    def trusted(self) -> bool:
        """Whether states may be answered: it is known, or was before, whose they are (state_origin.py)."""
        return self._check.origin.trusted

    @property
    def others(self) -> UncontrolledJoints:
        """The joints of `Robot.uncontrolled`, as they were reported."""
        return self._others

    def take_uncontrolled(self) -> Array | None:
        """Return positions (k,), as of `Observation.uncontrolled`, that came by themselves since the last call."""
        taken, self._taken = self._taken, None
        return taken

    def read(self, message: Message, now: float, *, answered: bool = False) -> StateReading | None:
        """Read a message that arrives at `now` [s].

        Parameters
        ----------
        message
            with the fields of a JointState.
        now
            [s]
        answered
            in a replay, whether the recorded node answered the state: then it was accepted.

        Returns
        -------
        StateReading or None
            None if the message is refused, if further joints are awaited, or if it is the first one without
            velocities.
        """
        self.repeated, stamp = False, seconds(message.header.stamp)
        values = self._values(message, stamp)
        if values is None or not self._usable(values):
            return None
        stamp, q, qd, effort = values
        if self._comes_again(stamp, q, qd, now):
            return None
        if self.gate.set_back(stamp, now):
            self._check.forget()  # its positions are those of another time than its stamp says
        problem = self._check.examine(stamp, q, qd)
        if problem is not None and not answered:
            self.gate.reject(*problem)
            return None
        admission = self.gate.admit(stamp, now)
        if admission is Admission.REJECTED:
            self.repeated = self._is_last(stamp, q, qd)
            self._note_refused(stamp, q)
            return None
        self._accepted = (stamp, q, qd)
        state = self._check.accept(restarted=admission is Admission.RESTARTED)
        self.estimating = bool(np.isnan(qd).any())
        if state is None:
            return None
        if self._check.corrected.any() or self._check.replaced.any():
            self._count_corrected(q, qd, state)
        known = bool((np.abs(effort) <= self._strongest).all())  # NaN is not
        others = self._others.read(message, stamp) if self._whole and self._others.joints else None
        observation = Observation(stamp, state[0], state[1], uncontrolled=others)
        return StateReading(observation, effort if known else None, state[2])

    def _values(self, message: Message, stamp: float) -> WholeState | None:
        """Return the state that a message stamped `stamp` [s] holds or completes; None without one."""
        index = self.order.resolve(message.name)
        self._whole = not isinstance(index, tuple)
        if not isinstance(index, tuple):
            values = self._entries(message, index)
            self._assembly.clear()
            return None if values is None else WholeState(stamp, values.q, values.qd, values.effort)
        some = self.order.some(message.name) if index[0] is Rejection.MISSING_JOINTS else None
        if some is not None and self._others.names_any(message.name):
            self._taken = self._others.read(message, stamp)
            if not len(some[0]):
                return None
        if some is None or not len(some[0]):
            self.gate.reject(*index)
            return None
        values = self._entries(message, some[1])
        if values is None or not (np.isfinite(values.q).all() and math.isfinite(stamp)):
            if values is not None:
                self.gate.reject(Rejection.NOT_FINITE, f"positions {values.q.tolist()} of some joints")
            return None
        state = self._assembly.add(stamp, values._replace(joints=some[0]))
        if state is not None and not isinstance(state, WholeState):
            self.gate.reject(state[0], f"{state[1]}; {index[1]}")
            return None
        return state

    def _entries(self, message: Message, index: Index) -> JointValues | None:
        """Return the entries `index` (k,) of a message; None if its arrays do not fit its names."""
        count = len(message.name)
        lengths = {"position": len(message.position), "velocity": len(message.velocity), "effort": len(message.effort)}
        if lengths["position"] != count or any(length not in (0, count) for length in lengths.values()):
            self.gate.reject(Rejection.WRONG_LENGTH, f"{count} names, but {lengths}")
            return None
        q, qd, effort = (
            np.asarray(field, dtype=np.float64)[index] if len(field) else np.full(len(index), np.nan)
            for field in (message.position, message.velocity, message.effort)
        )
        return JointValues(index, q, qd, effort)

    def _usable(self, state: WholeState) -> bool:
        """Whether the values can be measurements; else count why not."""
        q, qd = state.q, state.qd
        if (not np.isfinite(q).all() and not self._check.can_continue(q)) or np.isinf(q).any() or np.isinf(qd).any():
            self._reject_joints(Rejection.NOT_FINITE, ~np.isfinite(q) | np.isinf(qd), q, qd)
            return False
        if self._refuse and np.isnan(qd).any():
            self.gate.reject(
                Rejection.MISSING_VELOCITY,
                "joint states hold no velocity; control.missing_velocity: estimate would differentiate the positions",
            )
            return False
        implausible = (q < self._lowest) | (q > self._highest) | (np.abs(qd) > self._fastest)
        if implausible.any():
            self._reject_joints(Rejection.IMPLAUSIBLE, implausible, q, qd)
            return False
        return True

    def _comes_again(self, stamp: float, q: Array, qd: Array, now: float) -> bool:
        """Whether this is the first state, sent again before any other: no time passes in a simulation that waits."""
        self.repeated = self.gate.accepted == 1 and self._is_last(stamp, q, qd) and self.gate.wait(now)
        if self.repeated:
            self._check.origin.send_again(now)
        return self.repeated

    def _note_refused(self, stamp: float, q: Array) -> None:
        """Take note of a state that the gate has refused: with the stamp of the last one it may contradict it."""
        last, origin = self._accepted, self._check.origin
        origin.interrupt()
        if self._whole and last is not None and stamp == last[0] and (np.abs(q - last[1]) > COPIED).any():
            self._check.second_publisher |= origin.contradict(stamp)

    def _is_last(self, stamp: float, q: Array, qd: Array) -> bool:
        """Whether the values are those of the state accepted last."""
        last = self._accepted
        return (
            last is not None
            and stamp == last[0]
            and np.array_equal(q, last[1])
            and np.array_equal(qd, last[2], equal_nan=True)
        )

    def _count_corrected(self, q: Array, qd: Array, used: tuple[Array, Array, bool]) -> None:
        for at in np.flatnonzero(self._check.replaced):
            self.gate.correct(
                "position against velocity",
                f"joint '{self.order.joints[at]}': position {q[at]:g}, by its velocity {used[0][at]:g}",
            )
        for at in np.flatnonzero(self._check.corrected)[:1]:
            self.gate.correct(
                "velocity against positions",
                f"joint '{self.order.joints[at]}': velocity {qd[at]:g}, by its positions {used[1][at]:g}",
            )

    def _reject_joints(self, reason: Rejection, which: NDArray[np.bool_], q: Array, qd: Array) -> None:
        at = int(np.flatnonzero(which)[0])
        velocity = "" if np.isnan(qd[at]) else f", velocity {qd[at]:g}"
        self.gate.reject(reason, f"joint '{self.order.joints[at]}': position {q[at]:g}{velocity}")


class FeatureReader:
    """Reads frames of `points` image points: PointCloud2 (x, y, confidence) or Float64MultiArray (u, v, u, v, ...)."""

    def __init__(self, points: int, gate: InputGate):
        self.points, self.gate = points, gate

    def read_cloud(self, message: Message, now: float) -> FeatureFrame | None:
        """Read a cloud that arrives at `now` [s].

        Its stamp is the time of exposure. Without a confidence field every point counts as seen.
        """
        try:
            columns = cloud_columns(message, ("x", "y"), ("confidence",))
        except ValueError as error:
            self.gate.reject(Rejection.WRONG_FIELDS, str(error))
            return None
        confidence = columns.get("confidence", np.ones(columns["x"].size))
        points = np.column_stack((columns["x"], columns["y"])).ravel()
        return self._frame(seconds(message.header.stamp), points, confidence, now)

    def read_vector(self, message: Message, stamp: float, now: float) -> FeatureFrame | None:
        """Read a vector that arrives at `now` [s]; it has no stamp of its own and counts as exposed at `stamp` [s]."""
        points = np.array(message.data)
        return self._frame(stamp, points, np.ones(points.size // 2), now)

    def _frame(self, stamp: float, points: Array, confidence: Array, now: float) -> FeatureFrame | None:
        if points.size != 2 * self.points:
            self.gate.reject(
                Rejection.WRONG_LENGTH, f"{points.size / 2:g} points, but features.points is {self.points}"
            )
        elif not np.isfinite(confidence).all() or not np.isfinite(points[np.repeat(confidence > 0.0, 2)]).all():
            self.gate.reject(Rejection.NOT_FINITE, f"features {points.tolist()}, confidence {confidence.tolist()}")
        elif self.gate.admit(stamp, now) is not Admission.REJECTED:
            return FeatureFrame(stamp, np.nan_to_num(points), np.clip(confidence, 0.0, 1.0))
        return None


def answered_stamp(message: Message) -> float | None:
    """Return the stamp [s] of the state that a command answers; None if its sender did not say."""
    try:
        return float(message.layout.dim[0].label.removesuffix(PAST_GUARD))
    except (IndexError, ValueError):
        return None


def command_joints(message: Message) -> list[str]:
    """Return the joints of a command, in its order; [] if it is the robot's order, or its sender did not say."""
    return [dimension.label for dimension in message.layout.dim[1:]]
