"""The inputs of a replay: the bag's states and features through the nodes' own readers and input gates."""

from __future__ import annotations

import dataclasses
import math
from collections import deque

from ..messages.input_gate import InputGate
from ..messages.readers import FeatureReader, JointStateReader, Message, StateReading, seconds
from ..types import Array, FeatureFrame
from .notes import BagClock, Notes
from .setup import Setup
from .timeline import RecordedTick
from .topics import Mapped


class StateInput:
    """Joint states; `gate` counts those that were refused, `covered` [s] is how long they reach."""

    def __init__(self, setup: Setup, mapped: Mapped | None, by_bag: bool, clock: BagClock, notes: Notes):
        control = setup.configuration.control
        self._mapped, self._by_bag, self._clock, self._notes = mapped, by_bag, clock, notes
        self._timeout = control.state_timeout
        stamp_clock = "stamps" if setup.node.lockstep or setup.simulated else control.stamp_clock
        self.gate = InputGate("joint_states", timeout=self._timeout, clock=stamp_clock)
        self._reader = JointStateReader(
            setup.robot, self.gate, missing_velocity=control.missing_velocity, cutoff=control.velocity_cutoff
        )
        self.newest = (0.0, 0.0)  # stamp and arrival of the newest state [s]
        self.covered, self._previous = 0.0, math.inf

    def translate(self, message: Message) -> float:
        """Give a message the robot's joint names, and the bag's stamp where that is wanted; return its stamp [s]."""
        if self._mapped is not None:
            message.name = self._mapped.translated(message.name)
        if self._by_bag:
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(1e9 * self._clock.now), 10**9)
        return seconds(message.header.stamp)

    def read(self, message: Message, answered: bool, overtook: bool) -> StateReading | None:
        """Read a state as the node did.

        Parameters
        ----------
        message
            translated.
        answered
            whether the node answered it: then it was recent.
        overtook
            whether the node answered it without having seen all that the recorder saw before it.

        Returns
        -------
        StateReading or None
            None if the state is refused.
        """
        self.gate.set_timeout(math.inf if answered else self._timeout)
        result = self._reader.read(message, self._clock.now, answered=answered)
        if result is None and overtook:
            self.gate.forget()
            result = self._reader.read(message, self._clock.now, answered=True)
        if result is not None:
            stamp = result.observation.stamp
            if result.restarted:
                self._notes.add("the stamps begin a new time line")
            self.newest = (stamp, self._clock.now)
            self.covered += max(0.0, stamp - self._previous)
            self._previous = stamp
        return result

    def take_uncontrolled(self) -> Array | None:
        """Return positions of joints that are not controlled and came by themselves since the last call."""
        return self._reader.take_uncontrolled()


class FeatureInput:
    """Feature frames, which wait until the state to which they belong is answered; `gate` counts those refused."""

    def __init__(self, setup: Setup, states: StateInput, clock: BagClock, dt: float):
        c = setup.configuration
        self._states, self._clock, self._dt = states, clock, dt
        self._lockstep, self._latency = setup.node.lockstep, c.control.feature_latency
        stamp_clock = "stamps" if setup.node.lockstep or setup.simulated else c.control.stamp_clock
        self.gate = InputGate("features", timeout=c.features.timeout, clock=stamp_clock)
        self._reader = FeatureReader(c.features.points, self.gate)
        self._frames: deque[tuple[FeatureFrame, bool]] = deque()  # whether its stamp is its own

    def add_cloud(self, message: Message) -> None:
        """Take in a PointCloud2."""
        self._add(self._reader.read_cloud(message, self._clock.now), stamped=True)

    def add_vector(self, message: Message) -> None:
        """Take in a vector, which has no stamp of its own."""
        if self._states.gate.accepted:
            stamp, arrived = self._states.newest
            since = 0.0 if self._lockstep else self._clock.now - arrived
            exposed = stamp + since - self._latency
            self._add(self._reader.read_vector(message, exposed, self._clock.now), stamped=False)

    def release(self, stamp: float, tick: RecordedTick | None) -> list[FeatureFrame]:
        """Return the frames that the node had when it answered a state.

        In lockstep a frame belongs to the first state that is not earlier, in whatever order they were recorded. A
        vector without a stamp gets the one that the node gave it, up to half a tick later.

        Parameters
        ----------
        stamp
            of the state [s].
        tick
            the recorded tick; None: unknown.
        """
        latest = math.inf
        if self._lockstep:
            latest = stamp + 0.5 * self._dt
        elif tick is not None:
            latest = -math.inf if math.isnan(tick.frame) else tick.frame
        released = []
        while self._frames:
            frame, stamped = self._frames[0]
            if not frame.stamp <= latest + (0.0 if stamped else 0.5 * self._dt):
                break
            self._frames.popleft()
            if tick is not None and not self._lockstep and not stamped:
                if abs(frame.stamp - tick.frame) <= 0.5 * self._dt:
                    frame = dataclasses.replace(frame, stamp=tick.frame)
            released.append(frame)
        return released

    def _add(self, frame: FeatureFrame | None, stamped: bool) -> None:
        if frame is not None:
            self._frames.append((frame, stamped))
