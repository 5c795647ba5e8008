r"""The task `demo_poses`: the poses and the payload of `mbrl demo --scenario poses`, by torques (scenario_task.py).

The target is y* = [p* (3,) [m]; x, y, z, w], the tool's pose in the robot's base frame, and

    e = [p(q) - p*;  L (R(q) - R*) / sqrt(2)] (12,),     |R - R*| / sqrt(2) = 2 sin(angle / 2)

with the lever L = LEVER [m/rad], which makes lengths of angles (robots/pose_kinematics.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..codegen.symbolic import casadi
from ..robots import Robot
from ..robots.pose_kinematics import LEVER, PoseKinematics, tool_frame
from ..robots.rotation import quaternion_of
from ..scenarios.pose_scenario import build_pose_scenario
from ..types import Array
from .scenario_task import Kind, ScenarioTask


def pose_error(robot: Robot) -> casadi.Function:
    """Return e (12,) [m] of q (n,) and y* (7,)."""
    q, y = casadi.SX.sym("q", robot.n), casadi.SX.sym("y", 7)
    p, R = tool_frame(robot)(q, np.zeros(len(robot.uncontrolled)))
    v, w = y[3:6], y[6]
    skew = casadi.skew(v)
    wanted = casadi.SX.eye(3) + 2.0 * (w * skew + skew @ skew)
    turned = LEVER / np.sqrt(2.0) * casadi.vec(R - wanted)
    return casadi.Function("error", [q, y], [casadi.densify(casadi.vertcat(p - y[:3], turned))])


def _pose(robot: Robot) -> Callable[[Array], Array]:
    kinematics = PoseKinematics(robot)

    def pose(q: Array) -> Array:
        p, R = kinematics.pose(q)
        return np.concatenate([p, quaternion_of(R)])

    return pose


POSE_TARGETS = Kind(
    build_pose_scenario,
    pose_error,
    _pose,
    (*(f"target_{axis}" for axis in "xyz"), *(f"target_q{axis}" for axis in "xyzw")),
)


def build() -> ScenarioTask:
    """Build the task; an error that names what is missing without MuJoCo or the robot's description."""
    return ScenarioTask(POSE_TARGETS)
