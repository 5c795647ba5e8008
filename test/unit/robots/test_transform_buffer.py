"""Transforms over time: interpolated, bounded, never extrapolated; loops, new parents and malformed ones."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from mbrl_ros.exceptions import TargetError
from mbrl_ros.robots.time_series import TimeSeries
from mbrl_ros.robots.transform_buffer import (
    MOST_FRAMES,
    MOST_STAMPS,
    MissingTimeError,
    TransformBuffer,
    inverse,
    slerp,
)

STILL = np.array((0.0, 0.0, 0.0, 1.0))
AT = np.array((1.0, 2.0, 3.0))


def matrix(p, rotation: Rotation) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation.as_matrix(), p
    return T


@pytest.fixture
def buffer() -> TransformBuffer:
    return TransformBuffer(10.0)


def test_static_transforms_are_multiplied_along_the_way_and_inverted_down_again(buffer):
    rng = np.random.default_rng(0)
    tree = {"b": "a", "c": "b", "d": "b", "e": "d"}
    T = {"a": np.eye(4)}
    for child, parent in tree.items():
        p, rotation = rng.normal(size=3), Rotation.random(random_state=rng)
        assert buffer.add(parent, child, 0.0, p, rotation.as_quat(), static=True) == ""
        T[child] = T[parent] @ matrix(p, rotation)
    for target in T:
        for source in T:
            expected = np.linalg.inv(T[target]) @ T[source]
            np.testing.assert_allclose(buffer.lookup(target, source), expected, atol=1e-12)
            np.testing.assert_allclose(buffer.lookup(target, source, 77.0), expected, atol=1e-12)
    assert buffer.frames == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("angle", (1e-7, 0.3, 2.9, 3.5))
def test_a_moving_frame_is_interpolated_on_the_shorter_way(buffer, angle):
    turns = Rotation.from_rotvec([(0.0, 0.0, 0.0), (0.0, angle, 0.0)])
    for stamp, p, q in zip((10.0, 10.5), ((0.0, 0.0, 0.0), (1.0, 2.0, -3.0)), turns.as_quat(), strict=True):
        buffer.add("base", "hand", stamp, np.array(p), q)
    between = Slerp((10.0, 10.5), turns)
    for share in (0.0, 0.25, 0.9, 1.0):
        T = buffer.lookup("base", "hand", 10.0 + 0.5 * share)
        np.testing.assert_allclose(T[:3, 3], share * np.array((1.0, 2.0, -3.0)), atol=1e-12)
        np.testing.assert_allclose(T[:3, :3], between(10.0 + 0.5 * share).as_matrix(), atol=1e-9)


def test_opposite_quaternions_are_one_rotation():
    q = Rotation.from_rotvec((0.1, 0.2, 0.3)).as_quat()
    np.testing.assert_allclose(slerp(q, -q, 0.3), q, atol=1e-12)


def test_nothing_is_extrapolated(buffer):
    for stamp in (10.0, 11.0):
        buffer.add("base", "hand", stamp, AT, STILL)
    for stamp, ahead, kind in ((9.5, -0.5, "transform too old"), (11.25, 0.25, "transform in the future")):
        with pytest.raises(MissingTimeError, match=r"0\.[25]50? s|0\.500 s") as error:
            buffer.lookup("base", "hand", stamp)
        assert error.value.ahead == pytest.approx(ahead) and error.value.kind == kind
    buffer.lookup("base", "hand", 11.0 + 5e-7)  # rounding of stamps is no extrapolation


def test_without_a_time_it_is_the_newest_at_which_the_whole_way_is_known(buffer):
    """As in tf2: of 2.0 and 3.0 the older one, at which the other frame has moved half of its way."""
    for stamp in (1.0, 2.0):
        buffer.add("base", "arm", stamp, np.array((stamp, 0.0, 0.0)), STILL)
    for stamp in (1.0, 3.0):
        buffer.add("arm", "hand", stamp, np.array((0.0, stamp, 0.0)), STILL)
    np.testing.assert_allclose(buffer.lookup("base", "hand")[:3, 3], (2.0, 2.0, 0.0))
    np.testing.assert_allclose(buffer.lookup("hand", "base")[:3, 3], (-2.0, -2.0, 0.0))


def test_what_is_above_the_lowest_common_frame_does_not_matter(buffer):
    buffer.add("map", "base", 1.0, AT, STILL)
    buffer.add("base", "a", 5.0, AT, STILL)
    buffer.add("base", "b", 0.0, -AT, STILL, static=True)
    np.testing.assert_allclose(buffer.lookup("b", "a", 5.0)[:3, 3], 2.0 * AT)
    np.testing.assert_allclose(buffer.lookup("b", "a")[:3, 3], 2.0 * AT)


def test_a_frame_may_get_another_parent(buffer):
    """The parent holds until the next transform, and nothing is interpolated across the change."""
    buffer.add("base", "gripper", 0.0, AT, STILL, static=True)
    buffer.add("base", "box", 1.0, AT, STILL)
    buffer.add("gripper", "box", 2.0, np.zeros(3), STILL)
    buffer.add("gripper", "box", 3.0, AT, STILL)
    expected = {1.0: AT, 1.9: AT, 2.0: AT, 2.5: 1.5 * AT}
    for stamp, p in expected.items():
        np.testing.assert_allclose(buffer.lookup("base", "box", stamp)[:3, 3], p)
    assert [climb.top for climb in buffer.upward("box", 1.9)] == ["box", "base"]
    assert [climb.top for climb in buffer.upward("box", 2.0)] == ["box", "gripper", "base"]
    buffer.add("base", "box", 0.0, -AT, STILL, static=True)  # and may come to rest
    np.testing.assert_allclose(buffer.lookup("base", "box", 2.5)[:3, 3], -AT)
    buffer.add("base", "box", 9.0, AT, STILL)
    np.testing.assert_allclose(buffer.lookup("base", "box")[:3, 3], AT)


def test_a_loop_is_told(buffer):
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a")):
        buffer.add(parent, child, 0.0, AT, STILL, static=True)
    with pytest.raises(TargetError, match="form a loop") as error:
        buffer.lookup("base", "c")
    assert error.value.kind == "loop"


def test_trees_that_nothing_connects_are_told_with_their_roots(buffer):
    buffer.add("base", "hand", 0.0, AT, STILL, static=True)
    buffer.add("map", "tag", 0.0, AT, STILL, static=True)
    with pytest.raises(TargetError, match="'tag' and 'hand' are not connected.*'map' and 'base'"):
        buffer.lookup("hand", "tag")


@pytest.mark.parametrize(
    ("change", "reason"),
    (
        ({"p": np.array((0.0, np.nan, 0.0))}, "not finite"),
        ({"orientation": np.array((0.0, 0.0, np.inf, 1.0))}, "not finite"),
        ({"stamp": math.nan}, "not finite"),
        ({"orientation": np.zeros(4)}, "not a unit quaternion"),
        ({"orientation": np.array((0.0, 0.0, 0.5, 1.0))}, "not a unit quaternion"),
        ({"child": "base"}, "of a frame to itself"),
        ({"child": "/base"}, "of a frame to itself"),
        ({"child": ""}, "without a name"),
        ({"parent": "/"}, "without a name"),
    ),
)
def test_what_is_no_transform_is_left_out(buffer, change, reason):
    whole = {"parent": "base", "child": "hand", "stamp": 1.0, "p": AT, "orientation": STILL}
    assert buffer.add(**{**whole, **change}) == reason
    assert buffer.frames == []
    assert buffer.add(**whole) == "" and buffer.frames == ["base", "hand"]
    assert buffer.add(**whole) == "late or repeated"


def test_a_quaternion_that_is_rounded_is_made_one_of_unit_length(buffer):
    buffer.add("base", "hand", 0.0, AT, 1.004 * STILL, static=True)
    np.testing.assert_allclose(buffer.lookup("base", "hand")[:3, :3], np.eye(3), atol=1e-15)


def test_transforms_are_forgotten_by_their_age_and_may_come_in_any_order(buffer):
    for stamp in (1.0, 3.0, 2.0):
        assert buffer.add("base", "hand", stamp, stamp * AT, STILL) == ""
    np.testing.assert_allclose(buffer.lookup("base", "hand", 1.5)[:3, 3], 1.5 * AT)
    buffer.add("base", "hand", 11.5, AT, STILL)
    with pytest.raises(MissingTimeError):
        buffer.lookup("base", "hand", 1.5)
    np.testing.assert_allclose(buffer.lookup("base", "hand", 2.5)[:3, 3], 2.5 * AT)
    assert buffer.add("base", "hand", 1.2, AT, STILL) == "late or repeated"
    buffer.clear_moving()
    assert buffer.frames == []


def test_neither_frames_nor_stamps_grow_without_end(buffer):
    reasons = [buffer.add("base", f"f{k}", 0.0, AT, STILL, static=True) for k in range(MOST_FRAMES + 5)]
    assert reasons.count("too many frames") == 5
    moving = TransformBuffer(10.0)
    for k in range(20000):
        moving.add("base", "hand", 1e-3 * k, 1e-3 * k * AT, STILL)
    (series,) = moving._moving.values()
    assert len(series._stamps) <= 2 * MOST_STAMPS
    for stamp in (10.01, 15.0003, 19.9985, 19.999):  # thinned, and the newest one is there
        np.testing.assert_allclose(moving.lookup("base", "hand", stamp)[:3, 3], stamp * AT, atol=1e-9)


def test_frames_that_come_no_more_make_room_for_others():
    buffer = TransformBuffer(5.0)
    for k in range(3 * MOST_FRAMES):  # as those of things that are seen once
        assert buffer.add("base", f"seen{k}", 0.01 * k, AT, STILL) == ""
    assert len(buffer._moving) <= MOST_FRAMES
    assert all(buffer.add("base", f"new{k}", 30.0, AT, STILL) == "" for k in range(MOST_FRAMES - 600))
    reasons = [buffer.add("base", f"more{k}", 30.0, AT, STILL) for k in range(MOST_FRAMES)]
    assert reasons.count("too many frames") > 100  # there are that many at a time


def test_a_series_keeps_the_newest_and_what_is_apart():
    series: TimeSeries[int] = TimeSeries(1.0, 10)
    for k in range(1000):
        series.add(0.01 * k, k)
    assert series.newest == pytest.approx(9.99) and series.last == 999
    assert 8.98 <= series.oldest <= 9.1 and len(series._stamps) <= 20
    late: TimeSeries[int] = TimeSeries(1.0, 10)
    late.add(1.0, 0)
    assert sum(late.add(0.1 + 1e-4 * k, k) for k in range(1000)) < 20


def test_a_transform_and_its_inverse_are_one():
    T = matrix(AT, Rotation.from_rotvec((0.4, -0.2, 1.3)))
    np.testing.assert_allclose(inverse(T) @ T, np.eye(4), atol=1e-15)
