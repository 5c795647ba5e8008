"""The arms, the conditions and the targets of hard_starts.py.

The cases are those of the bench of robots (mbrl_ros/bench/robots/case.py) with other draws: an arm starts at a posture
drawn near HOMES, in the middle of its joints' ranges, and a target is drawn in a box around where the tip is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbrl_ros.bench.robots import case, targets
from mbrl_ros.bench.robots.arms import ARMS
from mbrl_ros.bench.robots.case import Case
from mbrl_ros.bench.robots.conditions import Condition as RobotsCondition
from mbrl_ros.bench.robots.targets import HOLD_TIME, SLOT_TIME, Course
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.references.workspace import FURTHEST, Workspace
from mbrl_ros.robots import Robot
from mbrl_ros.types import Array

SPREAD = 0.25  # of the first posture about the arm's home, either way [rad]
UR_HOME = (0.0, -1.3, 1.8, -2.0, -1.57, 0.0)
HOMES = {  # [rad]
    "panda": (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8),
    "sawyer": (0.0, -0.7, 0.0, 1.6, 0.0, 0.6, 0.0),
    "ur10": UR_HOME,
    "so100": (0.0, 1.75, -1.57, -0.65, 0.0),
    "z1": (0.0, 1.4, -1.3, 0.0, 0.0, 0.0),
    "ur3": UR_HOME,
    "ur5": UR_HOME,
    "kinova": (0.0, 2.6, 1.5, 0.0, 2.5, 0.0),
    "xarm7": (0.0, -0.4, 0.0, 1.0, 0.0, 1.4, 0.0),
}
PAYLOADS = {  # of `fault-payload` and `fault-drop` [kg]
    "panda": 1.5,
    "sawyer": 1.5,
    "ur10": 3.0,
    "so100": 0.1,
    "z1": 0.5,
    "ur3": 0.75,
    "ur5": 1.5,
    "kinova": 0.5,
    "xarm7": 1.0,
}


@dataclass(frozen=True)
class Condition(RobotsCondition):
    """What differs from a nominal start.

    fault: when a FAULT is forced (the keys of FAULTS); group: which verdict it is judged by.
    """

    meaning: str = ""
    fault: str = ""
    group: str = "start"


@dataclass(frozen=True)
class Fault:
    """A forced fault.

    at: when it is forced [s], None: at half the first reference's time; loaded: when the payload is fastened [s];
    lost_after: how long after the fault it falls off [s].
    """

    at: float | None
    loaded: float | None = None
    lost_after: float | None = None


FAULTS = {
    "start": Fault(0.1),
    "rest": Fault(HOLD_TIME + SLOT_TIME - 0.2),
    "moving": Fault(None),
    "payload": Fault(HOLD_TIME + SLOT_TIME - 0.2, loaded=2.4),
    "drop": Fault(HOLD_TIME + SLOT_TIME - 0.2, loaded=2.4, lost_after=1.0),
}


def _late(share: float, ticks: int, group: str = "late") -> Condition:
    return Condition(plant={"late_share": share, "late_ticks": ticks}, group=group)


CONDITIONS = {
    "nominal": Condition(),
    **{f"lag{ms}": Condition(plant={"motor_lag": (0.001 * ms,)}) for ms in (5, 10, 20)},
    # the true delay minus what the controller is told
    "delay-1": Condition(delay=2.0),
    "delay+1": Condition(plant={"command_delay": 2.0}),
    "delay+2": Condition(plant={"command_delay": 3.0}),
    "diffvel": Condition(plant={"differentiated_velocity": True}),
    "jitter1": Condition(plant={"command_jitter": 1}),
    **{f"spike{size}": Condition(spike=size) for size in (1, 10, 100)},
    "coulomb": Condition(coulomb=2.0),
    "limits3": Condition(limits=3.0),
    "limits1/3": Condition(limits=1.0 / 3.0),
    "mass0.5": Condition(plant={"mass_factor": 0.5}),
    "mass2": Condition(plant={"mass_factor": 2.0}),
    **{f"arm{a}": Condition(plant={"armature": (a,)}) for a in (0.01, 0.03)},
    **{f"arm{a}delay-1": Condition(plant={"armature": (a,)}, delay=2.0) for a in (0.01, 0.03)},
    **{f"arm{a}delay+1": Condition(plant={"armature": (a,), "command_delay": 2.0}) for a in (0.01, 0.03)},
    **{f"late{percent}": _late(0.01 * percent, 5) for percent in (10, 30, 50)},
    "late90": _late(0.9, 20, "held"),
    **{f"fault-{name}": Condition(fault=name, group="fault") for name in FAULTS},
}


def prepare(
    name: str,
    condition: Condition,
    seed: int,
    count: int,
    *,
    interface: str = "effort",
    description: str = "",
    overrides: Mapping[str, Any] | None = None,
) -> Case:
    """Return the case of the arm `name` with `count` targets drawn by `seed`; see `case.prepare`."""

    def near_home(robot: Robot, effort: Callable[[Array], Array], seed: int, count: int) -> Course:
        return draw(robot, effort, HOMES[name], seed, count)

    return case.prepare(
        ARMS[name],
        condition,
        seed,
        count,
        interface=interface,
        description=description,
        overrides=overrides,
        drawn=near_home,
    )


def draw(robot: Robot, effort: Callable[[Array], Array], home: tuple[float, ...], seed: int, count: int) -> Course:
    """Draw a first posture near `home` (n,) [rad] and `count` targets; see `targets.draw`."""
    work = Workspace(robot, effort, np.random.default_rng([seed, 11]))
    for i in range(1000):  # further and further away, if the arm is too weak to hold itself near its home
        start = np.array(home) + (1.0 + i / 50.0) * work.rng.uniform(-SPREAD, SPREAD, robot.n)
        if work.usable(start):
            break
    else:
        raise ConfigurationError(f"the arm cannot hold itself anywhere near {home}")

    def nearby(here: Array) -> Array:
        found: Array = here + work.rng.uniform(-FURTHEST, FURTHEST, 3) * work.reach
        return found

    return targets.course(work, start, count, nearby, draws=10000)
