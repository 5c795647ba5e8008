"""Which of several topics of joint states holds the joints of the robot: not the gripper's, nor the other arm's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping

from ..data.stream import BagStream, Decoder, joint_names
from .topics import JOINT_STATE, Mapped

USUAL = "joint_states"
NO_STATES = ("target_joints", "target_velocities", "accepted_jog")  # how topics end that are targets


def with_state_topic(
    mapped: Mapped,
    topics: Mapping[str, tuple[str, int]],
    names_of: Callable[[str], Iterable[str]],
    wanted: Collection[str] = (),
) -> Mapped:
    """Return `mapped` with the topic of the joint states, where the user names none and there are several.

    Parameters
    ----------
    mapped
        what the user says.
    topics
        {topic: (type, count)}.
    names_of
        returns the joint names on a topic.
    wanted
        the robot's joints; without them the topic with the most joints is chosen among those with the usual name.
    """
    found = [
        name for name, (kind, count) in topics.items() if kind == JOINT_STATE and count and not name.endswith(NO_STATES)
    ]
    usual = [name for name in found if name.rpartition("/")[2] == USUAL]
    candidates = found if wanted else usual
    if "states" in mapped.topics or len(candidates) < 2:
        return mapped
    joints = {name: set(mapped.translated(names_of(name))) for name in candidates}
    held = {name: len(joints[name] & set(wanted)) if wanted else len(joints[name]) for name in candidates}
    if not any(held.values()):
        return mapped
    best = max(candidates, key=lambda name: (held[name], name in usual, topics[name][1], -len(name)))
    return dataclasses.replace(mapped, topics={**mapped.topics, "states": best})


def names_in(stream: BagStream) -> Callable[[str], list[str]]:
    """Return what reads the joint names on a topic of a bag, from its first messages."""
    decoder = Decoder(stream)
    return lambda topic: joint_names(stream.messages([topic]), decoder)
