"""Put a supervisor together as a configuration asks for it."""

from __future__ import annotations

from ..collision.build import build_scene
from ..config.configuration import Configuration
from ..exceptions import ConfigurationError
from ..robots import Robot
from .collision_rule import QUICK_RATE, CollisionRule
from .supervisor import Supervisor


def make_supervisor(robot: Robot, configuration: Configuration, dt: float | None = None) -> Supervisor:
    """Make the supervisor of one control loop, with the rule before contact where it is configured.

    dt: the control period [s]; None: that of the configuration.
    """
    dt, settings = 1.0 / configuration.control.rate if dt is None else dt, configuration.collision
    if settings.rule == "none":
        return Supervisor(robot, configuration.supervisor, dt)
    if robot.interface == "effort" and configuration.supervisor.safe_effort != "arrest":
        raise ConfigurationError(
            "'collision.rule: stop' stops an arm moved by efforts with the safe command 'arrest'; set "
            "supervisor.safe_effort: arrest",
            key="supervisor.safe_effort",
            value=configuration.supervisor.safe_effort,
        )
    slowest, supervisor = min(configuration.supervisor.command_rate), configuration.supervisor
    if robot.interface == "effort" and slowest < (least := min(QUICK_RATE, 2.0 * supervisor.arrest_rate * dt)):
        raise ConfigurationError(
            f"'collision.rule: stop' brakes with efforts, which take {dt / slowest:.3g} s to cross their range with "
            f"supervisor.command_rate {slowest:g}, too long for supervisor.arrest_rate {supervisor.arrest_rate:g} 1/s; "
            f"set supervisor.command_rate to at least {least:.3g}",
            key="supervisor.command_rate",
            value=slowest,
        )
    scene, notes, guessed = build_scene(robot, settings, configuration.robot.description)
    rule = CollisionRule(robot, scene, settings, supervisor, dt, configuration.control.delay * dt)
    rule.notes, rule.guessed = notes, guessed
    return Supervisor(robot, configuration.supervisor, dt, rule)
