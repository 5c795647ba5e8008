"""Robots and configurations for the commands that use policies."""

from __future__ import annotations

from ..config.configuration import Configuration
from ..config.resources import settings_path
from ..config.settings_file import load_configuration
from ..robots import Robot, load_robot


def configuration_of(robot: str, node: str = "") -> Configuration:
    """Return the configuration of a robot by its name in config/, or of a YAML file; node: as of --node."""
    return load_configuration(settings_path(robot), node=node)


def robot_of(robot: str, node: str = "") -> Robot:
    """Return the robot of a configuration; robot, node: as of `configuration_of`."""
    return load_robot(configuration_of(robot, node).robot)
