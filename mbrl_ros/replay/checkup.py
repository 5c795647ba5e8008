"""What a bag or a live graph says of its joint states and commands, measured in one pass and bounded memory."""

from __future__ import annotations

import dataclasses
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..data.pace import pace
from ..data.salvage import Raw
from ..data.stream import Decoder
from ..dynamics.delay_estimation import DelayEstimate, DelayEstimator
from ..messages.readers import Message, answered_stamp, seconds
from ..types import Array
from .partial_states import PartialStates
from .recorded import key_of

STATES_KEPT = 20_000  # states kept whole, for what needs positions
LARGEST_VALUE = 1e6  # nothing measured in rad, m, N m or N is larger
FEWEST_STATES = 20  # states below which nothing is said of rates


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """The first states with the most frequent `joints`.

    arrivals, stamps (T,) [s]; q, qd, effort (T, n) in the units of JointState, NaN where missing.
    """

    joints: tuple[str, ...]
    arrivals: Array
    stamps: Array
    q: Array
    qd: Array
    effort: Array

    def has(self, field: str) -> bool:
        """Return whether any state holds `field` of every joint."""
        return bool(np.isfinite(getattr(self, field)).all(axis=1).any())


class _State(NamedTuple):
    """One kept state: joint names, arrival and stamp [s], and what it holds of them."""

    layout: tuple[str, ...]
    arrival: float
    stamp: float
    q: Array
    qd: Array
    effort: Array


class Checkup:
    """What a bag or a live graph says of its joint states and commands: `add` every message, then read the attributes.

    `arrivals`, `stamps` of the states and `command_arrivals` [s]; `layouts`: {joint names in the order of the message:
    count}; `problems`: {what: count} of the joint states; `command_sizes`: {values in a command: count};
    `description`: the robot_description.

    Parameters
    ----------
    topics
        {topic: (type, count)}.
    roles
        {topic: role}; see topics.py.
    partial
        puts states together whose joints come in several messages; None: every message is a state.
    """

    def __init__(
        self,
        topics: Mapping[str, tuple[str, int]],
        roles: Mapping[str, str],
        partial: PartialStates | None = None,
    ):
        self.topics, self.roles, self.partial = dict(topics), dict(roles), partial
        self.arrivals, self.stamps = array("d"), array("d")
        self.layouts: Counter[tuple[str, ...]] = Counter()
        self.problems: Counter[str] = Counter()
        self.command_arrivals = array("d")
        self.command_sizes: Counter[int] = Counter()
        self.implausible_commands = 0
        self.description = ""
        self._kept: list[_State] = []
        self._commands: list[tuple[float, int | None, Array]] = []
        self._last_names: list[str] = []
        self._last_layout: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        topics: Mapping[str, tuple[str, int]],
        roles: Mapping[str, str],
        messages: Iterable[Raw],
        decoder: Decoder,
        partial: PartialStates | None = None,
    ) -> Checkup:
        """Return the checkup of serialized messages."""
        checkup = cls(topics, roles, partial)
        for topic, kind, stamp, data in messages:
            message = decoder.decode(topic, kind, data)
            if message is not None:
                checkup.add(roles[topic], 1e-9 * stamp, message)
        return checkup

    def add(self, role: str, arrival: float, message: Message) -> None:
        """Add a message with its role that arrived at `arrival` [s]."""
        if role == "states":
            whole = message if self.partial is None else self.partial.whole(message)
            if whole is not None:
                self._add_state(arrival, whole)
        elif role == "commands":
            self._add_command(arrival, message)
        elif role == "description":
            self.description = message.data

    @property
    def joints(self) -> tuple[str, ...]:
        """The joints of the most frequent layout, in its order; () before the first state."""
        return self.layouts.most_common(1)[0][0] if self.layouts else ()

    def samples(self) -> Samples:
        """Return the first states with the most frequent layout."""
        n = len(self.joints)
        rows = [state for state in self._kept if state.layout == self.joints]
        q, qd, effort = (
            np.array([_sized(values, n) for values in column]).reshape(len(rows), n)
            for column in ([s.q for s in rows], [s.qd for s in rows], [s.effort for s in rows])
        )
        arrivals, stamps = np.array([s.arrival for s in rows]), np.array([s.stamp for s in rows])
        return Samples(self.joints, arrivals, stamps, q, qd, effort)

    def commands(self) -> tuple[Array, Array]:
        """Return arrivals (C,) [s] and values (C, n) of the first commands with one value per joint."""
        chosen = [(arrival, u) for arrival, _, u in self._commands if u.size == len(self.joints)]
        return np.array([a for a, _ in chosen]), np.array([u for _, u in chosen]).reshape(len(chosen), len(self.joints))

    def delay(self, samples: Samples) -> DelayEstimate | None:
        """Estimate the delay from commands to motion; None where there is too little to see.

        The commands are those that answered the states, or else came next after them.
        """
        arrivals, values = self.commands()
        if len(arrivals) < FEWEST_STATES or len(samples.stamps) < FEWEST_STATES or not samples.has("qd"):
            return None
        answers = {label: u for _, label, u in self._commands if label is not None}
        estimator = DelayEstimator(len(self.joints), self.period())
        for arrival, stamp, q, qd in zip(samples.arrivals, samples.stamps, samples.q, samples.qd, strict=True):
            u = answers.get(key_of(stamp)) if answers else _following(arrivals, values, arrival)
            if u is not None and u.size == q.size and np.isfinite(q).all() and np.isfinite(qd).all():
                estimator.update(stamp, q, qd, u)
        return estimator.estimate()

    def period(self) -> float:
        """Return the median time between the states' stamps, or between arrivals where stamps say nothing [s]."""
        for times in (self.stamps, self.arrivals):
            apart = np.diff(np.array(times))
            apart = apart[apart > 0.0]
            if apart.size:
                return float(np.median(apart))
        return 0.0

    def _add_state(self, arrival: float, message: Message) -> None:
        if message.name != self._last_names:  # comparing the last one saves making a tuple of every message
            self._last_names, self._last_layout = message.name, tuple(message.name)
        layout, count = self._last_layout, len(message.name)
        stamp = seconds(message.header.stamp)
        self.arrivals.append(arrival)
        self.stamps.append(stamp)
        self.layouts[layout] += 1
        position, velocity, effort = message.position, message.velocity, message.effort
        if len(position) != count:
            self.problems["positions are not one per joint"] += 1
        elif not np.isfinite(position).all():
            self.problems["a position is not finite"] += 1
        if not len(velocity):
            self.problems["no velocities"] += 1
        elif len(velocity) != count or np.isnan(velocity).all():
            self.problems["no usable velocities"] += 1
        elif not np.isfinite(velocity).all():
            self.problems["a velocity is not finite"] += 1
        if len(self._kept) < STATES_KEPT:
            self._kept.append(
                _State(
                    layout,
                    arrival,
                    stamp,
                    np.array(position, dtype=np.float64),
                    np.array(velocity, dtype=np.float64),
                    np.array(effort, dtype=np.float64),
                )
            )

    def _add_command(self, arrival: float, message: Message) -> None:
        self.command_arrivals.append(arrival)
        self.command_sizes[len(message.data)] += 1
        answered = answered_stamp(message)
        u = np.array(message.data, dtype=np.float64)
        if not (np.abs(u) < LARGEST_VALUE).all():  # NaN too
            self.implausible_commands += 1
        elif len(self._commands) < STATES_KEPT:
            label = key_of(answered) if answered is not None and np.isfinite(answered) else None
            self._commands.append((arrival, label, u))


def interface_of(samples: Samples, times: Array, values: Array) -> str:
    """Return "effort", "velocity" or "position": what a held command resembles.

    The measure is the residual over the command's own size. Without commands a measured effort means effort.

    Parameters
    ----------
    samples
        states.
    times, values
        (C,) [s] and (C, n) of commands.
    """
    if len(times) < FEWEST_STATES:
        return "effort" if samples.has("effort") and np.nanmax(np.nanstd(samples.effort, axis=0)) > 0.0 else "position"
    index = np.searchsorted(times, samples.arrivals, side="right") - 1
    known = (index >= 0) & np.isfinite(samples.q).all(axis=1)
    u = values[np.maximum(index, 0)][known]
    if not known.any():
        return "effort"

    def residual(x: Array) -> float:
        return float(np.median(np.abs(u - x).mean(axis=0) / np.maximum(np.abs(u).mean(axis=0), 1e-9)))

    found = {"position": residual(samples.q[known])}
    if samples.has("qd"):
        found["velocity"] = residual(np.nan_to_num(samples.qd[known]))
    best = min(found, key=lambda interface: found[interface])
    return best if found[best] < 0.3 else "effort"


def pace_of(samples: Samples) -> float | None:
    """Return how far positions move over how far velocities and stamps say; None where nothing moves."""
    if len(samples.stamps) < FEWEST_STATES or not samples.has("qd"):
        return None
    return pace(samples.stamps, samples.q, samples.qd)


def _sized(values: Array, n: int) -> Array:
    return np.where(np.abs(values) < LARGEST_VALUE, values, np.nan) if values.size == n else np.full(n, np.nan)


def _following(arrivals: Array, values: Array, arrival: float) -> Array | None:
    """Return the first command (n,) after `arrival` [s]."""
    index = int(np.searchsorted(arrivals, arrival))
    if index >= len(arrivals):
        return None
    following: Array = values[index]
    return following


def facts(checkup: Checkup) -> dict[str, Any]:
    """Return the numbers behind the findings, for --json."""
    period, stamps = checkup.period(), np.array(checkup.stamps)
    step = np.diff(stamps)
    return {
        "states": len(stamps),
        "joints": list(checkup.joints),
        "rate_hz": 1.0 / period if period else None,
        "jitter_p99": float(np.percentile(np.abs(step - period), 99) / period) if period and step.size else None,
        "commands": len(checkup.command_arrivals),
        "trouble": dict(checkup.problems),
    }
