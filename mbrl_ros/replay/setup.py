"""From a bag and what the user says of it to everything a replay needs: robot, settings, roles.

A bag of a robot that nothing is known of is replayed without planning, with a prior that knows only scales.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np

from ..config.configuration import Configuration
from ..config.sections.nodes import NodeSettings
from ..data import Recording
from ..data.stream import BagStream
from ..dynamics.priors import Prior
from ..evaluation.scores import anonymous_robot, unknown_robot_prior
from ..exceptions import MbrlError
from ..robots import Robot, load_robot
from .options import ReplayOptions
from .settings import command_source, settings_of, wanted_joints, without_delay
from .state_topic import names_in, with_state_topic
from .survey import LARGEST_MULTIPLE, Survey, surveyed
from .topics import roles_of, unmatched

APPLIED_SOURCES = {  # of the command in effect
    "answers": "the command in effect is the recorded one",
    "none": "the bag holds no commands: zero is taken",
    "held": "the command in effect is the mean of the topic's over each tick",
    "effort": "the command in effect is the measured effort",
}


@dataclasses.dataclass
class Setup:
    """Everything a replay needs.

    Parameters
    ----------
    stream, roles
        the bag, and {topic: role}.
    robot, configuration, node
        of the controller; `node`: the node's own settings.
    plan
        whether commands are computed.
    command_source
        where the command in effect comes from; see applied.py.
    prior
        of a robot that nothing is known of; None: the configured one.
    session
        what the recorder wrote of the node.
    notes
        sentences that stand above the result.
    as_recorded
        whether exactly the states that the node answered are answered.
    numbered
        whether the status numbers the commands.
    event_log
        whether what was done between the commands was recorded.
    """

    stream: BagStream
    roles: dict[str, str]
    robot: Robot
    configuration: Configuration
    node: NodeSettings
    plan: bool
    command_source: str
    prior: Prior | None
    session: dict[str, Any]
    notes: list[str]
    as_recorded: bool = False
    numbered: bool = False
    event_log: bool = False

    @property
    def simulated(self) -> bool:
        """Whether the node's clock was the simulation's."""
        return bool(self.session and self.session["parameters"].get("use_sim_time"))


def prepare(options: ReplayOptions) -> Setup:
    """Prepare a replay; MbrlError says what is missing and how to give it."""
    stream = BagStream(options.bag)
    wanted = wanted_joints(options, stream)
    mapped = with_state_topic(options.mapped, stream.topics, names_in(stream), wanted)
    roles = roles_of(stream.topics, mapped, options.bag.name)
    survey = surveyed(stream, roles, options, wanted)
    notes: list[str] = []
    values = settings_of(options, survey, notes)
    source = command_source(values, roles, survey)
    if source != "answers" and not survey.session and "control.delay" not in options.settings:
        without_delay(values, notes)
    own = NodeSettings.infos()
    node = NodeSettings.from_mapping({key: value for key, value in values.items() if key in own})
    configuration = Configuration.from_flat({key: value for key, value in values.items() if key not in own})
    if configuration.planner.time_budget:
        configuration = configuration.replace(planner__time_budget=0.0)
        notes.append("planner.time_budget: 0, a replay does not depend on the machine's speed")
    if configuration.robot.units:  # a file of the robot's machine
        configuration = configuration.replace(robot__units="")
        notes.append("robot.units: empty, a replay builds its functions")
    known = bool(values.get("robot.description") or values.get("robot_description"))
    robot, prior = _known_robot(configuration, node, survey) if known else _unknown_robot(configuration, survey, notes)
    notes.append(APPLIED_SOURCES[source])
    same_rate = configuration.control.rate == survey.recorded_rate(configuration.control.rate)
    return Setup(
        stream,
        roles,
        robot,
        configuration,
        node,
        options.plan and known,
        source,
        prior,
        survey.session,
        notes,
        survey.labelled and source in ("answers", "effort") and same_rate and not node.lockstep,
        survey.numbered and same_rate,
        same_rate and "event_log" in roles.values(),
    )


def _known_robot(configuration: Configuration, node: NodeSettings, survey: Survey) -> tuple[Robot, None]:
    """Return the configured robot; JointNameError if the bag does not have its joints."""
    robot = _load(configuration, node, survey)
    problem = unmatched(robot.joints, survey.joints)
    if problem:
        raise problem
    return robot, None


def _load(configuration: Configuration, node: NodeSettings, survey: Survey) -> Robot:
    """Load the robot; without a list of joints, with those of the URDF that the bag has."""
    section, urdf = configuration.robot, node.robot_description or None
    if section.joints:
        return load_robot(section, urdf)
    joints: tuple[str, ...] = ()
    with contextlib.suppress(MbrlError):  # some joint that is not ours may lack a limit
        joints = load_robot(section, urdf).joints
    seen = tuple(name for name in joints if name in survey.joints) or survey.joints
    return load_robot(section.replace(joints=seen), urdf)


def _unknown_robot(configuration: Configuration, survey: Survey, notes: list[str]) -> tuple[Robot, Prior]:
    """Return an anonymous robot with the joints of the bag, and a prior that knows only scales."""
    robot = _with_wide_limits(anonymous_robot(survey.recording), survey.recording)
    notes.append(
        f"nothing is known of this robot ({', '.join(survey.joints)}): replayed without planning; "
        "--config NAME or --robot URDF tells what it is"
    )
    return robot, unknown_robot_prior(robot, 1.0 / configuration.control.rate)


def _with_wide_limits(robot: Robot, recording: Recording) -> Robot:
    """Return the robot with position limits that no measurement leaves, so that damage is not taken for motion."""
    reach = LARGEST_MULTIPLE * (1.0 + np.abs(recording.q).max(axis=0))
    return dataclasses.replace(robot, position_lower=-reach, position_upper=reach)
