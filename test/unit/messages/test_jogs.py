"""Messages of velocities become values of the robot's joints; malformed ones are refused with the reason."""

from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_ros.exceptions import TargetError
from mbrl_ros.messages.jogs import read_joint_jog, read_twist, read_velocities

JOINTS = ("joint1", "joint2", "joint3")


def joint_state(name=("joint3", "joint1"), velocity=(0.3, 0.1), position=(), effort=()):
    return SimpleNamespace(name=list(name), position=position, velocity=velocity, effort=effort)


def joint_jog(names=("joint3", "joint1"), velocities=(0.3, 0.1), displacements=(), duration=0.0):
    return SimpleNamespace(
        joint_names=list(names), velocities=velocities, displacements=displacements, duration=duration
    )


def test_joints_that_are_not_named_rest():
    np.testing.assert_array_equal(read_velocities(joint_state(), JOINTS), [0.1, 0.0, 0.3])
    np.testing.assert_array_equal(read_joint_jog(joint_jog(), JOINTS), [0.1, 0.0, 0.3])


def test_a_twist_is_read_with_its_frame():
    vectors = [SimpleNamespace(x=x, y=x + 1, z=x + 2) for x in (1.0, 4.0)]
    twist = SimpleNamespace(linear=vectors[0], angular=vectors[1])
    value, frame = read_twist(SimpleNamespace(header=SimpleNamespace(frame_id="tool0"), twist=twist))
    assert value.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] and frame == "tool0"


@pytest.mark.parametrize(
    "change, kind",
    [
        ({"velocities": (0.1,)}, "wrong length"),
        ({"names": (), "velocities": ()}, "wrong length"),
        ({"names": ("joint1", "joint1")}, "duplicate joint names"),
        ({"names": ("joint1", "finger")}, "unknown joint"),
        ({"names": ("joint1", "x" * 10**5)}, "unknown joint"),
        ({"displacements": (0.1, 0.1)}, "not velocities alone"),
    ],
)
def test_a_malformed_joint_jog_is_refused(change, kind):
    with pytest.raises(TargetError) as refused:
        read_joint_jog(joint_jog(**change), JOINTS)
    assert refused.value.kind == kind and len(str(refused.value)) < 500


@pytest.mark.parametrize("change", [{"position": (0.0, 0.0)}, {"effort": (0.0, 0.0)}])
def test_a_joint_state_with_more_than_velocities_is_no_jog(change):
    with pytest.raises(TargetError, match="leave position and effort empty"):
        read_velocities(joint_state(**change), JOINTS)
