"""One cell of the bench, ready to run: robot, plant, settings of the controller, first posture and targets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...config.configuration import Configuration
from ...config.sections.robot import RobotSettings
from ...config.sections.simulation import PlantSettings
from ...exceptions import ConfigurationError
from ...replay.initial import HORIZON
from ...robots import Robot, load_robot, sources
from ...robots.kinematics import Kinematics
from ...simulation.mechanism import USUAL_DAMPING, USUAL_FRICTION
from ...simulation.plant import Plant
from ...simulation.plant_base import BasePlant
from ...types import Array
from .arms import Arm
from .conditions import BALL, COULOMB_SHARE, TOUCHED, Condition
from .targets import HOLD_TIME, Course, draw

INERTIAL = re.compile(r"<inertial\b.*?</inertial\s*>", re.DOTALL)
LIMIT = re.compile(r'(<limit\b[^>]*\beffort\s*=\s*")([^"]*)(")')
# of the velocity spikes: soon after the first target, and in full motion [s]
SPIKES = (HOLD_TIME + 0.1, HOLD_TIME + 0.5)
Draw = Callable[[Robot, Callable[[Array], Array], int, int], Course]


@dataclass(frozen=True, eq=False)
class Case:
    """One run, ready to begin: the plant is at the first posture; payload [kg] is what `loaded` conditions carry."""

    robot: Robot
    plant: BasePlant
    configuration: Configuration
    course: Course
    payload: float


def prepare(
    arm: Arm,
    condition: Condition,
    seed: int,
    count: int,
    *,
    interface: str = "effort",
    description: str = "",
    overrides: Mapping[str, Any] | None = None,
    drawn: Draw = draw,
) -> Case:
    """Return the case of `arm` under `condition` with `count` targets drawn by `seed`.

    Parameters
    ----------
    interface
        effort, velocity or position.
    description
        another URDF than the arm's; empty: the arm's.
    overrides
        settings of the controller that differ from the defaults, {key: value}.
    drawn
        draws first posture and targets.

    Raises
    ------
    ConfigurationError
        There is no URDF, or no target can be drawn.
    """
    if not (description or arm.description):
        raise ConfigurationError("no installed package has the URDF of this arm; give it with --urdf ARM=FILE")
    text = sources.read(description or arm.description)
    settings = RobotSettings(joints=arm.joints, tip=arm.tip, tip_offset=arm.tip_offset, interface=interface)
    nominal = load_robot(settings, text)
    robot = nominal if condition.limits == 1.0 else load_robot(settings, with_efforts(text, condition.limits))
    changes = _changes(arm, condition, nominal, seed)
    payload = 0.5 * arm.rated if condition.loaded else 0.0
    still = Plant(PlantSettings(**changes), robot)
    still.set_payload(payload)
    course = drawn(robot, still.holding_effort, seed, count)
    configuration = Configuration.from_flat(
        {
            **{f"robot.{key}": value for key, value in settings.to_mapping().items()},
            "control.rate": condition.rate,
            "control.seed": seed,
            "control.delay": condition.delay,
            "planner.horizon": max(5, round(HORIZON * condition.rate)),
            "planner.iterations": 2,
            **(overrides or {}),
        }
    )
    if condition.touching:
        changes["obstacle"] = _obstacle(robot, course)
    plant = _plant(condition, PlantSettings(**changes, initial_position=tuple(course.start)), robot)
    return Case(_told(robot) if condition.stripped else robot, plant, configuration, course, payload)


def _told(robot: Robot) -> Robot:
    """Return `robot` as a URDF without any <inertial> describes it, to a controller that guesses them."""
    return replace(robot, urdf=INERTIAL.sub("", robot.urdf), guess_inertials=True)


def _changes(arm: Arm, condition: Condition, nominal: Robot, seed: int) -> dict[str, Any]:
    """Return the settings of the plant that differ from their defaults; `nominal` is the robot of the URDF."""
    return {
        "rate": condition.rate,
        "seed": seed,
        "initial_noise": 0.0,
        **_friction(nominal, condition),
        "velocity_spikes": _spikes(arm, condition.spike),
        "velocity_noise_factors": (1.0,) * (nominal.n - 1) + (condition.uneven,),
        **({"joint_stiffness": tuple(condition.stiffness * nominal.effort_limit)} if condition.stiffness else {}),
        **condition.plant,
    }


def _plant(condition: Condition, settings: PlantSettings, robot: Robot) -> BasePlant:
    """Return the plant in the condition's engine."""
    if condition.engine == "mujoco":
        return Plant(settings, robot)
    from ...simulation.dart_plant import DartPlant

    return DartPlant(settings, robot)


def _obstacle(robot: Robot, course: Course) -> tuple[float, ...]:
    """Return a ball inside which the last target lies by TOUCHED, on the straight way to it: x, y, z, radius [m]."""
    last = course.targets[-1]
    before = course.targets[-2] if len(course.targets) > 1 else Kinematics(robot).position(course.start)
    way = (last - before) / np.linalg.norm(last - before)
    return (*(last + (BALL - TOUCHED) * way), BALL)


def with_efforts(text: str, factor: float) -> str:
    """Return the URDF `text` with every effort limit times `factor`."""
    return LIMIT.sub(lambda found: f"{found[1]}{factor * float(found[2]):.9g}{found[3]}", text)


def _friction(nominal: Robot, condition: Condition) -> dict[str, tuple[float, ...]]:
    """Return the friction of every joint, which follows neither changed effort limits nor what a URDF says."""
    share, most = USUAL_FRICTION
    dry = np.minimum(most, share * nominal.effort_limit)
    if condition.coulomb:
        dry = np.minimum(condition.coulomb, COULOMB_SHARE * nominal.effort_limit)
    return {"damping": (USUAL_DAMPING,), "frictionloss": tuple(dry)}


def _spikes(arm: Arm, size: float) -> tuple[str, ...]:
    """Return one wrong sample of the second joint and one, the other way, of the last joint but one."""
    first, second = map(str, SPIKES)
    return (first, arm.joints[1], str(size), second, arm.joints[-2], str(-size)) if size else ()
