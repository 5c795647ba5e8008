"""The settings that a file holds for one node of this package, checked one by one: an error names file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..exceptions import ConfigurationError, MbrlError, nearest
from . import registry
from .configuration import Configuration, section_types, setting_keys
from .entries import Entry
from .parameter_file import NODE_KINDS, ParameterFile
from .section import Section, is_empty
from .sections.images import ImageSettings
from .sections.nodes import (
    DisplayNodeSettings,
    DistillationNodeSettings,
    HealthNodeSettings,
    NodeSettings,
    RecordNodeSettings,
    ReplayNodeSettings,
    ViewNodeSettings,
)
from .sections.robot import RobotSettings
from .sections.sim_node import SimNodeSettings
from .sections.simulation import CameraSettings, PlantSettings
from .sections.vision import FeatureNodeSettings
from .yaml_tree import at

OF_ROS = ("use_sim_time", "start_type_description_service")
OF_ROS_PREFIX = "qos_overrides."


def belongs_to_ros(name: str) -> bool:
    """Tell whether a parameter is one that every node has, and no setting of this package."""
    return name in OF_ROS or name.startswith(OF_ROS_PREFIX)


def sections_of(kind: str) -> dict[str, type[Section]]:
    """Return {prefix: section class} of a node of this package ("mpc_node"); its own section has the prefix ""."""
    if kind == "feature_node":
        return {
            **{f"vision.{name}": found for name, found in registry.settings_types("vision").items()},
            "": FeatureNodeSettings,
        }
    if kind == "mpc_node":
        return {**section_types(), "": NodeSettings}
    if kind == "model_health_node":
        return {**section_types(), "": HealthNodeSettings}
    if kind == "distillation_node":
        return {**section_types(), "": DistillationNodeSettings}
    if kind == "display_node":
        return {"robot": RobotSettings, "": DisplayNodeSettings}
    if kind == "sim_node":
        return {
            "robot": RobotSettings,
            "plant": PlantSettings,
            "camera": CameraSettings,
            "image": ImageSettings,
            "": SimNodeSettings,
        }
    own = {"record_node": RecordNodeSettings, "replay_node": ReplayNodeSettings, "view_node": ViewNodeSettings}
    return {"": own[kind]}


def keys_of(sections: Mapping[str, type[Section]]) -> dict[str, tuple[type[Section], str]]:
    """Return {key: (its section class, its name there)} of all settings of some sections."""
    return {
        f"{prefix}.{name}" if prefix else name: (section, name)
        for prefix, section in sections.items()
        for name in section.infos()
    }


def read_settings(path: str | Path, kind: str = "mpc_node", node: str = "") -> dict[str, Any]:
    """Return {key: value} of what a file gives a node; empty lists, which mean the default, are left out.

    Parameters
    ----------
    path : str or Path
        A parameter file of ROS 2, or plain sections.
    kind : str
        Which node the tool replaces: "mpc_node", "sim_node", "distillation_node", "record_node", "replay_node".
    node : str
        The full name of the mpc_node that is meant (--node), "" where the file holds parameters of one.
        Other kinds are looked for in the same namespace.

    Raises
    ------
    ConfigurationError
        The file is malformed, holds parameters of several nodes, or an unknown setting or a wrong value.
    """
    file = ParameterFile.read(path)
    entries, name = given_entries(file, kind, node), node_name(file, kind, node)
    for error in entry_errors(file, kind, name):
        raise error
    return {key: entry.value for key, entry in entries.items() if not is_empty(entry.value)}


def node_name(file: ParameterFile, kind: str, node: str = "") -> str:
    """Return the full name of the node of a kind that a tool means; kind, node: as of `read_settings`."""
    if node and kind != "mpc_node" and file.sections is None:
        return "/" + "/".join([*node.strip("/").split("/")[:-1], kind])
    return file.node(kind, node)


def given_entries(file: ParameterFile, kind: str, node: str = "") -> dict[str, Entry]:
    """Return {key: entry} of what a file gives a node and is meant for it; kind, node: as of `read_settings`."""
    entries = file.entries(node_name(file, kind, node))
    keys = keys_of(sections_of(kind)) if file.sections is not None else entries
    return {key: entry for key, entry in entries.items() if key in keys and not belongs_to_ros(key)}


def entry_errors(file: ParameterFile, kind: str, name: str) -> Iterator[ConfigurationError]:
    """Yield an error for every entry of the node `name` that is unknown or has a wrong value, in order."""
    keys = keys_of(sections_of(kind))
    everything = set(keys)
    if file.sections is not None:
        everything = everything.union(*(keys_of(sections_of(other)) for other in NODE_KINDS))
    for key, entry in file.entries(name).items():
        if belongs_to_ros(key):
            continue
        try:
            if key not in everything:
                raise _unknown(file, key, entry, everything)
            if key in keys and not is_empty(entry.value):
                section, setting = keys[key]
                _check_value(file.source, key, entry, section, setting)
        except ConfigurationError as error:
            yield error


def load_configuration(path: str | Path, overrides: Mapping[str, Any] | None = None, node: str = "") -> Configuration:
    """Return the configuration that a file gives an mpc_node; what concerns only the node itself is left out.

    overrides: {key: value} of settings that replace those of the file; path, node: as of `read_settings`.
    """
    known = setting_keys()
    values = {key: value for key, value in read_settings(path, node=node).items() if key in known}
    return Configuration.from_flat({**values, **(overrides or {})}, source=str(path))


def parameter_files(arguments: Sequence[str]) -> list[str]:
    """Return the parameter files that a node's command line names, in order."""
    return [file for option, file in zip(arguments, arguments[1:], strict=False) if option == "--params-file"]


def check(files: Sequence[str], node: str = "") -> None:
    """Raise ConfigurationError for what is wrong in the parameter files of a node with this full name.

    Without a name, only for what keeps every node from starting.
    """
    for file in files:
        ParameterFile.read(file).entries(node)


def located(error: MbrlError, files: Sequence[str]) -> str:
    """Return the message of an error; one about a setting that a parameter file gives begins with file and line."""
    if isinstance(error, ConfigurationError) and error.key:
        for file in reversed(files):
            for entry in reversed(ParameterFile.read(file).find(error.key)):
                given = entry.value if isinstance(entry.value, list) else [entry.value]
                if error.value in (entry.value, tuple(given), *given) or list_of(error.value) == given:
                    return f"{file}:{entry.line}: {error.detail}{_remedy_for(error.key, entry)}"
    return str(error)


def list_of(value: Any) -> list[Any]:
    """Return the entries of a list of any kind, as rclpy's arrays are; a single value has one."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def unknown_setting(key: str, known: Iterable[str]) -> str:
    """Say that a node has no such setting, and which one is probably meant: another node's, or the nearest.

    Raises
    ------
    ConfigurationError
        It belongs to a plug-in that cannot be used.
    """
    registry.explain(key)
    known = list(known)
    owner = next((kind for kind in NODE_KINDS if "." in key and key in keys_of(sections_of(kind))), None)
    if owner is not None and key not in known:
        return f"'{key}' is a setting of {owner}; write it under /**/{owner}"
    return f"unknown setting '{key}'; did you mean '{nearest(key, known)}'?"


def _check_value(source: str, key: str, entry: Entry, section: type[Section], setting: str) -> None:
    """Raise ConfigurationError for a value that the setting does not take; it names the line and a remedy."""
    try:
        section.checked(setting, entry.value)
    except ConfigurationError as error:
        message = f"'{key}' {error}{_remedy(entry, section.kinds()[setting])}"
        raise at(source, entry.line, message, key=key, value=entry.value) from None


def _unknown(file: ParameterFile, key: str, entry: Entry, known: Iterable[str]) -> ConfigurationError:
    return at(file.source, entry.line, unknown_setting(key, known), key=key, value=entry.value)


def _remedy_for(key: str, entry: Entry) -> str:
    """Say how to write what was probably meant by a wrong value of the setting `key`, of whatever node."""
    for kind in NODE_KINDS:
        section, setting = keys_of(sections_of(kind)).get(key, (None, ""))
        if section is not None:
            try:
                section.checked(setting, entry.value)
            except ConfigurationError:
                return _remedy(entry, section.kinds()[setting])
    return ""


def _remedy(entry: Entry, kind: Any) -> str:
    """Say how to write what was probably meant, where that can be told."""
    if kind in (str, tuple[str, ...]):
        taken = next((text for text in entry.texts if not text.quoted), None)
        is_text = isinstance(entry.value, str)  # already, without quotes
        return f"; write it in quotes: '{taken.text[:80]}'" if taken is not None and not is_text else ""
    for text in entry.texts:
        if re.fullmatch(r"[+-]?\d+,\d+", text.text):
            return f"; write {text.text.replace(',', '.')}"
        if text.quoted and re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", text.text):
            return f"; write {text.text} without quotes"
    return ""
