"""Which topic of a bag has which role, and which joint of the bag is which of the robot.

A role is filled by the topic that the user names, else by the one topic of its type whose name ends in the role's usual
name. Joint names are translated before a message reaches the nodes' readers, which then resolve them by name as always;
a name that is not translated stays.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from collections.abc import Mapping as Names
from pathlib import Path

from ..config.yaml_tree import LARGEST_YAML, Mapping, Scalar, at, tree
from ..exceptions import ConfigurationError, DataError, JointNameError, nearest
from ..files import read_text

JOINT_STATE, VECTOR = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"
CLOUD, POINT_TYPE, TEXT = "sensor_msgs/msg/PointCloud2", "geometry_msgs/msg/PointStamped", "std_msgs/msg/String"
TWIST = "geometry_msgs/msg/TwistStamped"
POSE, TRAJECTORY = "geometry_msgs/msg/PoseStamped", "trajectory_msgs/msg/JointTrajectory"
EVENT = "rcl_interfaces/msg/ParameterEvent"
# role -> (type, usual names: the last part of a topic, best first)
ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "session": (TEXT, ("mbrl_session",)),
    "description": (TEXT, ("robot_description",)),
    "parameters": (EVENT, ("parameter_events",)),
    "target_joints": (JOINT_STATE, ("target_joints",)),
    "target_point": (POINT_TYPE, ("target_point",)),
    "target_pose": (POSE, ("target_pose",)),
    "target_features": (CLOUD, ("target_features",)),
    "target_twist": (TWIST, ("target_twist",)),
    "target_velocities": (JOINT_STATE, ("target_velocities",)),
    "target_jog": (JOINT_STATE, ("accepted_jog",)),  # of control_msgs/JointJog, where the node accepted it
    "target_trajectory": (TRAJECTORY, ("target_trajectory",)),
    "target_goal": (TRAJECTORY, ("goal_trajectory",)),  # of the action, where the node accepted it
    "features": (CLOUD, ("features",)),
    "features_vector": (VECTOR, ("features_vector",)),
    "states": (JOINT_STATE, ("joint_states",)),
    "status": (VECTOR, ("status",)),
    "event_log": (TEXT, ("event_log", "journal")),  # the latter in earlier recordings
    "policy": ("std_msgs/msg/UInt8MultiArray", ("policy",)),
    "commands": (VECTOR, ("commands_in", "commands", "shadow_commands", "command")),
}
NEVER_COMMANDS = ("status", "features_vector")


@dataclasses.dataclass(frozen=True)
class Mapped:
    """What the user says of a foreign bag: {role: topic} and {joint in the bag: joint of the robot}."""

    topics: Names[str, str] = dataclasses.field(default_factory=dict)
    joints: Names[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, topics: Iterable[str] = (), joints: Iterable[str] = (), file: str | Path | None = None) -> Mapped:
        """Return what ROLE=TOPIC and BAG_JOINT=ROBOT_JOINT entries say; they override a map file.

        The file is YAML and holds the mappings `topics` and `joints`.
        """
        content = _read(file) if file else {}
        return cls(
            {**content.get("topics", {}), **dict(_entry(text, "ROLE=TOPIC") for text in topics)},
            {**content.get("joints", {}), **dict(_entry(text, "BAG_JOINT=ROBOT_JOINT") for text in joints)},
        )

    def joint(self, name: str) -> str:
        """Return the robot's name of a joint of the bag; in `fer_joint{}=panda_joint{}`, {} stands for any text."""
        if name in self.joints:
            return self.joints[name]
        for pattern, wanted in self.joints.items():
            if "{}" in pattern:
                found = re.fullmatch("(.+)".join(map(re.escape, pattern.split("{}", 1))), name)
                if found:
                    return wanted.replace("{}", found[1])
        return name

    def translated(self, names: Iterable[str]) -> list[str]:
        """Return the robot's names of joints of the bag."""
        return [self.joint(name) for name in names] if self.joints else list(names)


def roles_of(topics: Names[str, tuple[str, int]], mapped: Mapped, bag: str) -> dict[str, str]:
    """Return {topic: role} of a bag with `topics` {name: (type, count)}; DataError if there is no joint state."""
    chosen = _named(topics, mapped, bag)
    for role, (kind, usual) in ROLES.items():
        if role in mapped.topics:
            continue
        fitting = {name for name, (found, count) in topics.items() if found == kind and count and name not in chosen}
        topic = _usual(fitting, usual, topics)
        if topic is None and role == "states" and len(fitting) == 1:
            topic = fitting.pop()
        if topic is None and role == "commands":
            topic = _usual_ending({name for name in fitting if not name.endswith(NEVER_COMMANDS)})
        if topic is not None:
            chosen[topic] = role
    if "states" not in chosen.values():
        raise DataError(
            f"{bag}: no joint states found ({JOINT_STATE}). {_listed(topics)} Name the topic: --topic states=TOPIC"
        )
    return chosen


def _named(topics: Names[str, tuple[str, int]], mapped: Mapped, bag: str) -> dict[str, str]:
    """Return {topic: role} of those that the user names; an empty name means that no topic has the role."""
    chosen: dict[str, str] = {}
    for role, topic in mapped.topics.items():
        if role not in ROLES:
            raise ConfigurationError(f"no role '{role}'; did you mean '{nearest(role, ROLES)}'? Roles: {list(ROLES)}")
        if topic == "":
            continue
        if topic not in topics:
            raise DataError(
                f"{bag} has no topic '{topic}' for {role}; did you mean '{nearest(topic, topics)}'? {_listed(topics)}"
            )
        if topics[topic][0] != ROLES[role][0]:
            raise DataError(f"{bag}: '{topic}' holds {topics[topic][0]}, but {role} needs {ROLES[role][0]}")
        chosen[topic] = role
    return chosen


def unmatched(wanted: Iterable[str], given: Iterable[str]) -> JointNameError | None:
    """Return the error for joints of the robot that the bag does not have; None if it has all.

    Where it can be told, it says which --joint would help.
    """
    wanted, given = tuple(wanted), tuple(given)
    if set(wanted) <= set(given):
        return None
    error = JointNameError(wanted, given, what="joints of the robot and of the bag")
    pattern = _pattern(wanted, given)
    advice = (
        f"--joint '{pattern}' would match them"
        if pattern
        else "name each pair: --joint BAG_JOINT=ROBOT_JOINT, or a --map file"
    )
    error.args = (f"{error.args[0]}. {advice}",)
    return error


def _pattern(wanted: tuple[str, ...], given: tuple[str, ...]) -> str:
    """Return PREFIX{}=PREFIX{} if the names differ only in what stands before the last number, else ''."""
    heads = [{re.sub(r"\d+\D*$", "", name) for name in names} for names in (given, wanted)]
    if len(heads[0]) == len(heads[1]) == 1:
        (old,), (new,) = heads
        if {new + name[len(old) :] for name in given} >= set(wanted):
            return f"{old}{{}}={new}{{}}"
    return ""


def _usual(fitting: set[str], usual: tuple[str, ...], topics: Names[str, tuple[str, int]]) -> str | None:
    for ending in usual:
        named = {name for name in fitting if name.rsplit("/", 1)[-1] == ending}
        if named:
            return max(sorted(named), key=lambda name: topics[name][1])
    return None


def _usual_ending(fitting: set[str]) -> str | None:
    """Return the only candidate, if there is just one."""
    return fitting.pop() if len(fitting) == 1 else None


def _listed(topics: Names[str, tuple[str, int]]) -> str:
    if not topics:
        return "It holds no topic."
    return "It has " + ", ".join(f"{name} ({kind}, {count})" for name, (kind, count) in sorted(topics.items())) + "."


def _entry(text: str, form: str) -> tuple[str, str]:
    key, equal, value = text.partition("=")
    if not equal or not key:
        raise ConfigurationError(f"'{text}' must be {form}", value=text)
    return key, value


def _read(file: str | Path) -> dict[str, dict[str, str]]:
    """Return the mappings of a map file as texts; ConfigurationError names file and line of what is wrong."""
    source = str(file)
    try:
        documents = tree(read_text(file, LARGEST_YAML), source)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}", source=source) from None
    content: dict[str, dict[str, str]] = {}
    for root in documents:
        if not isinstance(root, Mapping) or not all(isinstance(part, Mapping) for _, part in root.pairs):
            raise at(source, root.line, "a map file holds the mappings 'topics' and 'joints'")
        for key, part in root.pairs:
            if key.text not in ("topics", "joints"):
                hint = nearest(key.text, ("topics", "joints"))
                raise at(source, key.line, f"unknown mapping '{key.text}'; did you mean '{hint}'?", key=key.text)
            assert isinstance(part, Mapping)
            entries = content.setdefault(key.text, {})
            for name, value in part.pairs:
                if not isinstance(value, Scalar):
                    raise at(source, name.line, f"'{name.text}' must have one name")
                if name.text in entries:
                    raise at(source, name.line, f"'{name.text}' is given twice")
                entries[name.text] = value.text
    return content
