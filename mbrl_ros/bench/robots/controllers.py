"""The controllers that are compared: the product's `mpc`, and its rivals.

`pid` is the package's PID with the gravity of 80 % of the URDF's masses, `pid_gravity` the same with all of them; `ekf`
and `dob` are in rivals/. None of their gains was chosen on this bench. `mpc_known` is no rival: it is `mpc` with the
plant's own masses and rotors for its model, of which it learns nothing (dynamics.estimator: known), which shows
what knowing them is worth. Friction and payload are not in that model.
"""

from __future__ import annotations

from collections.abc import Callable

from ...config.configuration import Configuration
from ...config.sections.simulation import PlantSettings
from ...controllers.base import Controller
from ...controllers.factory import build_controller
from ...robots import Robot
from .rivals.dob import DisturbanceObserver
from .rivals.ekf import KalmanPayload

Builder = Callable[[Robot, Configuration], Controller]
OURS, TOLD = "mpc", "mpc_known"


def _named(name: str, **settings: object) -> Builder:
    """Return a builder of the package's controller `name` with other settings than its defaults."""
    changes = {"control.controller": name, **{f"controller.{name}.{key}": value for key, value in settings.items()}}
    return lambda robot, configuration: build_controller(robot, configuration.replace(**changes))


CONTROLLERS: dict[str, Builder] = {
    OURS: _named(OURS),
    TOLD: _named(OURS),
    "pid": _named("pid"),
    "pid_gravity": _named("pid", mass_scale=1.0),
    "ekf": KalmanPayload,
    "dob": DisturbanceObserver,
}


def build(name: str, robot: Robot, configuration: Configuration, plant: PlantSettings) -> Controller:
    """Build the controller `name` of this bench; ConfigurationError where it cannot control this robot.

    `plant`: what TOLD is told, and no other.
    """
    return CONTROLLERS[name](robot, with_truth(configuration, plant) if name == TOLD else configuration)


def with_truth(configuration: Configuration, plant: PlantSettings) -> Configuration:
    """Return `configuration` with the masses and rotors of `plant` for a model of which nothing is learned."""
    changes = {
        "dynamics.prior": "rigid_body",
        "dynamics.estimator": "known",
        "prior.rigid_body.mass_scale": plant.mass_factor,
        "prior.rigid_body.armature": plant.armature,
    }
    return configuration.replace(**changes)
