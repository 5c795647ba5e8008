"""A recording to look at: every moment of a bag as a Snapshot.

Time is that of the joint states' stamps. A plan, a status or a message holds from when it was recorded until the next.
"""

from __future__ import annotations

import bisect
import math
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from ..console.progress import Progress
from ..data.stream import Decoder
from ..exceptions import DataError
from ..messages.drawn_plan import DrawnPlan, read_plan
from ..messages.flat import flat_fields
from ..messages.point_cloud import drawn_points
from ..messages.readers import Message, seconds
from ..replay.setup import Setup
from ..replay.timeline import StatusReader
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..runtime.event_log import shown_event
from ..safety.state_machine import State
from ..types import Array
from .snapshot import CURVE_LENGTH, MESSAGES, MOST_CURVE_POINTS, Curves, Snapshot, values_of

DRAWN_KIND = "visualization_msgs/msg/MarkerArray"
TARGETS = ("target_point", "target_pose", "target_joints", "target_features")  # roles
SHOWN_ROLES = ("states", "status", "features", "event_log", *TARGETS)
MESSAGES_PER_LINE = 1000  # messages between two lines of progress
STATE_NAMES = {int(state): state.name for state in State}


T = TypeVar("T")


class _Track(Generic[T]):
    """Values that hold from a time [s] until the next."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.values: list[T] = []

    def add(self, time: float, value: T) -> None:
        """Add what holds from `time` on, or from the newest time before if that is later; NaN: from the beginning."""
        time = -math.inf if math.isnan(time) else time
        self.times.append(max(time, self.times[-1]) if self.times else time)
        self.values.append(value)

    def insert(self, time: float, value: T) -> None:
        """Insert what holds from `time` on until the next; NaN: from the beginning."""
        time = -math.inf if math.isnan(time) else time
        k = bisect.bisect_right(self.times, time)
        self.times.insert(k, time)
        self.values.insert(k, value)

    def at(self, time: float) -> T | None:
        """Return what holds at `time`; None before the first."""
        k = bisect.bisect_right(self.times, time)
        return self.values[k - 1] if k else None

    def until(self, time: float, count: int) -> list[T]:
        """Return the last `count` values until `time`."""
        k = bisect.bisect_right(self.times, time)
        return self.values[max(0, k - count) : k]


class _State(NamedTuple):
    """Positions and velocities of one message of joint states: {joint: [rad or m]}, {joint: [rad/s or m/s]}."""

    positions: dict[str, float]
    speeds: dict[str, float]


class Recorded:
    """The bag of `setup`, read whole; `begin` and `end` [s] are the stamps of its first and last state.

    `verdict` is the line that is shown with every moment; empty: none.
    """

    def __init__(self, setup: Setup, shown: Progress | None = None):
        self._setup, self._kinematics = setup, Kinematics(setup.robot)
        self._states: _Track[_State] = _Track()
        self._paths: _Track[Array] = _Track()
        self._drawn: _Track[DrawnPlan] = _Track()
        self._targets: _Track[Array | None] = _Track()
        self._status: _Track[dict[str, float]] = _Track()
        self._said: _Track[str] = _Track()
        self._trust: _Track[float] = _Track()
        self._events: _Track[str] = _Track()
        self._points: _Track[Array] = _Track()
        self._wanted: _Track[Array | None] = _Track()
        self._read(shown)
        if not self._states.times:
            raise DataError(f"{setup.stream.path}: no joint state can be read")
        self.begin, self.end = self._states.times[0], self._states.times[-1]
        self._curves = self._all_curves()
        self.verdict = ""

    def _read(self, shown: Progress | None) -> None:
        stream, decoder = self._setup.stream, Decoder(self._setup.stream)
        status, roles = StatusReader(decoder), self._roles()
        now, count = math.nan, 0
        for topic, kind, _, data in stream.messages(roles):
            count += 1
            if shown is not None and count % MESSAGES_PER_LINE == 0:
                shown.show(f"{count} messages read")
            role = roles[topic]
            if role == "status":
                values = status.read(topic, kind, data)
                if values is not None:
                    self._status.add(now, values)
                continue
            message = decoder.decode(topic, kind, data)
            if message is None:
                continue
            if role == "states":
                now = self._add_state(message, now)
            elif role == "plan":
                self._add_plan(message, now)
            elif role == "markers":
                stamp, drawn = read_plan(message)
                if drawn.path is not None and drawn.tube is not None:
                    self._drawn.add(max(stamp, now), drawn)
            elif role in TARGETS:
                stamp = seconds(message.header.stamp)
                begin = stamp if math.isnan(now) and stamp else max(stamp, now)  # several may wait, in any order
                self._targets.insert(begin, self._place(role, message))
                self._wanted.insert(begin, drawn_points(message) if role == "target_features" else None)
            else:
                self._add_further(role, message, now)

    def _add_further(self, role: str, message: Message, now: float) -> None:
        """Add what only the panel shows."""
        if role == "features":
            points = drawn_points(message)
            if points is not None:
                self._points.add(now, points)
        elif role == "event_log":
            if text := shown_event(message.data):
                self._events.add(now, text)
        elif role == "target_progress":
            self._trust.add(now, (flat_fields(message) or {}).get("trust", math.nan))
        else:
            self._said.add(now, message.data)

    def _roles(self) -> dict[str, str]:
        """Return {topic: role} of what is shown: plans and messages are named as mpc_node names them."""
        roles = {topic: role for topic, role in self._setup.roles.items() if role in SHOWN_ROLES}
        kinds = {
            "target_progress": "std_msgs/msg/Float64MultiArray",
            "plan": "trajectory_msgs/msg/JointTrajectory",
            "message": "std_msgs/msg/String",
            "markers": DRAWN_KIND,
        }
        for topic, (kind, _) in self._setup.stream.topics.items():
            name = topic.rpartition("/")[2]
            if topic not in roles and kinds.get(name) == kind:
                roles[topic] = name
        return roles

    def _add_state(self, message: Message, now: float) -> float:
        """Add a message of joint states; return the time [s]. The joints of others are kept from before."""
        stamp = seconds(message.header.stamp)
        count = len(message.name)
        if len(message.position) != count or not count or (self._states.times and stamp < self._states.times[-1]):
            return now
        before = self._states.values[-1].positions if self._states.times else {}
        positions = {**before, **dict(zip(message.name, map(float, message.position), strict=True))}
        speeds = dict(zip(message.name, map(float, message.velocity), strict=False))
        self._states.add(stamp, _State(positions, speeds))
        return stamp

    def _add_plan(self, message: Message, now: float) -> None:
        n = self._setup.robot.n
        Q = [point.positions for point in message.points if len(point.positions) == n]
        if tuple(message.joint_names) == self._setup.robot.joints and Q and np.isfinite(Q).all():
            self._paths.add(now, self._kinematics.positions(np.array(Q, dtype=float)))

    def _place(self, role: str, message: Message) -> Array | None:
        """Return where a target puts the end effector (3,) [m]; None where that is not known."""
        if role == "target_joints":
            index = {name: value for name, value in zip(message.name, message.position, strict=False)}
            if not set(self._setup.robot.joints) <= set(index):
                return None
            return self._kinematics.position(np.array([index[name] for name in self._setup.robot.joints], dtype=float))
        frames = ("", self._setup.robot.root, self._setup.robot.base_frame)
        if role == "target_features" or message.header.frame_id.removeprefix("/") not in frames:
            return None
        p: Any = message.point if role == "target_point" else message.pose.position
        return np.array([p.x, p.y, p.z], dtype=float)

    # --- moments ----------------------------------------------------------------------------------------------------

    def at(self, stamp: float) -> Snapshot:
        """Return the moment at `stamp` [s]; before the first state, that of the first."""
        stamp = min(max(stamp, self.begin), self.end)
        shot = self._moment(stamp)
        shot.messages, shot.events = (tuple(track.until(stamp, MESSAGES)) for track in (self._said, self._events))
        shot.points, shot.wanted_points = self._points.at(stamp), self._wanted.at(stamp)
        trust = self._trust.at(stamp)
        shot.trust = math.nan if trust is None else trust
        shot.verdict = self.verdict
        if shot.status:
            shot.supervisor = STATE_NAMES.get(int(shot.status.get("supervisor_state", -1.0)), "")
        until = self._curves["time"].searchsorted(stamp, side="right")
        shot.curves = {name: values[max(0, until - MOST_CURVE_POINTS) : until] for name, values in self._curves.items()}
        return shot

    def _moment(self, stamp: float) -> Snapshot:
        state = self._states.at(stamp)
        positions = {} if state is None else state.positions
        path, drawn = self._paths.at(stamp), self._drawn.at(stamp)
        return Snapshot(
            stamp,
            positions,
            path=path if drawn is None else drawn.path,
            tube=None if drawn is None else drawn.tube,
            target=self._targets.at(stamp),
            status=dict(self._status.at(stamp) or {}),
            speeds={} if state is None else state.speeds,
        )

    def _all_curves(self) -> dict[str, Array]:
        """Return the curves of the whole recording, MOST_CURVE_POINTS in CURVE_LENGTH."""
        curves = Curves(CURVE_LENGTH / MOST_CURVE_POINTS, length=math.inf)
        for stamp, state in zip(self._states.times, self._states.values, strict=True):
            if curves.due(stamp):
                shot = self._moment(stamp)
                curves.add(stamp, values_of(shot.status, list(state.speeds.values()), shot.path, shot.target))
        return curves.arrays()

    def messages(self) -> list[tuple[float, str]]:
        """Return all messages with their times [s]; -inf: from before the first state."""
        return list(zip(self._said.times, self._said.values, strict=True))

    @property
    def robot(self) -> Robot:
        """Return the robot of the recording."""
        return self._setup.robot

    @property
    def title(self) -> str:
        """Return the name of the bag."""
        return Path(self._setup.stream.path).name
