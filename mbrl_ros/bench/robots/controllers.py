"""The controllers that are compared: the product's `mpc`, and its rivals.

`pid` is the package's PID with the gravity of 80 % of the URDF's masses, `pid_gravity` the same with all of them; `ekf`
and `dob` are in rivals/. None of their gains was chosen on this bench.
"""

from __future__ import annotations

from collections.abc import Callable

from ...config.configuration import Configuration
from ...controllers.base import Controller
from ...controllers.factory import build_controller
from ...robots import Robot
from .rivals.dob import DisturbanceObserver
from .rivals.ekf import KalmanPayload

Builder = Callable[[Robot, Configuration], Controller]
OURS = "mpc"


def _named(name: str, **settings: object) -> Builder:
    """Return a builder of the package's controller `name` with other settings than its defaults."""
    changes = {"control.controller": name, **{f"controller.{name}.{key}": value for key, value in settings.items()}}
    return lambda robot, configuration: build_controller(robot, configuration.replace(**changes))


CONTROLLERS: dict[str, Builder] = {
    OURS: _named(OURS),
    "pid": _named("pid"),
    "pid_gravity": _named("pid", mass_scale=1.0),
    "ekf": KalmanPayload,
    "dob": DisturbanceObserver,
}


def build(name: str, robot: Robot, configuration: Configuration) -> Controller:
    """Build the controller `name` of this bench; ConfigurationError where it cannot control this robot."""
    return CONTROLLERS[name](robot, configuration)
