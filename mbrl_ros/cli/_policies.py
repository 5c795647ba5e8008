"""Robots and configurations for the commands that use policies."""

from __future__ import annotations

from pathlib import Path

from ..config.configuration import Configuration, read_yaml, section_types
from ..robots import Robot, load_robot


def configuration_of(robot: str) -> Configuration:
    """Return the configuration of a robot by its name in config/, or of a YAML file."""
    from ..config.resources import config_file

    path = Path(robot)
    path = path if path.suffix in (".yaml", ".yml") else config_file(robot)
    known = {f"{prefix}.{name}" for prefix, kind in section_types().items() for name in kind.infos()}
    values = {key: value for key, value in read_yaml(path, "mpc_node").items() if key in known}
    return Configuration.from_flat(values, source=str(path))


def robot_of(robot: str) -> Robot:
    """Return a robot by its name in config/, or of a YAML file."""
    return load_robot(configuration_of(robot).robot)
