"""The frames of targets: links that stand still against the base, and what is said of others."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import TargetError
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.frames import RobotFrames

LIMIT = '<limit lower="-2" upper="2" velocity="1" effort="10"/>'


def joint(name: str, kind: str, parent: str, child: str, origin: str = "", rest: str = "") -> str:
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/><origin {origin}/>'
        f"{rest}{'' if kind == 'fixed' else LIMIT}</joint>"
    )


LINKS = ("world", "table", "plate", "camera", "lift", "upper", "hand", "tag")
URDF = "".join(
    (
        '<robot name="on_a_table">',
        *(f'<link name="{name}"/>' for name in LINKS),
        joint("a", "fixed", "world", "table", 'xyz="1 0 0.7" rpy="0 0 1.5707963267948966"'),
        joint("b", "fixed", "table", "plate", 'xyz="0 0 0.1" rpy="0.4 0 0"'),
        joint("c", "fixed", "world", "camera", 'xyz="0 2 0"'),
        joint("l", "prismatic", "plate", "lift", rest='<axis xyz="0 0 1"/>'),
        joint("j", "revolute", "lift", "upper", rest='<axis xyz="0 0 1"/>'),
        joint("k", "revolute", "upper", "hand", 'xyz="0.3 0 0"', '<axis xyz="0 1 0"/>'),
        joint("t", "fixed", "hand", "tag"),
        "</robot>",
    )
)


@pytest.fixture(scope="module")
def frames() -> RobotFrames:
    return RobotFrames(load_robot(RobotSettings(joints=("j", "k")), URDF))


def test_fixed_joints_are_multiplied_from_the_root_on(frames):
    np.testing.assert_allclose(frames.transform("table") @ (0.2, 0.0, 0.0, 1.0), (1.0, 0.2, 0.7, 1.0), atol=1e-12)
    T = frames.transform("plate")
    np.testing.assert_allclose(T[:3, 3], (1.0, 0.0, 0.8), atol=1e-12)
    turned = Rotation.from_euler("z", 0.5 * np.pi) * Rotation.from_euler("x", 0.4)
    np.testing.assert_allclose(T[:3, :3], turned.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("frame", ("", "world", "/world"))
def test_no_frame_is_that_of_the_root(frames, frame):
    np.testing.assert_array_equal(frames.transform(frame), np.eye(4))


@pytest.mark.parametrize("frame", ("lift", "upper", "hand", "tag", "tables"))
def test_a_frame_that_moves_or_is_unknown_is_refused_and_the_known_ones_are_named(frames, frame):
    with pytest.raises(TargetError, match=f"'{frame}'.*there are 'world', .*did you mean") as error:
        frames.transform(frame)
    assert "'lift'" not in str(error.value).replace(f"'{frame}'", "")
