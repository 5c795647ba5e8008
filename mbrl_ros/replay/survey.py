"""The survey of a bag: what its first messages say of the robot, its rate and the node that was recorded."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..data import Recording
from ..data.stream import BagStream, Decoder
from ..exceptions import DataError
from ..messages.readers import Message, answered_stamp, seconds
from ..types import Array
from .options import ReplayOptions
from .timeline import status_labels

SURVEYED = 2000  # joint states looked at before the replay begins
LARGEST_MULTIPLE, SMALLEST_SIZE = 100.0, 1e-9  # times the usual size: no measurement beyond; and what counts as zero
READ = ("states", "commands", "session", "description", "status")  # roles


@dataclasses.dataclass
class Survey:
    """What the beginning of a bag says.

    Parameters
    ----------
    recording
        the surveyed states with most of the robot's joints, or else with the most frequent ones.
    joints
        their names, translated to the robot's; where the robot's joints are known, also those of the other states.
    period
        the median time between states [s]; 0: unknown.
    labelled
        whether commands name the state they answer.
    session
        what the recorder wrote of the node; {}: nothing.
    description
        the robot_description; '': none.
    first_tick
        number of the first tick in the status.
    numbered
        whether the status numbers the commands.
    """

    recording: Recording
    joints: tuple[str, ...]
    period: float = 0.0
    labelled: bool = False
    session: dict[str, Any] = dataclasses.field(default_factory=dict)
    description: str = ""
    first_tick: int = 1
    numbered: bool = False

    def recorded_rate(self, rate: float) -> float:
        """Return the control rate of the recorded node [Hz]; `rate` where nothing was recorded of it."""
        return float(self.session["parameters"].get("control.rate", rate)) if self.session else rate


def surveyed(
    stream: BagStream, roles: Mapping[str, str], options: ReplayOptions, wanted: Collection[str] = ()
) -> Survey:
    """Survey the first messages; `wanted` are the robot's joints. DataError if no joint state can be read."""
    decoder = Decoder(stream)
    found: dict[str, Any] = {}
    states: list[tuple[float, tuple[str, ...], Message]] = []
    for topic, kind, stamp, data in stream.messages(roles):
        role = roles[topic]
        if role not in READ or role == "status" and "numbered" in found:
            continue
        message = decoder.decode(topic, kind, data)
        if message is None:
            continue
        if role == "states":
            order = tuple(options.mapped.translated(message.name))
            states.append((1e-9 * stamp if options.stamps == "bag" else seconds(message.header.stamp), order, message))
            if len(states) >= SURVEYED:
                break
        elif role == "commands":
            found["labelled"] = found.get("labelled", False) or answered_stamp(message) is not None
        elif role == "status":
            found["first_tick"], found["numbered"] = first_tick(message), "number" in status_labels(message)
        elif role == "description":
            found["description"] = message.data
        else:
            found["session"] = _session(message.data)
    if not states:
        topic = next(name for name, role in roles.items() if role == "states")
        raise DataError(f"{stream.path}: none of the {stream.topics[topic][1]} messages on {topic} can be read")
    orders = Counter(order for _, order, _ in states)
    joints = max(orders, key=lambda order: (len(set(order) & set(wanted)), orders[order]))
    others = dict.fromkeys(name for order in orders for name in order if name not in joints) if wanted else {}
    apart = np.diff([stamp for stamp, _, _ in states])
    apart = apart[apart > 0.0]
    recording = _recording(stream.path.name, joints, [(s, m) for s, order, m in states if order == joints])
    return Survey(recording, (*joints, *others), float(np.median(apart)) if apart.size else 0.0, **found)


def first_tick(message: Message) -> int:
    """Return the number of the tick that a status message tells of; 1 if it is another kind of message."""
    labels = status_labels(message)
    return int(message.data[labels.index("tick")]) if labels else 1


def _recording(name: str, joints: tuple[str, ...], states: list[tuple[float, Message]]) -> Recording:
    """Return positions, velocities and efforts of the states; zeros for what is missing or not plausible."""
    n = len(joints)

    def values(columns: list[Array]) -> Array:
        rows = [row if row.size == n else np.zeros(n) for row in map(np.asarray, columns)]
        found = np.nan_to_num(np.array(rows, dtype=np.float64).reshape(len(rows), n), posinf=0.0, neginf=0.0)
        size = np.abs(found)
        plausible = (size >= SMALLEST_SIZE) & (size <= LARGEST_MULTIPLE * np.percentile(size, 99.0, axis=0) + 1e-6)
        return np.where(plausible, found, 0.0)

    effort = values([m.effort for _, m in states])
    return Recording(
        name,
        joints,
        np.array([s for s, _ in states]),
        values([m.position for _, m in states]),
        values([m.velocity for _, m in states]),
        effort if np.ptp(effort, axis=0).max(initial=0.0) > 0.0 else None,
    )


def _session(text: str) -> dict[str, Any]:
    try:
        session = json.loads(text)
    except ValueError:
        return {}
    return session if isinstance(session, dict) and isinstance(session.get("parameters"), dict) else {}
