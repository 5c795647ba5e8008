"""Joint targets of continuous joints: the same angle whole turns away, or the turns that were asked for."""

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import TargetError
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.robots import load_robot
from support.robots import planar_arm

TURN = 2.0 * np.pi


def manager(**settings) -> TargetManager:
    text = planar_arm().replace('type="revolute"', 'type="continuous"', 1)
    made = TargetManager(load_robot(RobotSettings(interface="velocity"), text), ReferenceSettings(**settings), 0.01)
    made.reset(np.array([3.0, 0.2]), 1.0)
    return made


@pytest.mark.parametrize(
    "angle, end", ((3.5 - TURN, 3.5), (3.0 - TURN, 3.0), (0.5, 0.5), (0.1 + 2 * TURN, 0.1), (-0.5, TURN - 0.5))
)
def test_a_continuous_joint_takes_the_short_way(angle, end):
    made = manager()
    made.set_joint_target(np.array([angle, 2.0]))
    made.advance(1.01, np.zeros(4))
    assert made.joint_reference(made.end + 1.0) == pytest.approx([end, 2.0])
    assert made.target.value == pytest.approx([end, 2.0])


def test_a_trajectory_is_moved_as_a_whole():
    made = manager()
    made.set_trajectory(Waypoints.of([1.0, 9.0], [[3.2 - TURN, 0.2], [6.5 - TURN, 0.2]]))
    made.advance(1.01, np.zeros(4))
    assert made.joint_reference(made.end + 1.0) == pytest.approx([6.5, 0.2])


def test_the_turns_are_made_where_they_are_wanted():
    made = manager(shortest_way=False)
    made.set_joint_target(np.array([3.0 - TURN, 0.2]))
    made.advance(1.01, np.zeros(4))
    assert made.joint_reference(made.end + 1.0) == pytest.approx([3.0 - TURN, 0.2])


@pytest.mark.parametrize("angle", (np.inf, -np.inf, 1e300, 2e4))
def test_an_angle_that_no_joint_reaches_is_refused(angle):
    made = manager(shortest_way=False)
    with pytest.raises(TargetError, match="'joint1' must lie in"):
        made.set_joint_target(np.array([angle, 0.2]))
    with pytest.raises(TargetError, match="'joint1' must lie in"):
        made.set_trajectory(Waypoints.of([1.0], [[angle, 0.2]]))


def test_a_target_that_takes_hours_is_given_up_at_rest():
    """No motion of more than 7600 s is planned."""
    made = manager(shortest_way=False, velocity_fraction=0.1)
    made.set_joint_target(np.array([4.0, 0.5]))
    made.advance(1.01, np.zeros(4))
    before = made.joints.motion_at(1.2)
    made.set_joint_target(np.array([9000.0, 0.2]))
    made.advance(1.2, np.zeros(4))
    position, velocity, _ = made.joints.motion_at(1.2)
    np.testing.assert_allclose([position, velocity], before[:2])  # it brakes from where it was
    assert made.joints.motion_at(made.end)[1] == pytest.approx([0.0, 0.0]) and made.end < 3.0
    (note,) = made.take_notes()
    assert note.startswith("joints target: given up: no trajectory to [9000.0, 0.2] within the limits")
    assert not made.target.asked  # where it rests is nobody's target
