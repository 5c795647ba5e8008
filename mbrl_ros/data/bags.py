"""Recordings as rosbag2: a folder with metadata.yaml, its storage files without it, or one file (.db3, .mcap).

The state comes from sensor_msgs/JointState. The command is the first of: the chosen topic, a
std_msgs/Float64MultiArray topic with one value per joint (ros2_control's forward_command_controller), the effort
of the joint states. A command is in effect until the next one, and u_k is its mean over [t_k, t_k+1): commands come at
other times than states, and what moves the joints is what was in effect. Stamps are those of the header, or those of
the bag where the headers are empty. A command of this package's node names the state that it answers, and counts from
the stamp of that on: in simulated time the bag's time is another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import DataError, JointNameError, nearest
from ..guard.command_bytes import PAST_GUARD
from ..types import Array
from .cleaning import cleaned
from .recording import ReadOptions, Recording
from .salvage import Raw
from .storage_files import is_storage
from .stream import BagStream, Decoder, joint_names

STATE, COMMAND_TYPE = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"

State = tuple[float, Any]  # stamp of the bag [s], decoded message


def recognizes(path: Path, start: bytes) -> bool:
    """Return whether `path` is a folder or a storage file of rosbag2."""
    return path.is_dir() or is_storage(start)


def read(path: Path, options: ReadOptions) -> Recording:
    """Return the recording in a bag; of a damaged bag, what is left of it.

    Raises
    ------
    DataError : tells what the bag lacks
    JointNameError : no message holds all of the wanted joints
    """
    from rosbags.typesys import Stores, get_typestore

    messages, notes = _messages(path)
    types = {message[0]: message[1] for message in messages}
    store = get_typestore(Stores.ROS2_HUMBLE)
    counts = Counter(message[0] for message in messages)
    topic = options.topic or _state_topic(messages, options.joints, counts)
    if types.get(topic) != STATE:
        hint = f"; did you mean '{nearest(topic, types)}'?" if topic and types else ""
        raise DataError(
            f"{path} has no {STATE} topic{f' {topic!r}' if topic else ''}{hint}. It has {dict(sorted(types.items()))}"
        )
    states, broken = _decoded(messages, topic, store)
    if not states:
        raise DataError(f"{path}: none of the {counts[topic]} messages on {topic} can be read")
    names, other = _joint_order(states, options.joints)
    states = [(stamp, message) for stamp, message in states if set(names) <= set(message.name)]
    stamps, from_header = _stamps(states)
    counts_dropped = {"unreadable messages dropped": broken, "messages of other joints dropped": other}
    if not from_header:
        notes.append("the headers carry no time: the bag's own stamps are used")
    q = _values(states, names, lambda message: message.position)
    qd = _values(states, names, lambda message: message.velocity)
    effort = _values(states, names, lambda message: message.effort)
    if q is None:
        raise DataError(f"{path}: the messages on {topic} carry no positions")
    u, source = effort, f"effort of {topic}"
    commands = _command_topic(messages, types, options.command_topic, len(names), store, path)
    if commands is not None:
        name, times, values, answered = commands
        if from_header and np.isfinite(answered).all():
            times, first = np.unique(answered, return_index=True)  # one that was sent again is the same
            values = values[first]
        elif from_header:  # no header: their bag stamps are related to the states' by the median distance
            times = times + np.median(stamps - np.array([stamp for stamp, _ in states]))
        u, source = held_mean(times, values, stamps), f"topic {name}"
    if u is None:
        source = ""
    return cleaned(path.name, names, stamps, q, qd, u, u_source=source, counts=counts_dropped, notes=tuple(notes))


def held_mean(times: Array, values: Array, stamps: Array) -> Array:
    """Return the mean (T, n) over [t_k, t_k+1), t_k = `stamps` (T,), of a command that is held between its messages.

    times (C,) [s] and values (C, n) are those of the messages. NaN before the first of them.
    """
    ends = np.append(stamps[1:], 2.0 * stamps[-1] - stamps[-2])
    integral = np.vstack([np.zeros(values.shape[1]), np.cumsum(values[:-1] * np.diff(times)[:, None], axis=0)])

    def until(moment: Array) -> Array:
        index = np.clip(np.searchsorted(times, moment, side="right") - 1, 0, len(times) - 1)
        return integral[index] + values[index] * (moment - times[index])[:, None]

    mean = (until(ends) - until(stamps)) / np.maximum(ends - stamps, 1e-12)[:, None]
    mean[stamps < times[0]] = np.nan
    return mean


def _messages(path: Path) -> tuple[list[Raw], list[str]]:
    """Return all messages of the two types of interest, in time order, and notes."""
    stream = BagStream(path)
    kinds = {topic: kind for topic, (kind, _) in stream.topics.items()}
    found = list(stream.messages([topic for topic, kind in kinds.items() if kind in (STATE, COMMAND_TYPE)]))
    if not found:
        raise DataError(f"{path} holds no message of {STATE}. It has {dict(sorted(kinds.items()))}")
    return sorted(found, key=lambda message: message[2]), stream.notes


def _state_topic(messages: list[Raw], joints: tuple[str, ...], counts: Counter[str]) -> str:
    """Return the topic of joint states that holds the wanted joints, else the usual one with the most; '': none."""
    decoder, topics = Decoder(None), {name for name, kind, *_ in messages if kind == STATE}
    names = {topic: set(joint_names((m for m in messages if m[0] == topic), decoder)) for topic in topics}

    def fitness(topic: str) -> tuple[int, bool, int, int]:
        return len(names[topic] & set(joints)), topic.endswith("joint_states"), len(names[topic]), counts[topic]

    return max(sorted(names), key=fitness, default="")


def _decoded(messages: list[Raw], topic: str, store: Any) -> tuple[list[State], int]:
    """Return the messages of a topic, and how many could not be decoded."""
    decoded: list[State] = []
    broken = 0
    for name, kind, stamp, data in messages:
        if name == topic:
            try:
                decoded.append((1e-9 * stamp, store.deserialize_cdr(data, kind)))
            except Exception:  # damaged bytes fail in many ways
                broken += 1
    return decoded, broken


def _joint_order(states: list[State], joints: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """Return the joints to read, in order, and how many messages do not hold them all."""
    common = Counter(tuple(message.name) for _, message in states).most_common(1)[0][0]
    names = joints or common
    holding = sum(set(names) <= set(message.name) for _, message in states)
    if not holding:
        raise JointNameError(names, common, what="wanted joints and those of the recording")
    return names, len(states) - holding


def _stamps(states: list[State]) -> tuple[Array, bool]:
    """Return stamps (T,) [s], and whether they are those of the headers."""
    header = np.array([message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec for _, message in states])
    if np.ptp(header) > 0.0:
        return header, True
    return np.array([stamp for stamp, _ in states]), False


def _values(states: list[State], names: tuple[str, ...], field: Callable[[Any], Sequence[float]]) -> Array | None:
    """Return one `field` (T, n) in the order of `names`: NaN for a message without it, None if no message has it."""
    rows = np.full((len(states), len(names)), np.nan)
    for row, (_, message) in zip(rows, states, strict=True):
        values = field(message)
        if len(values) == len(message.name):
            order = {name: i for i, name in enumerate(message.name)}
            row[:] = [values[order[name]] for name in names]
    return rows if np.isfinite(rows).any() else None


def _command_topic(
    messages: list[Raw], types: dict[str, str], wanted: str, n: int, store: Any, path: Path
) -> tuple[str, Array, Array, Array] | None:
    """Return the command topic's name, times (C,), values (C, n) and stamps answered (C,), or None where there is none.

    An entry of the last is the stamp [s] of the state that a command answers, NaN where it does not say.
    """
    if wanted and wanted not in types:
        raise DataError(
            f"{path} has no command topic '{wanted}'; did you mean '{nearest(wanted, types)}'? "
            f"It has {dict(sorted(types.items()))}"
        )
    for name in sorted(name for name, kind in types.items() if kind == COMMAND_TYPE and wanted in ("", name)):
        decoded = [(stamp, m) for stamp, m in _decoded(messages, name, store)[0] if len(m.data) == n]
        if len(decoded) > 1:
            times, found = zip(*decoded, strict=True)
            return name, np.array(times), np.array([m.data for m in found]), np.array(list(map(_answered, found)))
    if wanted:
        raise DataError(f"{path}: the messages on '{wanted}' do not carry {n} values, one per joint")
    return None


def _answered(message: Any) -> float:
    """Return the stamp [s] of the state that a command answers, NaN where it does not say."""
    try:
        return float(message.layout.dim[0].label.removesuffix(PAST_GUARD))
    except (IndexError, ValueError):
        return np.nan
