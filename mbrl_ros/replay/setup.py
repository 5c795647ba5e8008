"""From a bag and what the user says of it to everything a replay needs: robot, settings, roles, recorded commands.

Settings come from the bag's own session (what `mbrl record` wrote of the node that ran), else from a configuration
given by name or file, else from the one in config/ whose joints the bag has; `settings` change single ones. A bag of
a robot that nothing is known of is replayed without planning, with a prior that knows only scales.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config.configuration import Configuration
from ..config.renamed import current
from ..config.resources import settings_path, share_directory
from ..config.sections.nodes import NodeSettings
from ..config.settings_file import belongs_to_ros, keys_of, read_settings, sections_of
from ..data import Recording
from ..data.stream import BagStream, Decoder
from ..dynamics.priors import Prior
from ..evaluation.scores import anonymous_robot, unknown_robot_prior
from ..exceptions import ConfigurationError, DataError, MbrlError
from ..messages.readers import Message, answered_stamp, seconds
from ..robots import Robot, load_robot
from ..types import Array
from .timeline import status_labels
from .topics import Mapped, roles_of, unmatched

SURVEYED = 2000  # joint states looked at before the replay begins
ABSURD, NOTHING = 100.0, 1e-9  # times what is usual: no measurement; and what counts as zero
NEVER = 1e9  # [s]
SLOW = 0.95  # a bag slower than this fraction of the configured rate sets the rate


@dataclasses.dataclass(frozen=True)
class ReplayOptions:
    """What to replay and what to change.

    begin, end [s] count from the bag's first message; stamps: "header" or "bag"; node: full name of the node whose part of the
    file `config` is meant, where that speaks of several.
    """

    bag: Path
    config: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    mapped: Mapped = Mapped()
    begin: float = 0.0
    end: float = float("inf")
    plan: bool = True
    stamps: str = "header"
    node: str = ""


@dataclasses.dataclass
class Survey:
    """The beginning of a bag: joint names as mapped, period [s], position-like values, labels of commands, text topics."""

    joints: tuple[str, ...] = ()
    period: float = 0.0
    recording: Recording | None = None
    labelled: bool = False
    session: dict[str, Any] = dataclasses.field(default_factory=dict)
    description: str = ""
    first_tick: int = 1  # of the node that was recorded
    numbered: bool = False  # whether its status numbers the commands


@dataclasses.dataclass
class Setup:
    """`feeding`: where the command in effect comes from: "answers" (recorded by this package's node), "held" (a topic of
    another controller), "effort" (of the joint states) or "none". `as_recorded`: the states that were answered are answered;
    `numbered`, `event_log`: the status numbers the commands, and what came between them was recorded; `simulated`: the
    node's clock was the simulation's.
    """

    stream: BagStream
    roles: dict[str, str]
    robot: Robot
    configuration: Configuration
    node: NodeSettings
    plan: bool
    feeding: str
    prior: Prior | None
    session: dict[str, Any]
    notes: list[str]
    as_recorded: bool = False
    numbered: bool = False
    event_log: bool = False

    @property
    def simulated(self) -> bool:
        return bool(self.session and self.session["parameters"].get("use_sim_time"))


def prepare(options: ReplayOptions) -> Setup:
    """MbrlError says what is missing and how to give it."""
    stream = BagStream(options.bag)
    roles = roles_of(stream.topics, options.mapped, options.bag.name)
    survey = surveyed(stream, roles, options)
    notes: list[str] = []
    values, known_robot = _values(options, survey, notes)
    changed = set(options.settings)
    if not survey.session:
        rate = float(values.get("control.rate", Configuration.from_flat({}).control.rate))
        if survey.period and 1.0 / survey.period < SLOW * rate and "control.rate" not in changed:
            values["control.rate"] = float(f"{1.0 / survey.period:.4g}")
            notes.append(f"control.rate: {values['control.rate']:g} Hz, the rate of the bag, instead of {rate:g} Hz")
    _convert_rate(values, survey, changed, notes)
    feeding = _feeding(values, roles, survey)
    if feeding != "answers" and not survey.session and "control.delay" not in changed:
        values.update({"control.delay": 0.0, "delay.adapt": False, "delay.interval": NEVER})
        notes.append("control.delay: 0, since what is fed is already in effect")
    own = NodeSettings.infos()
    node = NodeSettings.from_mapping({key: value for key, value in values.items() if key in own})
    configuration = Configuration.from_flat({key: value for key, value in values.items() if key not in own})
    if configuration.planner.time_budget:
        configuration = configuration.replace(planner__time_budget=0.0)
        notes.append("planner.time_budget: 0, a replay does not depend on the machine's speed")
    if known_robot:
        robot, prior = _robot(configuration, node, survey), None
        problem = unmatched(robot.joints, survey.joints)
        if problem:
            raise problem
    else:
        robot = _within_reason(anonymous_robot(survey.recording), survey.recording)
        prior = unknown_robot_prior(robot, 1.0 / configuration.control.rate)
        notes.append(
            f"nothing is known of this robot ({', '.join(survey.joints)}): replayed without planning; "
            "--config NAME or --robot URDF tells what it is"
        )
    notes.append(
        {
            "answers": "the command in effect is the recorded one",
            "none": "the bag holds no commands: zero is taken",
            "held": "the command in effect is the mean of the topic's over each tick",
            "effort": "the command in effect is the measured effort",
        }[feeding]
    )
    same_rate = configuration.control.rate == _recorded_rate(survey, configuration.control.rate)
    as_recorded = survey.labelled and feeding in ("answers", "effort") and same_rate and not node.lockstep
    return Setup(
        stream,
        roles,
        robot,
        configuration,
        node,
        options.plan and known_robot,
        feeding,
        prior,
        survey.session,
        notes,
        as_recorded,
        survey.numbered and same_rate,
        same_rate and "event_log" in roles.values(),
    )


def surveyed(stream: BagStream, roles: Mapping[str, str], options: ReplayOptions) -> Survey:
    """What the first messages say. DataError if no joint state can be read."""
    survey, decoder = Survey(), Decoder(stream)
    states: list = []
    names: dict[tuple[str, ...], int] = {}
    told = False
    for topic, kind, stamp, data in stream.messages(roles):
        role = roles[topic]
        if role not in ("states", "commands", "session", "description", "status") or role == "status" and told:
            continue
        message = decoder.decode(topic, kind, data)
        if message is None:
            continue
        if role == "states":
            order = tuple(options.mapped.translated(message.name))
            names[order] = names.get(order, 0) + 1
            states.append((1e-9 * stamp if options.stamps == "bag" else seconds(message.header.stamp), order, message))
            if len(states) >= SURVEYED:
                break
        elif role == "commands":
            survey.labelled = survey.labelled or answered_stamp(message) is not None
        elif role == "status":
            survey.first_tick, told = first_tick(message), True
            survey.numbered = "number" in status_labels(message)
        elif role == "description":
            survey.description = message.data
        else:
            survey.session = _session(message.data)
    if not states:
        topic = next(name for name, role in roles.items() if role == "states")
        raise DataError(f"{stream.path}: none of the {stream.topics[topic][1]} messages on {topic} can be read")
    survey.joints = max(names, key=names.get)
    apart = np.diff([stamp for stamp, _, _ in states])
    apart = apart[apart > 0.0]
    survey.period = float(np.median(apart)) if apart.size else 0.0
    survey.recording = _recording(stream, survey, [(s, m) for s, order, m in states if order == survey.joints])
    return survey


def first_tick(message: Message) -> int:
    """The number of the tick a status message tells of; 1 if it is another kind of message."""
    labels = status_labels(message)
    return int(message.data[labels.index("tick")]) if labels else 1


def _recording(stream: BagStream, survey: Survey, states: list) -> Recording:
    """Positions, velocities and efforts of the surveyed states; zeros for what is not there or not finite."""

    def values(field: str) -> Array:
        rows = [np.asarray(getattr(m, field)) for _, m in states]
        n = len(survey.joints)
        rows = [row if row.size == n else np.zeros(n) for row in rows]
        found = np.nan_to_num(np.array(rows, dtype=np.float64).reshape(len(rows), n), posinf=0.0, neginf=0.0)
        size = np.abs(found)
        return np.where((size >= NOTHING) & (size <= ABSURD * np.percentile(size, 99.0, axis=0) + 1e-6), found, 0.0)

    effort = values("effort")
    return Recording(
        stream.path.name,
        survey.joints,
        np.array([s for s, _ in states]),
        values("position"),
        values("velocity"),
        effort if np.ptp(effort, axis=0).max(initial=0.0) > 0.0 else None,
    )


def _within_reason(robot: Robot, recording: Recording) -> Robot:
    """An anonymous robot with positions that nothing measured can leave, so that damage is not taken for motion."""
    reach = ABSURD * (1.0 + np.abs(recording.q).max(axis=0))
    return dataclasses.replace(robot, position_lower=-reach, position_upper=reach)


def _session(text: str) -> dict[str, Any]:
    try:
        session = json.loads(text)
    except ValueError:
        return {}
    return session if isinstance(session, dict) and isinstance(session.get("parameters"), dict) else {}


def _values(options: ReplayOptions, survey: Survey, notes: list[str]) -> tuple[dict[str, Any], bool]:
    """({key: value}, whether they tell which robot it is)."""
    given = dict(options.settings)
    if options.config:
        values = {**read_settings(settings_path(options.config), node=options.node), **given}
    elif survey.session:
        values = {**_still_known(survey.session["parameters"], notes), **given}
        notes.append(f"settings: those recorded of {survey.session.get('node', 'the node')}")
        if survey.first_tick > 1:
            notes.append(
                f"the recording begins at tick {survey.first_tick} of the node: what it had learned before is not "
                "in the bag, and its commands differ at first"
            )
    else:
        values = {**_matching_config(survey.joints, notes), **given}
    if survey.description and not values.get("robot.description") and not values.get("robot_description"):
        values["robot_description"] = survey.description
        notes.append("robot: the bag's own robot_description")
    return values, bool(values.get("robot.description") or values.get("robot_description"))


def _still_known(parameters: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Recorded parameters without those of ROS itself; what this version does not know is named and left out."""
    known = set(keys_of(sections_of("mpc_node")))
    parameters = {current(name): value for name, value in parameters.items()}
    strange = [name for name in parameters if name not in known and not belongs_to_ros(name)]
    if strange:
        notes.append(f"recorded by another version, whose settings {strange} this one does not know")
    return {name: value for name, value in parameters.items() if name in known}


def _matching_config(joints: tuple[str, ...], notes: list[str]) -> dict[str, Any]:
    for file in sorted((share_directory() / "config").glob("*.yaml")):
        try:
            values = read_settings(file)
        except ConfigurationError:
            continue
        wanted = values.get("robot.joints")
        if wanted and set(wanted) <= set(joints):
            notes.append(f"settings: config/{file.name}, whose joints the bag has")
            return values
    return {}


def _recorded_rate(survey: Survey, rate: float) -> float:
    """[Hz]; `rate` where nothing was recorded of it."""
    return float(survey.session["parameters"].get("control.rate", rate)) if survey.session else rate


def _convert_rate(values: dict[str, Any], survey: Survey, changed: set[str], notes: list[str]) -> None:
    """Another rate than the recorded one: ticks of its own, and the same delay in seconds."""
    if "control.rate" not in changed or not survey.session:
        return
    default = Configuration.from_flat({}).control
    recorded, rate = _recorded_rate(survey, default.rate), float(values["control.rate"])
    if rate == recorded:
        return
    values["lockstep"] = False
    if "control.delay" not in changed:
        values["control.delay"] = float(values.get("control.delay", default.delay)) * rate / recorded
    notes.append(
        f"another rate than the recorded {recorded:g} Hz: ticks, and what acts during them, are not those of the run"
    )


def _feeding(values: dict[str, Any], roles: Mapping[str, str], survey: Survey) -> str:
    if survey.session:
        if values.get("shadow"):
            return "effort"
        same = float(values.get("control.rate", 0.0)) == _recorded_rate(survey, 0.0)
        return ("answers" if same else "held") if survey.labelled else "none"
    if "commands" in roles.values():
        return "answers" if survey.labelled else "held"
    if values.get("robot.interface", "effort") == "effort" and survey.recording.u is not None:
        values["shadow"] = True
        return "effort"
    return "none"


def _robot(configuration: Configuration, node: NodeSettings, survey: Survey) -> Robot:
    """The robot; without a list of joints, those of the URDF that the bag has."""
    section, urdf = configuration.robot, node.robot_description or None
    if section.joints:
        return load_robot(section, urdf)
    try:
        robot = load_robot(section, urdf)
        joints = robot.joints
    except MbrlError:  # some joint that is not ours may lack a limit
        joints = ()
    seen = tuple(name for name in joints if name in survey.joints) or survey.joints
    return load_robot(section.replace(joints=seen), urdf)
