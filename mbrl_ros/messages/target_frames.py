"""Where the frame of a target is in the robot's base frame, at the target's stamp or now.

A frame is one of the robot's (robots/frames.py): fixed to its base, or moved by measured joints, which are interpolated
between two states. Or it is one that the transforms of tf2 lead to (robots/transform_buffer.py), from the frame up to
the first one of the robot's, else by the lowest frame above both it and the root link. A target stamped 0 is taken at
the newest time at which everything in between is known, as in tf2, any other at its stamp. Nothing is extrapolated.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..exceptions import TargetError
from ..robots import Robot
from ..robots.frames import RobotFrames, named
from ..robots.time_series import TimeSeries
from ..robots.transform_buffer import Climb, MissingTimeError, TransformBuffer, inverse
from ..types import Array, JointVector

MOST_STATES = 2000
POLL_PERIOD = 0.005  # [s] between two looks for a transform that is about to come


class Place(NamedTuple):
    """Where a frame is in the root link's (4, 4), and the newest stamp [s] at which that is known; inf: at any."""

    T: Array
    newest: float


class TargetFrames:
    """The frames that targets of `robot` may have.

    Parameters
    ----------
    robot
        whose base frame is that of the results.
    buffer
        of tf2's transforms.
    oldest
        how long ago [s] a transform may be the newest one for a target stamped 0.
    memory
        for how long [s] states are kept.
    update
        brings the buffer up to date; called before it is read.
    without
        why there are no transforms of tf2; empty: there may be some.
    """

    def __init__(
        self,
        robot: Robot,
        buffer: TransformBuffer,
        *,
        oldest: float,
        memory: float,
        update: Callable[[], None] = lambda: None,
        without: str = "",
    ):
        self.robot_frames, self._buffer, self._update, self._without = RobotFrames(robot), buffer, update, without
        self._names, self._oldest = (*robot.joints, *robot.uncontrolled), oldest
        self._states: TimeSeries[Array] = TimeSeries(memory, MOST_STATES)
        self._states_lock, self._lock = threading.Lock(), threading.Lock()
        self._now = math.nan  # the stamp of the newest state [s]

    def add_state(self, stamp: float, q: JointVector, r: JointVector | None, *, restarted: bool = False) -> None:
        """Take note of q (n,) and r (k,) [rad or m] at `stamp` [s]; `restarted`: stamps have begun anew."""
        values = q if r is None else np.concatenate((q, r))
        with self._states_lock:
            if restarted:
                self._states.clear()
            self._states.add(stamp, values)
            self._now = stamp

    def fixed(self, frame: str) -> bool:
        """Whether a frame stands still against the base, by the robot's description and settings alone."""
        return (frame.removeprefix("/") or self.robot_frames.root) in self.robot_frames.fixed

    def transform(self, frame: str, stamp: float = 0.0, patience: float = 0.0) -> Array:
        """Return T (4, 4), which takes points of `frame` into the base frame; '' is the base frame; from any thread.

        Parameters
        ----------
        frame
            its name in tf2.
        stamp
            when [s]; 0: now.
        patience
            how long [s] to wait for a transform, or a state, that is at most so much older than the stamp.

        Raises
        ------
        MissingTimeError
            A transform is not known at this time (any more, or yet).
        TargetError
            The frame is unknown, nothing connects it with the base, or the newest transform is too old.
        """
        if self.fixed(frame):
            return self.robot_frames.transform(frame)
        end = time.perf_counter() + patience
        while True:
            try:
                return self._moving(frame.removeprefix("/"), stamp)
            except MissingTimeError as error:
                if not 0.0 < error.ahead <= end - time.perf_counter():
                    raise
            time.sleep(POLL_PERIOD)

    def _moving(self, name: str, stamp: float) -> Array:
        """Return T (4, 4) of a frame that is not fixed to the base; see `transform`."""
        with self._lock:
            self._update()
            if stamp:
                return self._place(name, stamp).T
            newest = self._place(name, None)
            if newest.newest == math.inf:
                return newest.T
            age = self._now - newest.newest  # NaN before the first state
            if age > self._oldest:
                raise TargetError(
                    f"the newest transform of frame '{name}' is {age:.3f} s old, more than {self._oldest:g} s "
                    "(frames.oldest)",
                    kind="transform too old",
                )
            return self._place(name, newest.newest).T

    def _place(self, name: str, stamp: float | None) -> Place:
        own: dict[str, Climb] = {}
        missing: TargetError | None = None
        try:
            for climb in self._buffer.upward(name, stamp):
                own[climb.top] = climb
                if (anchor := self._anchor(climb.top, stamp)) is not None:
                    return Place(anchor.T @ climb.T, min(anchor.newest, climb.newest))
        except TargetError as error:
            missing = error
        for frame, T in self.robot_frames.fixed.items():
            above, unknown = self._buffer.above(frame, stamp)
            missing = missing or unknown
            for climb in above.values():
                if (found := own.get(climb.top)) is not None:
                    return Place(T @ inverse(climb.T) @ found.T, min(climb.newest, found.newest))
        raise missing or self._unknown(name, list(own)[-1])

    def _anchor(self, frame: str, stamp: float | None) -> Place | None:
        """Return where a frame of the robot is; None for others. TargetError if it is not known then."""
        if frame in self.robot_frames.fixed:
            return Place(self.robot_frames.fixed[frame], math.inf)
        if frame not in self.robot_frames.measured:
            return None
        with self._states_lock:
            newest, oldest = self._states.newest, self._states.oldest
            found = self._states.at(newest if stamp is None else stamp)
        if found is None:
            if stamp is None or newest == -math.inf:
                raise TargetError(f"frame '{frame}' moves with the arm, and no state has come yet", kind="no state")
            ahead = stamp - newest if stamp > newest else stamp - oldest
            side = f"{ahead:.3f} s later than the newest state" if ahead > 0.0 else f"{-ahead:.3f} s before the oldest"
            raise MissingTimeError(f"frame '{frame}' moves with the arm, and the time asked for is {side}", ahead)
        values = found.before + found.share * (found.after - found.before)
        positions = dict(zip(self._names, values.tolist(), strict=True))
        return Place(self.robot_frames.moved(frame, positions), newest)

    def _unknown(self, name: str, top: str) -> TargetError:
        frames = self.robot_frames
        if name != top or name in self._buffer.frames:
            return TargetError(
                f"no transforms connect frame '{name}' with the robot: its tree has the root '{top}', and that of the "
                f"robot '{frames.root}'",
                kind="not connected",
            )
        if name in frames.others:
            why = f"moves with joint '{frames.others[name]}', which is not controlled and does not move the tip"
            return TargetError(f"frame '{name}' {why}; {self._without or '/tf does not hold it'}", kind="unknown frame")
        there = named([*frames.fixed, *frames.measured, *self._buffer.frames], name)
        reason = f"; {self._without}" if self._without else ""
        return TargetError(f"there is no frame '{name}' that is known; {there}{reason}", kind="unknown frame")
