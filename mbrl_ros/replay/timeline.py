"""What a recording tells of the run itself: which command answered which state, and what happened between the commands.

mpc_node numbers its commands. The status of command n tells which state it answers, whether it came too late and what
was known by then; an act `after` = n of the event log has its place between the commands n and n + 1. A node that was
started anew counts from 1 again: each of its lives is an `epoch`, and places are ordered by (epoch, number).
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from ..messages.readers import Message
from ..runtime.event_log import Event
from .recorded import KEPT, key_of

Place = tuple[int, float]  # epoch, number of the command, or half a number more for what follows it
LAST = 2**62  # an epoch after all others
NEEDED = ("stamp", "decision_status", "compute_ms", "latency_ms", "missed", "number", "late", "frame", "targets")


@dataclass(frozen=True, slots=True)
class RecordedTick:
    """What the status says of one command; `silent`: it was sent because no state came, the newest being `age` [s] old."""

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
        return self.epoch, float(self.number)


class StatusReader:
    """mpc_node's status messages -> {field: value}. They all begin with the same bytes, so only the first is decoded."""

    def __init__(self, decode):
        self._decode = decode  # bytes -> message or None
        self._head = b""
        self._labels: tuple[str, ...] = ()

    def read(self, data: bytes) -> dict[str, float] | None:
        """None if it is no status, or one without NEEDED."""
        size = 8 * len(self._labels)
        if not size or data[:-size] != self._head:
            return self._first(data)
        return dict(zip(self._labels, np.frombuffer(data[-size:], "<f8").tolist()))

    def _first(self, data: bytes) -> dict[str, float] | None:
        message = self._decode(data)
        labels = () if message is None else status_labels(message)
        if not set(NEEDED) <= set(labels):
            return None
        values = np.asarray(message.data, dtype=np.float64)
        if values.tobytes() == data[-8 * values.size :]:
            self._labels, self._head = labels, data[: -8 * values.size]
        return dict(zip(labels, values.tolist()))


def status_labels(message: Message) -> tuple[str, ...]:
    """The fields of a status message; () if it is another kind of message."""
    labels = tuple(dimension.label for dimension in message.layout.dim)[1:]
    return labels if "tick" in labels and len(message.data) == len(labels) else ()


class Timeline:
    """Filled as the bag is read, a little ahead of the replay, which asks what comes before its next command."""

    def __init__(self) -> None:
        self._epoch, self._newest = 0, 0  # the number of the newest command
        self._begun = False  # whether this epoch has been seen to begin: its first command, or an event
        self._ticks: dict[int, RecordedTick] = {}
        self._due: list[tuple[Place, int, Event | RecordedTick]] = []
        self._count = 0

    def add_status(self, values: dict[str, float]) -> RecordedTick | None:
        """None if the values cannot be those of a command."""
        if not all(map(math.isfinite, (values[name] for name in ("stamp", "number", "late", "targets")))):
            return None
        if values["number"] <= self._newest:
            self._epoch += 1
        self._newest = int(values["number"])
        self._begun |= self._newest == 1
        silent = values["decision_status"] < 0.0 and values["compute_ms"] == 0.0
        told = RecordedTick(
            self._epoch,
            values["stamp"],
            int(values["number"]),
            values["late"],
            values["frame"],
            int(values["targets"]),
            silent,
            1e-3 * values["latency_ms"],
            values["compute_ms"],
            values["latency_ms"],
            values["missed"],
        )
        if silent:
            self._put(told.place, told)
        else:
            self._ticks[key_of(told.stamp)] = told
            if len(self._ticks) > KEPT:
                del self._ticks[next(iter(self._ticks))]
        return told

    def add_event(self, event: Event) -> None:
        if event.name == "activate" and event.after == 0 and self._newest and self._begun:
            self._epoch, self._newest = self._epoch + 1, 0
        self._begun = True  # else what a recorder that came later was told of the time before
        self._put((self._epoch, event.after + 0.5), event)

    def tick(self, stamp: float) -> RecordedTick | None:
        """What is told of the tick that answered the state stamped `stamp` [s]."""
        return self._ticks.get(key_of(stamp))

    def before(self, place: Place) -> tuple[Place, Event | RecordedTick] | None:
        """Take the next thing that came before `place`; None if there is none left."""
        if self._due and self._due[0][0] < place:
            due, _, what = heapq.heappop(self._due)
            return due, what
        return None

    def _put(self, place: Place, what: Event | RecordedTick) -> None:
        self._count += 1
        heapq.heappush(self._due, (place, self._count, what))
