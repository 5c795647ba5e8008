"""The task `demo_points`: the points and the payload of `mbrl demo`, by torques (scenario_task.py).

The target is y* = p* (3,) [m] in the robot's base frame, and e = p(q) - p*.
"""

from __future__ import annotations

from ..codegen.symbolic import casadi
from ..robots import Robot, kinematics
from ..robots.kinematics import Kinematics
from ..scenarios.scenario import build_scenario
from .scenario_task import Kind, ScenarioTask


def point_error(robot: Robot) -> casadi.Function:
    """Return e (3,) [m] of q (n,) and p* (3,)."""
    q, p = casadi.SX.sym("q", robot.n), casadi.SX.sym("p", 3)
    return casadi.Function("error", [q, p], [casadi.densify(kinematics.tip_position(robot)(q) - p)])


POINT_TARGETS = Kind(
    build_scenario,
    point_error,
    lambda robot: Kinematics(robot).position,
    ("target_x", "target_y", "target_z"),
)


def build() -> ScenarioTask:
    """Build the task; an error that names what is missing without MuJoCo or the robot's description."""
    return ScenarioTask(POINT_TARGETS)
