"""From ROS messages to the core's values. The only place where joint order is resolved: by name, once per layout.

A message here is anything with the fields of its ROS type: the nodes hand in rclpy's, the replay what it decoded from
a bag, and both get the same values from the same bytes. Readers never raise for a message: what is wrong with it is
counted by the stream's `InputGate` under its reason, with the names involved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exceptions import TargetError, nearest
from ..robots import Robot
from ..robots.velocity_estimator import VelocityEstimator
from ..types import Array, FeatureFrame, Observation
from .input_gate import Admission, InputGate, Rejection

Message = Any
# An input further outside the robot's limits than this many times their size is no measurement.
PLAUSIBLE = 10.0
SHOWN = 12  # names of a message that a complaint quotes
HINTS = 10  # complaints that also say which name is nearest


def seconds(stamp: Message) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec


class JointOrder:
    """The index of every one of `joints` in a message's names, remembered for the last layout seen."""

    def __init__(self, joints: Sequence[str]):
        self.joints = tuple(joints)
        self._names: list[str] | None = None
        self._index: Array | None = None
        self._problem: tuple[Rejection, str] | None = None
        self._hints = HINTS

    def resolve(self, names: Sequence[str]) -> tuple[Array | None, tuple[Rejection, str] | None]:
        """(index (n,), None), or (None, (reason, detail)) if the names do not hold every joint exactly once."""
        if self._names is None or names != self._names:
            self._names = list(names)
            self._index, self._problem = self._resolved(self._names)
        return self._index, self._problem

    def _resolved(self, names: list[str]):
        there = set(names)
        missing = [joint for joint in self.joints if joint not in there]
        if missing:
            shown, hint = names[:SHOWN], ""
            if (
                self._hints and shown
            ):  # milliseconds each: not for somebody who sends other wrong names with every message
                self._hints -= 1
                hint = f"; '{missing[0]}': did you mean '{nearest(missing[0], shown)}'?"
            quoted = ", ".join(map(repr, shown)) + (", ..." if len(names) > SHOWN else "")
            return None, (
                Rejection.MISSING_JOINTS,
                f"missing {missing}; the message has {len(names)} joints: {quoted}{hint}",
            )
        twice = [name for name, count in Counter(names).items() if count > 1 and name in self.joints]
        if twice:
            return None, (Rejection.DUPLICATE_JOINTS, f"joints named twice: {twice}")
        return np.array([names.index(joint) for joint in self.joints]), None


class JointStateReader:
    """JointState -> Observation, in the order of the robot's joints; further joints in the message are left alone."""

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
        """(observation, measured effort (n,) or None, the stream was restarted) of a message that arrives at `now` [s].

        None if the message was rejected, or if it is the first one without velocities.
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
        index, problem = self.order.resolve(message.name)
        if index is None:
            self.gate.reject(*problem)
            return None
        count = len(message.name)
        lengths = {"position": len(message.position), "velocity": len(message.velocity), "effort": len(message.effort)}
        if lengths["position"] != count or any(length not in (0, count) for length in lengths.values()):
            self.gate.reject(Rejection.WRONG_LENGTH, f"{count} names, but {lengths}")
            return None
        q = np.asarray(message.position, dtype=np.float64)[index]
        qd = np.asarray(message.velocity, dtype=np.float64)[index] if lengths["velocity"] else None
        effort = np.asarray(message.effort, dtype=np.float64)[index] if lengths["effort"] else None
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
        wild = (q < self._lowest) | (q > self._highest)
        if qd is not None:
            wild |= np.abs(qd) > self._fastest
        if wild.any():
            self._reject_joints(Rejection.IMPLAUSIBLE, wild, q, qd)
            return None
        return q, qd, effort

    def _reject_joints(self, reason: Rejection, which: Array, q: Array, qd: Array | None) -> None:
        at = int(np.flatnonzero(which)[0])
        self.gate.reject(
            reason,
            f"joint '{self.order.joints[at]}': position {q[at]:g}"
            + (f", velocity {qd[at]:g}" if qd is not None else ""),
        )


class FeatureReader:
    """PointCloud2 (x, y, confidence) and Float64MultiArray (u, v, u, v, ...) -> FeatureFrame of `points` points."""

    def __init__(self, points: int, gate: InputGate):
        self.points, self.gate = points, gate

    def read_cloud(self, message: Message, now: float) -> FeatureFrame | None:
        """The frame; its stamp is the time of exposure. A cloud without a confidence field is seen fully."""
        try:
            columns = cloud_columns(message, ("x", "y"), ("confidence",))
        except ValueError as error:
            self.gate.reject(Rejection.WRONG_FIELDS, str(error))
            return None
        confidence = columns.get("confidence", np.ones(columns["x"].size))
        return self._frame(
            seconds(message.header.stamp), np.column_stack((columns["x"], columns["y"])).ravel(), confidence, now
        )

    def read_vector(self, message: Message, stamp: float, now: float) -> FeatureFrame | None:
        """The frame of a vector, which has no stamp of its own: `stamp` [s] is what it is taken to be."""
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


_FORMATS = {7: "f4", 8: "f8"}  # PointField.FLOAT32, FLOAT64


def cloud_columns(message: Message, wanted: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Array]:
    """{field: values (count,)} of an unorganised or organised cloud; ValueError says what does not fit."""
    fields = {field.name: field for field in message.fields}
    for name in wanted:
        if name not in fields:
            raise ValueError(f"the cloud has no field '{name}'; it has {sorted(fields)}")
    count = message.width * message.height
    chosen = [fields[name] for name in (*wanted, *optional) if name in fields]
    for field in chosen:
        if field.datatype not in _FORMATS or field.count != 1:
            raise ValueError(f"field '{field.name}' must be one float32 or float64")
        if field.offset + np.dtype(_FORMATS[field.datatype]).itemsize > message.point_step:
            raise ValueError(f"field '{field.name}' ends outside its point")
    if message.row_step < message.width * message.point_step or len(message.data) < message.row_step * message.height:
        raise ValueError(f"{len(message.data)} bytes of data do not hold {count} points of {message.point_step} bytes")
    if not count:
        return {field.name: np.zeros(0) for field in chosen}
    order = ">" if message.is_bigendian else "<"
    kind = np.dtype(
        {
            "names": [f.name for f in chosen],
            "formats": [order + _FORMATS[f.datatype] for f in chosen],
            "offsets": [f.offset for f in chosen],
            "itemsize": message.point_step,
        }
    )
    points = np.ndarray(
        (message.height, message.width), kind, bytes(message.data), strides=(message.row_step, message.point_step)
    )
    return {field.name: points[field.name].astype(np.float64).ravel() for field in chosen}


# --- targets: malformed ones raise TargetError, which is told to whoever sent them ------------------------------


def read_joint_target(message: Message, order: JointOrder) -> Array:
    """Q (n,) of a target for every joint, by name."""
    index, problem = order.resolve(message.name)
    if index is None:
        raise TargetError(f"joint target: {problem[1]}")
    if len(message.position) != len(message.name):
        raise TargetError(f"joint target: {len(message.name)} names but {len(message.position)} positions")
    return np.asarray(message.position, dtype=np.float64)[index]


def read_point_target(message: Message, root: str) -> Array:
    """P (3,) [m] of a PointStamped in the frame `root`, the robot's base."""
    return _in_frame(message.header.frame_id, message.point, root)


def _in_frame(frame_id: str, point, root: str) -> Array:
    if frame_id not in ("", root):
        raise TargetError(
            f"point target: frame '{frame_id}' is not the robot's base frame '{root}'; transform the target "
            f"into '{root}' before sending it"
        )
    return np.array([point.x, point.y, point.z])


def read_pose_target(message, root: str) -> Array:
    """P (3,) [m] of a PoseStamped in the frame `root`; an orientation, which would be ignored, is refused."""
    orientation = message.pose.orientation
    if (orientation.x, orientation.y, orientation.z) != (0.0, 0.0, 0.0):
        raise TargetError("pose target: the orientation cannot be controlled; leave it at its default (0, 0, 0, 1)")
    return _in_frame(message.header.frame_id, message.pose.position, root)


def read_trajectory_target(message, order: JointOrder) -> tuple[Array, Array]:
    """(times (T,) [s] after the header's stamp, Q (T, n) [rad or m]) of a JointTrajectory to follow, by name."""
    index, problem = order.resolve(message.joint_names)
    if index is None:
        raise TargetError(f"trajectory target: {problem[1]}")
    if not message.points:
        raise TargetError("trajectory target: it has no points")
    for k, point in enumerate(message.points):
        if len(point.positions) != len(message.joint_names):
            raise TargetError(
                f"trajectory target: point {k} has {len(point.positions)} positions for "
                f"{len(message.joint_names)} joints"
            )
    times = np.array([seconds(point.time_from_start) for point in message.points])
    return times, np.array([np.asarray(point.positions, dtype=np.float64)[index] for point in message.points])


def read_feature_target(message: Message) -> Array:
    """S (m,) of a target in image coordinates."""
    try:
        columns = cloud_columns(message, ("x", "y"))
    except ValueError as error:
        raise TargetError(f"feature target: {error}") from None
    return np.column_stack((columns["x"], columns["y"])).ravel()


def answered_stamp(message: Message) -> float | None:
    """The stamp [s] of the state a command answers; None if its sender did not say."""
    try:
        return float(message.layout.dim[0].label)
    except (IndexError, ValueError):
        return None


def command_joints(message: Message) -> list[str]:
    """The joints of a command, in its order; [] if it is the robot's order, or its sender did not say."""
    return [dimension.label for dimension in message.layout.dim[1:]]
