"""The frames of targets: the base, links that move with measured joints, and whatever tf2 leads to them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import TargetError
from mbrl_ros.messages.recorded_transforms import RecordedTransforms, transform_details
from mbrl_ros.messages.target_frames import TargetFrames
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.pose_kinematics import PoseKinematics
from mbrl_ros.robots.transform_buffer import MissingTimeError, TransformBuffer
from support.robots import planar_robot

STILL = np.array((0.0, 0.0, 0.0, 1.0))
AT = np.array((0.1, 0.2, 0.3))

LIMIT = '<limit lower="-2" upper="2" velocity="1" effort="10"/>'
LINKS = ("base", "lift", "upper", "hand", "tag", "finger", "pad")
URDF = "".join(
    (
        '<robot name="on_a_lift">',
        *(f'<link name="{name}"/>' for name in LINKS),
        '<joint name="l" type="prismatic"><parent link="base"/><child link="lift"/><axis xyz="0 0 1"/>',
        LIMIT,
        '</joint><joint name="j" type="revolute"><parent link="lift"/><child link="upper"/><axis xyz="0 1 0"/>',
        '<origin xyz="0 0 0.5" rpy="0.1 0.2 0.3"/>',
        LIMIT,
        '</joint><joint name="k" type="revolute"><parent link="upper"/><child link="hand"/><axis xyz="1 1 0"/>',
        '<origin xyz="0.3 0 0"/>',
        LIMIT,
        '</joint><joint name="t" type="fixed"><parent link="hand"/><child link="tag"/><origin xyz="0 0 0.1"/></joint>',
        '<joint name="f" type="prismatic"><parent link="hand"/><child link="finger"/><axis xyz="0 1 0"/>',
        LIMIT,
        '</joint><joint name="p" type="fixed"><parent link="finger"/><child link="pad"/></joint>',
        "</robot>",
    )
)


def robot(**settings):
    return load_robot(RobotSettings(joints=("j", "k"), tip="tag", **settings), URDF)


def frames(buffer: TransformBuffer | None = None, **settings) -> TargetFrames:
    return TargetFrames(robot(**settings), buffer or TransformBuffer(10.0), oldest=2.0, memory=5.0)


def pose(q, r) -> np.ndarray:
    kinematics = PoseKinematics(robot())
    kinematics.place(np.array(r))
    T = np.eye(4)
    T[:3, 3], T[:3, :3] = kinematics.pose(np.array(q))
    return T


def test_a_link_that_moves_is_where_the_joints_were_at_the_stamp():
    ours = frames()
    with pytest.raises(TargetError, match="no state has come yet") as error:
        ours.transform("tag")
    assert error.value.kind == "no state"
    for stamp, q, r in ((10.0, (0.1, -0.4), (0.2,)), (10.1, (0.5, 0.4), (0.4,))):
        ours.add_state(stamp, np.array(q), np.array(r))
    np.testing.assert_allclose(ours.transform("tag", 10.0), pose((0.1, -0.4), (0.2,)), atol=1e-9)
    np.testing.assert_allclose(ours.transform("tag", 10.05), pose((0.3, 0.0), (0.3,)), atol=1e-9)
    np.testing.assert_allclose(ours.transform("/tag"), pose((0.5, 0.4), (0.4,)), atol=1e-9)
    np.testing.assert_allclose(ours.transform("lift"), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.4], [0, 0, 0, 1]])
    for stamp, side in ((9.9, "before the oldest"), (10.3, "later than the newest")):
        with pytest.raises(MissingTimeError, match=side):
            ours.transform("tag", stamp)
    ours.add_state(3.0, np.zeros(2), np.zeros(1), restarted=True)
    with pytest.raises(MissingTimeError):
        ours.transform("tag", 10.0)
    np.testing.assert_allclose(ours.transform("tag", 3.0), pose((0.0, 0.0), (0.0,)), atol=1e-9)


def test_a_stamp_a_little_ahead_waits_for_its_state_and_one_far_ahead_does_not():
    buffer, looks = TransformBuffer(10.0), []

    def look():
        looks.append(len(looks))
        if len(looks) == 3:
            ours.add_state(10.1, np.array((0.5, 0.4)), np.zeros(1))

    ours = TargetFrames(robot(), buffer, oldest=2.0, memory=5.0, update=look)
    ours.add_state(10.0, np.zeros(2), np.zeros(1))
    with pytest.raises(MissingTimeError):
        ours.transform("tag", 10.1, 0.05)
    assert len(looks) == 1
    np.testing.assert_allclose(ours.transform("tag", 10.1, 60.0), pose((0.5, 0.4), (0.0,)), atol=1e-9)
    assert len(looks) == 3


def test_the_base_has_no_time():
    for frame in ("", "base", "/base"):
        np.testing.assert_array_equal(frames().transform(frame, 1e9), np.eye(4))


def test_a_camera_on_the_hand_is_where_the_hand_was_when_it_saw():
    """The transform of what it saw is stamped earlier than the newest state: the arm has moved since."""
    buffer = TransformBuffer(10.0)
    ours = frames(buffer)
    for stamp, q in ((10.0, (0.0, 0.0)), (10.4, (0.4, 0.8))):
        ours.add_state(stamp, np.array(q), np.zeros(1))
    turned = Rotation.from_rotvec((0.0, 0.3, 0.0))
    buffer.add("hand", "camera", 0.0, AT, turned.as_quat(), static=True)
    buffer.add("camera", "box", 10.1, AT, STILL)
    from_tag = np.append(AT + turned.apply(AT), 1.0) - (0.0, 0.0, 0.1, 0.0)
    expected = pose((0.1, 0.2), (0.0,)) @ from_tag
    np.testing.assert_allclose(ours.transform("box") @ (0.0, 0.0, 0.0, 1.0), expected, atol=1e-9)
    np.testing.assert_allclose(ours.transform("box"), ours.transform("box", 10.1), atol=1e-12)
    ours.add_state(12.2, np.zeros(2), np.zeros(1))
    with pytest.raises(TargetError, match="is 2.100 s old, more than 2 s") as error:
        ours.transform("box")
    assert error.value.kind == "transform too old"
    np.testing.assert_allclose(ours.transform("camera"), ours.transform("camera", 12.2), atol=1e-12)


def test_the_own_joints_tell_where_links_are_and_not_what_others_say_of_them():
    """robot_state_publisher sends the same links, later and by its own rules."""
    buffer = TransformBuffer(10.0)
    ours = frames(buffer)
    ours.add_state(10.0, np.array((0.3, 0.3)), np.zeros(1))
    for link, parent in (("lift", "base"), ("upper", "lift"), ("hand", "upper"), ("tag", "hand")):
        buffer.add(parent, link, 1.0, 100.0 * AT, STILL)
    np.testing.assert_allclose(ours.transform("tag"), pose((0.3, 0.3), (0.0,)), atol=1e-9)


def test_a_link_behind_a_joint_that_is_not_measured_comes_from_tf2():
    buffer = TransformBuffer(10.0)
    ours = frames(buffer)
    ours.add_state(10.0, np.zeros(2), np.zeros(1))
    with pytest.raises(TargetError, match="'pad' moves with joint 'f', which is not controlled.*/tf does not hold it"):
        ours.transform("pad")
    buffer.add("hand", "finger", 10.0, AT, STILL)
    buffer.add("finger", "pad", 0.0, AT, STILL, static=True)
    np.testing.assert_allclose(ours.transform("pad")[:3, 3], ours.transform("hand")[:3, :] @ (*(2.0 * AT), 1.0))


def test_frames_above_and_beside_the_base_are_reached_through_a_common_one():
    buffer = TransformBuffer(10.0)
    ours = frames(buffer)
    base, table = np.eye(4), np.eye(4)
    base[:3, 3], table[:3, 3] = (1.0, 0.0, 0.5), (2.0, 0.0, 0.0)
    base[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    turned = Rotation.from_matrix(base[:3, :3]).as_quat()
    buffer.add("room", "base", 0.0, base[:3, 3], turned, static=True)
    buffer.add("room", "table", 0.0, table[:3, 3], STILL, static=True)
    np.testing.assert_allclose(ours.transform("room"), np.linalg.inv(base), atol=1e-12)
    np.testing.assert_allclose(ours.transform("table"), np.linalg.inv(base) @ table, atol=1e-12)
    buffer.add("earth", "room", 1.0, AT, STILL)  # however old: nothing between base and table
    np.testing.assert_allclose(ours.transform("table", 9.0), np.linalg.inv(base) @ table, atol=1e-12)


def test_unknown_frames_are_refused_with_what_is_known():
    buffer = TransformBuffer(10.0)
    buffer.add("map", "shelf", 0.0, AT, STILL, static=True)
    ours = frames(buffer)
    with pytest.raises(TargetError, match=r"no frame 'tagg' that is known; there are 'base', .*mean 'tag'\?") as error:
        ours.transform("tagg")
    assert error.value.kind == "unknown frame"
    with pytest.raises(TargetError, match="no transforms connect frame 'shelf' with the robot.*'map'.*'base'") as error:
        ours.transform("shelf")
    assert error.value.kind == "not connected"
    why = "/tf is not read, because tf2_msgs is not installed"
    without = TargetFrames(robot(), TransformBuffer(1.0), oldest=1.0, memory=1.0, without=why)
    with pytest.raises(TargetError, match=why):
        without.transform("shelf")


def test_frames_have_the_prefix_of_the_robot():
    ours = frames(frame_prefix="left/")
    ours.add_state(10.0, np.zeros(2), np.zeros(1))
    for frame in ("", "left/base", "left/tag"):
        ours.transform(frame)
    for frame in ("base", "tag"):
        with pytest.raises(TargetError, match=f"did you mean 'left/{frame}'"):
            ours.transform(frame)


def test_two_arms_on_one_torso_take_the_same_target():
    """Each has its own base frame; both bring their tips to one place of the torso's frame."""
    buffer = TransformBuffer(10.0)
    places = {}
    for side, y in (("left/", 0.3), ("right/", -0.3)):
        places[side] = np.eye(4)
        places[side][:3, 3] = (0.0, y, 1.0)
        places[side][:3, :3] = Rotation.from_euler("x", -np.sign(y)).as_matrix()
        turned = Rotation.from_matrix(places[side][:3, :3]).as_quat()
        buffer.add("torso", f"{side}base", 0.0, places[side][:3, 3], turned, static=True)
    p = np.array((0.4, 0.1, 1.2, 1.0))
    for side, T in places.items():
        ours = frames(buffer, frame_prefix=side)
        np.testing.assert_allclose(T @ ours.transform("torso") @ p, p, atol=1e-12)
        other = "right/" if side == "left/" else "left/"
        np.testing.assert_allclose(T @ ours.transform(f"{other}base"), places[other], atol=1e-12)


def test_a_mounted_robot_takes_targets_in_the_frame_that_it_is_mounted_in():
    mounting = (1.0, 2.0, 2.5, np.pi, 0.0, 0.4)
    ours = frames(mounting=mounting, mounting_frame="room")
    T = np.eye(4)
    T[:3, 3], T[:3, :3] = mounting[:3], Rotation.from_euler("xyz", mounting[3:]).as_matrix()
    np.testing.assert_allclose(ours.transform("room"), np.linalg.inv(T), atol=1e-12)
    assert ours.fixed("room") and not ours.fixed("world")


def test_a_recording_gives_each_target_its_own_transform():
    rng = np.random.default_rng(1)
    first, second, other = (np.vstack((rng.normal(size=(3, 4)), (0, 0, 0, 1))) for _ in range(3))
    recorded = RecordedTransforms(0.5)
    numbers = [0.1, 0.2, 1.0 / 3.0]
    for arrived, T, values in ((1.0, first, numbers), (1.1, other, [0.0, 0.0, 0.0]), (1.2, second, numbers)):
        recorded.add(arrived, transform_details("target_point", "box", 0.0, values, T))
    assert recorded.take(1.0, "target_pose", "box", 0.0, numbers) is None
    assert recorded.take(1.0, "target_point", "box", 7.0, numbers) is None
    np.testing.assert_array_equal(recorded.take(0.9, "target_point", "box", 0.0, numbers), first)
    np.testing.assert_array_equal(recorded.take(1.15, "target_point", "box", 0.0, numbers), second)
    assert recorded.take(1.2, "target_point", "box", 0.0, numbers) is None
    assert recorded.take(2.0, "target_point", "box", 0.0, [0.0, 0.0, 0.0]) is None  # of a target long before


def test_a_robot_without_further_joints_needs_no_positions_of_them():
    arm = planar_robot(2)
    ours = TargetFrames(arm, TransformBuffer(1.0), oldest=1.0, memory=1.0)
    ours.add_state(1.0, np.array((0.3, 0.4)), None)
    kinematics = PoseKinematics(arm)
    T = ours.transform(arm.tip)
    np.testing.assert_allclose(T[:3, :] @ (*arm.tip_offset, 1.0), kinematics.position(np.array((0.3, 0.4))), atol=1e-9)
