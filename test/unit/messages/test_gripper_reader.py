"""What a gripper may be told."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import ConfigurationError, DataError
from mbrl_ros.messages.gripper import GripperReader
from mbrl_ros.robots import load_robot
from support.robots import planar_arm

FINGERS = """<link name="finger"/><joint name="finger1" type="prismatic"><parent link="tip"/><child link="finger"/>
<axis xyz="0 0 1"/><limit lower="0" upper="0.04" effort="20" velocity="0.2"/></joint>
<link name="other"/><joint name="finger2" type="prismatic"><parent link="tip"/><child link="other"/>
<axis xyz="0 0 -1"/><limit lower="0" upper="0.04" effort="20" velocity="0.2"/><mimic joint="finger1"/></joint>
<link name="wheel"/><joint name="turn" type="continuous"><parent link="tip"/><child link="wheel"/></joint>"""


@pytest.fixture
def robot():
    """A planar arm of two joints with fingers, one of which follows the other, and a joint without stops."""
    return load_robot(
        RobotSettings(joints=("joint1", "joint2"), tip="tip"), planar_arm(2).replace("</robot>", FINGERS + "</robot>")
    )


def test_positions_go_on_within_the_limits_and_are_counted(robot):
    reader = GripperReader(robot, ["finger1"])
    assert reader.last is None
    np.testing.assert_array_equal(reader.read([0.02]), [0.02])
    np.testing.assert_array_equal(reader.read([0.5]), [0.04])
    np.testing.assert_array_equal(reader.read([-1.0]), [0.0])
    assert (reader.passed, reader.limited) == (3, 2) and reader.last[0] == 0.0


@pytest.mark.parametrize("data", [[], [0.01, 0.02], [float("nan")], [float("inf")]])
def test_what_is_no_command_is_refused_without_effect(robot, data):
    reader = GripperReader(robot, ["finger1"])
    reader.read([0.03])
    with pytest.raises(DataError, match="finger's 1 joints|not finite|gripper's 1 joints"):
        reader.read(data)
    assert reader.passed == 1 and reader.last[0] == 0.03


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["finger"], "'finger' is not in the robot description; did you mean 'finger1'"),
        (["finger2"], "'finger2' does not move, or follows another one"),
        (["joint1"], "'joint1' is one of the arm's"),
        (["turn"], "'turn' has no range"),
        (["finger1", "finger1"], "names a joint twice"),
    ],
)
def test_joints_that_are_no_gripper(robot, names, says):
    with pytest.raises(ConfigurationError, match=says):
        GripperReader(robot, names)
