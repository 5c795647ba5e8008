"""Goals of FollowJointTrajectory: what 0, -1 and a number mean in a tolerance, and what is refused."""

import math
from types import SimpleNamespace as Message

import numpy as np
import pytest

from mbrl_ros.config.sections.action import ActionSettings
from mbrl_ros.exceptions import TargetError
from mbrl_ros.messages.joint_order import JointOrder
from mbrl_ros.messages.trajectory_goals import read_trajectory_goal
from support.robots import planar_robot

ROBOT = planar_robot(2)
SETTINGS = ActionSettings(goal_tolerance=0.02, stopped_velocity=0.1, path_tolerance=0.3, goal_time=4.0)


def duration(seconds: float) -> Message:
    return Message(sec=math.floor(seconds), nanosec=round(1e9 * (seconds - math.floor(seconds))))


def tolerance(name="joint1", position=0.0, velocity=0.0, acceleration=0.0) -> Message:
    return Message(name=name, position=position, velocity=velocity, acceleration=acceleration)


def goal(path=(), goal=(), time=0.0, multi_dof=(), components=()) -> Message:
    point = Message(
        positions=[0.2, 0.1], velocities=[0.0, 0.0], accelerations=[], effort=[], time_from_start=duration(2)
    )
    trajectory = Message(header=Message(stamp=duration(5.5)), joint_names=["joint2", "joint1"], points=[point])
    return Message(
        trajectory=trajectory,
        multi_dof_trajectory=Message(joint_names=list(multi_dof), points=[]),
        path_tolerance=list(path),
        goal_tolerance=list(goal),
        component_path_tolerance=list(components),
        component_goal_tolerance=[],
        goal_time_tolerance=duration(time),
    )


def read(message, settings=SETTINGS):
    return read_trajectory_goal(message, JointOrder(ROBOT.joints), ROBOT, settings)


def test_a_goal_without_tolerances_has_the_default_ones():
    found = read(goal())
    assert found.points.Q.tolist() == [[0.1, 0.2]] and found.stamp == 5.5
    assert found.path.position.tolist() == [0.3, 0.3] and np.isinf(found.path.velocity).all()
    assert found.goal.position.tolist() == [0.02, 0.02] and found.goal.velocity.tolist() == [0.1, 0.1]
    assert found.time is None and found.settle == 4.0


def test_by_default_the_goal_must_be_reached_and_the_path_may_be_left():
    found = read(goal(), ActionSettings())
    assert np.isfinite(found.goal.position).all() and np.isinf(found.path.position).all()
    assert np.isinf(read(goal(), ActionSettings(goal_time=0.0)).settle)


def test_zero_is_the_default_minus_one_is_none_and_a_number_is_itself():
    found = read(goal(path=[tolerance("joint2", -1.0, 0.5)], goal=[tolerance("joint1", 0.001, -1.0)]))
    assert found.path.position.tolist() == [0.3, math.inf] and found.path.velocity.tolist() == [math.inf, 0.5]
    assert found.goal.position.tolist() == [0.001, 0.02] and found.goal.velocity.tolist() == [math.inf, 0.1]
    assert read(goal(goal=[tolerance(acceleration=-1.0)])).goal.position.tolist() == [0.02, 0.02]


@pytest.mark.parametrize(("given", "wanted"), [(0.0, None), (-1.0, math.inf), (0.25, 0.25)])
def test_the_time_tolerance_has_the_same_conventions(given, wanted):
    assert read(goal(time=given)).time == wanted


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (goal(path=[tolerance("joint3", 0.1)]), "path_tolerance names 'joint3'.*did you mean 'joint"),
        (goal(goal=[tolerance(), tolerance()]), "names 'joint1' twice"),
        (goal(goal=[tolerance(position=-0.5)]), "goal_tolerance: the position of 'joint1' must be positive.*got -0.5"),
        (goal(goal=[tolerance(velocity=math.nan)]), "the velocity of 'joint1' must be positive.*got nan"),
        (goal(path=[tolerance(position=math.inf)]), "got inf"),
        (goal(path=[tolerance(acceleration=2.0)]), "acceleration of 'joint1' cannot be kept within 2: it is not meas"),
        (goal(time=-0.5), "goal_time_tolerance must be positive, 0 .* or -1 .*, got -0.5 s"),
        (goal(multi_dof=["base"]), "multi_dof_trajectory is not supported"),
        (goal(components=[tolerance()]), "tolerances of components"),
    ],
)
def test_what_cannot_be_kept_is_refused(message, reason):
    with pytest.raises(TargetError, match=reason):
        read(message)


def test_the_trajectory_itself_is_read_as_a_target_is():
    message = goal()
    message.trajectory.joint_names = ["joint1", "elbow"]
    with pytest.raises(TargetError, match="missing"):
        read(message)
