"""Build a controller by its name.

A controller plug-in is a module with `Settings` (a section of its own, `controller.NAME.KEY`) and

    build(settings: Settings, robot: Robot, configuration: Configuration) -> Controller

in this folder or in another package (config/registry.py).
"""

from __future__ import annotations

from ..config import registry
from ..config.configuration import Configuration
from ..robots import Robot
from .base import Controller


def build_controller(robot: Robot, configuration: Configuration) -> Controller:
    """Build the controller that `control.controller` names.

    Raises
    ------
    ConfigurationError
        There is none of this name, or it cannot control this robot.
    """
    name = configuration.control.controller
    controller: Controller = registry.load("controller", name).build(
        configuration.controllers[name], robot, configuration
    )
    return controller
