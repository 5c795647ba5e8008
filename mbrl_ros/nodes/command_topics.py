"""Which joints of sim_node's robot each topic of commands moves. Without ROS."""

from __future__ import annotations

from collections.abc import Sequence

from ..exceptions import ConfigurationError, JointNameError


def parse_command_topics(entries: Sequence[str], joints: Sequence[str]) -> dict[str, list[int]]:
    """Return {topic: numbers of its joints, in the order of its commands} of `command_topics`.

    Parameters
    ----------
    entries
        "TOPIC JOINT JOINT ..." each.
    joints
        of the robot; each must stand in exactly one entry.

    Raises
    ------
    ConfigurationError, JointNameError
        An entry is malformed or repeats a topic, names a joint that the robot does not have, or a joint stands in none
        or in several.
    """
    key, found = "command_topics", dict[str, list[int]]()
    for entry in entries:
        topic, *names = entry.split() or [""]
        if not names or topic in found:
            why = "names its topic twice" if topic in found else "must be a topic and its joints, 'TOPIC JOINT JOINT'"
            raise ConfigurationError(f"'{key}': '{entry[:200]}' {why}", key=key, value=entry)
        if any(name not in joints for name in names):
            raise JointNameError(names, joints, what=f"the joints of '{topic}' in '{key}' and robot.joints")
        found[topic] = [list(joints).index(name) for name in names]
    given = [number for numbers in found.values() for number in numbers]
    for number, name in enumerate(joints):
        if given and given.count(number) != 1:
            raise ConfigurationError(
                f"'{key}': joint '{name}' must belong to one topic, and belongs to {given.count(number)}. A joint that "
                "nothing commands is left out of robot.joints, and is locked",
                key=key,
                value=tuple(entries),
            )
    return found
