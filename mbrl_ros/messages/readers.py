"""From ROS messages to the core's values; the only place where joint order is resolved: by name, once per layout.

A message here is anything with the fields of its ROS type: the nodes give rclpy's, the replay what it decoded from a
bag, and both get the same values from the same bytes. Readers never raise an error for a message: what is wrong with it
is counted by the stream's `InputGate` under its reason, with the names involved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import nearest
from ..robots import Robot
from ..robots.velocity_estimator import VelocityEstimator
from ..types import Array, FeatureFrame, Observation
from .input_gate import Admission, InputGate, Rejection
from .point_cloud import cloud_columns

Message = Any  # with the fields of a ROS message
Problem = tuple[Rejection, str]  # why a message cannot be used, and the details
Index = NDArray[np.intp]  # (n,), of the robot's joints in a message
PLAUSIBLE = 10.0  # an input further outside the robot's limits than this many times their size is no measurement
NAMES_SHOWN = 12  # names of a message that a problem quotes
HINTS = 10  # problems that also say which name is nearest: it takes milliseconds to find


def seconds(stamp: Message) -> float:
    """Return a builtin_interfaces/Time or Duration in seconds."""
    return float(stamp.sec + 1e-9 * stamp.nanosec)


class JointOrder:
    """The index of every one of `joints` in a message's names, remembered for the last layout seen."""

    def __init__(self, joints: Sequence[str]):
        self.joints = tuple(joints)
        self._names: list[str] | None = None
        self._resolved: Index | Problem = np.zeros(0, dtype=np.intp)
        self._hints = HINTS

    def resolve(self, names: Sequence[str]) -> Index | Problem:
        """Return the index (n,) of the joints, or the problem if the names do not hold every joint exactly once."""
        if self._names is None or names != self._names:
            self._names = list(names)
            self._resolved = self._resolve(self._names)
        return self._resolved

    def _resolve(self, names: list[str]) -> Index | Problem:
        there = set(names)
        missing = [joint for joint in self.joints if joint not in there]
        if missing:
            shown, hint = names[:NAMES_SHOWN], ""
            if self._hints and shown:
                self._hints -= 1
                hint = f"; '{missing[0]}': did you mean '{nearest(missing[0], shown)}'?"
            quoted = ", ".join(map(repr, shown)) + (", ..." if len(names) > NAMES_SHOWN else "")
            return Rejection.MISSING_JOINTS, (f"missing {missing}; the message has {len(names)} joints: {quoted}{hint}")
        twice = [name for name, count in Counter(names).items() if count > 1 and name in self.joints]
        if twice:
            return Rejection.DUPLICATE_JOINTS, f"joints named twice: {twice}"
        return np.array([names.index(joint) for joint in self.joints], dtype=np.intp)


class JointStateReader:
    """Reads JointState messages in the order of the robot's joints; further joints in a message are ignored.

    `estimating` tells whether velocities are missing and are estimated from the positions.

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
        self.estimating = False
        self._refuse = missing_velocity == "refuse"
        self._estimator = VelocityEstimator(cutoff)
        span = np.where(
            np.isfinite(robot.position_upper - robot.position_lower),
            robot.position_upper - robot.position_lower,
            np.inf,
        )
        self._lowest, self._highest = robot.position_lower - span, robot.position_upper + span
        self._fastest = PLAUSIBLE * robot.velocity_limit
        self._strongest = PLAUSIBLE * (
            np.maximum(robot.effort_limit, robot.command_upper) if robot.interface == "effort" else robot.effort_limit
        )

    def read(self, message: Message, now: float) -> tuple[Observation, Array | None, bool] | None:
        """Read a message that arrives at `now` [s].

        Returns
        -------
        tuple or None
            the observation, the measured effort (n,) [N m or N] or None, and whether its stamps begin a new time line;
            None if the message is refused, or if it is the first one without velocities.
        """
        values = self._values(message)
        if values is None:
            return None
        q, qd, effort = values
        stamp = seconds(message.header.stamp)
        admission = self.gate.admit(stamp, now)
        if admission is Admission.REJECTED:
            return None
        self.estimating = qd is None
        if qd is None:
            qd = self._estimator.update(stamp, q)
            if qd is None:
                return None
        return Observation(stamp, q, qd), effort, admission is Admission.RESTARTED

    def _values(self, message: Message) -> tuple[Array, Array | None, Array | None] | None:
        index = self.order.resolve(message.name)
        if isinstance(index, tuple):
            self.gate.reject(*index)
            return None
        count = len(message.name)
        lengths = {"position": len(message.position), "velocity": len(message.velocity), "effort": len(message.effort)}
        if lengths["position"] != count or any(length not in (0, count) for length in lengths.values()):
            self.gate.reject(Rejection.WRONG_LENGTH, f"{count} names, but {lengths}")
            return None
        q: Array = np.asarray(message.position, dtype=np.float64)[index]
        qd: Array | None = np.asarray(message.velocity, dtype=np.float64)[index] if lengths["velocity"] else None
        effort: Array | None = np.asarray(message.effort, dtype=np.float64)[index] if lengths["effort"] else None
        if qd is not None and np.isnan(qd).all():  # what joint_state_broadcaster sends for an interface it lacks
            qd = None
        if effort is not None and not (np.abs(effort) <= self._strongest).all():  # NaN too
            effort = None
        if not np.isfinite(q).all() or qd is not None and not np.isfinite(qd).all():
            self._reject_joints(Rejection.NOT_FINITE, ~np.isfinite(q if qd is None else q + qd), q, qd)
            return None
        if qd is None and self._refuse:
            self.gate.reject(
                Rejection.MISSING_VELOCITY,
                "joint states hold no velocity; control.missing_velocity: estimate would differentiate the positions",
            )
            return None
        implausible = (q < self._lowest) | (q > self._highest)
        if qd is not None:
            implausible |= np.abs(qd) > self._fastest
        if implausible.any():
            self._reject_joints(Rejection.IMPLAUSIBLE, implausible, q, qd)
            return None
        return q, qd, effort

    def _reject_joints(self, reason: Rejection, which: NDArray[np.bool_], q: Array, qd: Array | None) -> None:
        at = int(np.flatnonzero(which)[0])
        self.gate.reject(
            reason,
            f"joint '{self.order.joints[at]}': position {q[at]:g}"
            + (f", velocity {qd[at]:g}" if qd is not None else ""),
        )


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
        return float(message.layout.dim[0].label)
    except (IndexError, ValueError):
        return None


def command_joints(message: Message) -> list[str]:
    """Return the joints of a command, in its order; [] if it is the robot's order, or its sender did not say."""
    return [dimension.label for dimension in message.layout.dim[1:]]
