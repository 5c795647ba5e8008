"""The settings of a replay.

They come from the bag's own session (what `mbrl record` wrote of the node that ran), else from a configuration given by
name or file, else from the one in config/ whose joints the bag has; `ReplayOptions.settings` change single ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..config.configuration import Configuration
from ..config.renamed import EARLIER_VALUES, current
from ..config.resources import settings_path, share_directory
from ..config.settings_file import belongs_to_ros, keys_of, read_settings, sections_of
from ..data.stream import BagStream, Decoder
from ..exceptions import ConfigurationError
from .options import ReplayOptions
from .survey import Survey

NEVER = 1e9  # [s]
SLOW_RATE = 0.95  # a bag slower than this fraction of the configured rate sets the rate


def wanted_joints(options: ReplayOptions, stream: BagStream) -> list[str]:
    """Return the joints that the options, the configuration or the recorded node name; empty: none does."""
    if "robot.joints" in options.settings:
        return list(options.settings["robot.joints"])
    if options.config:
        return list(read_settings(settings_path(options.config), node=options.node).get("robot.joints", ()))
    decoder = Decoder(stream)
    sessions = [topic for topic in stream.topics if topic.rpartition("/")[2] == "mbrl_session"]
    for topic, kind, _, data in stream.messages(sessions):
        try:
            return list(json.loads(decoder.decode(topic, kind, data).data)["parameters"]["robot.joints"])
        except (AttributeError, ValueError, TypeError, KeyError):
            continue
    return []


def settings_of(options: ReplayOptions, survey: Survey, notes: list[str]) -> dict[str, Any]:
    """Return {key: value}; `notes` gets a sentence on where they come from."""
    if options.config:
        values = read_settings(settings_path(options.config), node=options.node)
    elif survey.session:
        values = _still_known(survey.session["parameters"], notes)
        notes.append(f"settings: those recorded of {survey.session.get('node', 'the node')}")
        if survey.first_tick > 1:
            notes.append(
                f"the recording begins at tick {survey.first_tick} of the node: what it had learned before is not "
                "in the bag, and its commands differ at first"
            )
    else:
        values = _matching_config(survey.joints, notes)
    values = {**values, **options.settings}
    if survey.description and not values.get("robot.description") and not values.get("robot_description"):
        values["robot_description"] = survey.description
        notes.append("robot: the bag's own robot_description")
    changed = set(options.settings)
    if not survey.session:
        _adapt_rate(values, survey, changed, notes)
    _convert_rate(values, survey, changed, notes)
    return values


def command_source(values: dict[str, Any], roles: Mapping[str, str], survey: Survey) -> str:
    """Return where the command in effect comes from; see applied.py. It may set `shadow` in `values`."""
    if survey.session:
        if values.get("shadow"):
            return "effort"
        same = float(values.get("control.rate", 0.0)) == survey.recorded_rate(0.0)
        return ("answers" if same else "held") if survey.labelled else "none"
    if "commands" in roles.values():
        return "answers" if survey.labelled else "held"
    if values.get("robot.interface", "effort") == "effort" and survey.recording.u is not None:
        values["shadow"] = True
        return "effort"
    return "none"


def without_delay(values: dict[str, Any], notes: list[str]) -> None:
    """Set that commands act at once, where what is taken for the command in effect is in effect already."""
    values.update({"control.delay": 0.0, "delay.adapt": False, "delay.interval": NEVER})
    notes.append("control.delay: 0, since the command that is taken is already in effect")


def _still_known(parameters: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return recorded parameters without those of ROS; those that this version does not know are noted and left out."""
    known = set(keys_of(sections_of("mpc_node")))
    parameters = {current(name): value for name, value in parameters.items()}
    unknown = [name for name in parameters if name not in known and not belongs_to_ros(name)]
    if unknown:
        notes.append(f"recorded by another version, whose settings {unknown} this one does not know")
    return {**EARLIER_VALUES, **{name: value for name, value in parameters.items() if name in known}}


def _matching_config(joints: tuple[str, ...], notes: list[str]) -> dict[str, Any]:
    """Return the first configuration in config/ whose joints the bag has, {} if there is none."""
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


def _adapt_rate(values: dict[str, Any], survey: Survey, changed: set[str], notes: list[str]) -> None:
    """Take the bag's rate where it is slower than the configured one."""
    rate = float(values.get("control.rate", Configuration.from_flat({}).control.rate))
    if survey.period and 1.0 / survey.period < SLOW_RATE * rate and "control.rate" not in changed:
        values["control.rate"] = float(f"{1.0 / survey.period:.4g}")
        notes.append(f"control.rate: {values['control.rate']:g} Hz, the rate of the bag, instead of {rate:g} Hz")


def _convert_rate(values: dict[str, Any], survey: Survey, changed: set[str], notes: list[str]) -> None:
    """Where another rate than the recorded one is asked for, make ticks of its own with the same delay in seconds."""
    if "control.rate" not in changed or not survey.session:
        return
    default = Configuration.from_flat({}).control
    recorded, rate = survey.recorded_rate(default.rate), float(values["control.rate"])
    if rate == recorded:
        return
    values["lockstep"] = False
    if "control.delay" not in changed:
        values["control.delay"] = float(values.get("control.delay", default.delay)) * rate / recorded
    notes.append(
        f"another rate than the recorded {recorded:g} Hz: ticks, and what acts during them, are not those of the run"
    )
