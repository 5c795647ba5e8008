"""The timeline of a recorded run: which command answered which state, and what happened between the commands.

mpc_node numbers its commands. The status of command n tells which state it answers, whether it came too late and what
was known by then; an event with `after` = n has its place between the commands n and n + 1. A node that was started
anew counts from 1 again and begins a new `epoch`; places are ordered by (epoch, number).
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from ..data.stream import Decoder
from ..messages.readers import Message
from ..runtime.event_log import Event
from .recorded import COMMANDS_KEPT, key_of

Place = tuple[int, float]  # epoch, number of the command, or half a number more for what follows it
LAST = 2**62  # an epoch after all others
NEEDED = ("stamp", "decision_status", "compute_ms", "latency_ms", "missed", "number", "late", "frame", "targets")


@dataclass(frozen=True, slots=True)
class RecordedTick:
    """What the status says of one command; see runtime.interfaces.Tick.

    `silent`: it was sent because no state came, the newest being `age` [s] old.
    """

    epoch: int
    stamp: float
    number: int
    late: float
    frame: float
    targets: int
    silent: bool
    age: float
    compute_ms: float
    latency_ms: float
    missed: float

    @property
    def place(self) -> Place:
        """Its place in the order of commands."""
        return self.epoch, float(self.number)


class StatusReader:
    """Reads mpc_node's status messages. They all begin with the same bytes, so only the first is decoded."""

    def __init__(self, decoder: Decoder):
        self._decoder = decoder
        self._head = b""
        self._labels: tuple[str, ...] = ()

    def read(self, topic: str, kind: str, data: bytes) -> dict[str, float] | None:
        """Return {field: value}; None if it is no status, or one without the NEEDED fields."""
        size = 8 * len(self._labels)
        if not size or data[:-size] != self._head:
            return self._first(self._decoder.decode(topic, kind, data), data)
        return dict(zip(self._labels, np.frombuffer(data[-size:], "<f8").tolist(), strict=True))

    def _first(self, message: Message | None, data: bytes) -> dict[str, float] | None:
        labels = () if message is None else status_labels(message)
        if message is None or not set(NEEDED) <= set(labels):
            return None
        values = np.asarray(message.data, dtype=np.float64)
        if values.tobytes() == data[-8 * values.size :]:
            self._labels, self._head = labels, data[: -8 * values.size]
        return dict(zip(labels, values.tolist(), strict=True))


def status_labels(message: Message) -> tuple[str, ...]:
    """Return the fields of a status message; () if it is another kind of message."""
    labels = tuple(dimension.label for dimension in message.layout.dim)[1:]
    return labels if "tick" in labels and len(message.data) == len(labels) else ()


class Timeline:
    """Recorded ticks and events in the order of the commands.

    It is filled as the bag is read, a little ahead of the replay, which asks what comes before its next command.
    """

    def __init__(self) -> None:
        self._epoch, self._newest = 0, 0  # the number of the newest command
        self._begun = False  # whether the beginning of this epoch was seen: its first command, or an event
        self._ticks: dict[int, RecordedTick] = {}
        self._due: list[tuple[Place, int, Event | RecordedTick]] = []
        self._count = 0

    def add_status(self, values: dict[str, float]) -> RecordedTick | None:
        """Add and return the tick of a status {field: value}; None if the values cannot be those of a command."""
        if not all(map(math.isfinite, (values[name] for name in ("stamp", "number", "late", "targets")))):
            return None
        if values["number"] <= self._newest:
            self._epoch += 1
        self._newest = int(values["number"])
        self._begun |= self._newest == 1
        tick = RecordedTick(
            self._epoch,
            values["stamp"],
            int(values["number"]),
            values["late"],
            values["frame"],
            int(values["targets"]),
            values["decision_status"] < 0.0 and values["compute_ms"] == 0.0,
            1e-3 * values["latency_ms"],
            values["compute_ms"],
            values["latency_ms"],
            values["missed"],
        )
        if tick.silent:
            self._put(tick.place, tick)
        else:
            self._ticks[key_of(tick.stamp)] = tick
            if len(self._ticks) > COMMANDS_KEPT:
                del self._ticks[next(iter(self._ticks))]
        return tick

    def add_event(self, event: Event) -> None:
        """Add an event of the event log."""
        if event.name == "activate" and event.after == 0 and self._newest and self._begun:
            self._epoch, self._newest = self._epoch + 1, 0
        self._begun = True  # else it is a recorder that started later and received the events of before
        self._put((self._epoch, event.after + 0.5), event)

    def tick(self, stamp: float) -> RecordedTick | None:
        """Return the tick that answered the state stamped `stamp` [s], None if the status has none."""
        return self._ticks.get(key_of(stamp))

    def take_before(self, place: Place) -> tuple[Place, Event | RecordedTick] | None:
        """Take the next event or silent tick that came before `place`; None if there is none left."""
        if self._due and self._due[0][0] < place:
            due, _, item = heapq.heappop(self._due)
            return due, item
        return None

    def _put(self, place: Place, item: Event | RecordedTick) -> None:
        self._count += 1
        heapq.heappush(self._due, (place, self._count, item))
