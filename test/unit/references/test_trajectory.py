"""A joint trajectory as a reference: through its points at their times, within the limits, from wherever the arm is."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.exceptions import ShapeError, TargetError
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.references.targets import check_time, shortest_turns
from support.robots import planar_robot

DT = 0.01
TIMES, Q = np.array([1.0, 2.0]), np.array([[0.2, -0.1], [0.3, 0.1]])


def tracking(times=TIMES, positions=Q) -> TargetManager:
    target_manager = TargetManager(planar_robot(), ReferenceSettings(), DT)
    target_manager.reset(np.zeros(2), 5.0)
    target_manager.set_trajectory(Waypoints.of(times, positions), 6.0)
    return target_manager


def references(target_manager, stamps):
    found = []
    for stamp in stamps:
        target_manager.advance(stamp, np.zeros(4))
        found.append(target_manager.joints.at(stamp))
    return np.array(found)


def test_the_points_are_passed_at_their_times_and_the_last_one_is_kept():
    target_manager = tracking()
    found = references(target_manager, [5.5, 6.0, 7.0, 8.0, 9.0])
    assert found == pytest.approx(np.array([[0, 0], [0, 0], Q[0], Q[1], Q[1]]), abs=4e-3)
    assert found[[0, 1, 3, 4]] == pytest.approx(np.array([[0, 0], [0, 0], Q[1], Q[1]]))
    assert "passes within 0.0032 rad" in target_manager.take_notes()[0] and not target_manager.take_notes()


def test_a_point_at_time_zero_is_where_the_reference_is_anyway():
    found = references(tracking(np.array([0.0, 1.0, 2.0]), np.vstack(([1.0, 1.0], Q))), [6.0, 7.0, 8.0])
    assert found == pytest.approx(np.array([[0, 0], Q[0], Q[1]]), abs=4e-3)


def test_it_is_slowed_down_as_a_whole_to_stay_within_the_limits():
    target_manager = tracking(
        np.array([0.01, 0.02])
    )  # velocity limit 3, half of it for references; acceleration 0.5 * 7.5
    target_manager.advance(6.0, np.zeros(4))
    assert target_manager.end > 6.2
    steps = np.diff([target_manager.joints.at(t) for t in np.arange(6.0, target_manager.end, 0.001)], axis=0) / 0.001
    assert np.abs(steps).max() <= 1.5 * 1.001
    assert np.abs(np.diff(steps, axis=0)).max() / 0.001 <= 3.75 * 1.02
    assert target_manager.joints.at(target_manager.end) == pytest.approx(Q[-1])


def test_it_sets_out_with_the_velocity_of_the_reference_before():
    target_manager = tracking()
    target_manager.set_joint_target(np.array([1.0, 0.0]), 5.5)
    target_manager.set_trajectory(Waypoints.of(TIMES, Q), 6.0)
    references(target_manager, [5.5])
    stamps = np.arange(5.9, 6.1, 0.001)
    speed = np.diff(references(target_manager, stamps)[:, 0]) / 0.001
    assert speed.min() > 0.1 and np.abs(np.diff(speed)).max() < 0.05  # it moves, and nothing jumps


def test_a_later_target_takes_over_and_after_an_interruption_the_end_counts():
    target_manager = tracking()
    references(target_manager, [6.5])
    target_manager.resume(np.array([0.1, 0.1]), np.zeros(2), 6.6)
    assert references(target_manager, [6.7, 30.0])[-1] == pytest.approx(Q[-1])


@pytest.mark.parametrize(
    "times, positions, error, words",
    (
        ([1.0, 1.0], Q, TargetError, "rise"),
        ([-1.0, 1.0], Q, TargetError, "rise"),
        ([1.0, np.inf], Q, TargetError, "finite"),
        ([0.0], Q[:1], TargetError, "end after 0"),
        ([1.0], Q, ShapeError, "times"),
        ([1.0, 2.0], Q[:, :1], ShapeError, "target"),
        ([1.0, 1.00005], Q, TargetError, "at least 0.1 ms, but point 1 comes 0.05 ms after"),
        ([5e-5, 1.0], Q, TargetError, "point 0 comes 0.05 ms after"),
        ([1.0, 2.0], 10 * Q, TargetError, "joint1"),
        ([1.0, 2.0], np.nan * Q, TargetError, "joint1"),
        (np.arange(1.0, 502.0), np.zeros((501, 2)), TargetError, "1 to 500 points"),
    ),
)
def test_what_is_no_trajectory_is_refused(times, positions, error, words):
    with pytest.raises(error, match=words):
        tracking(np.array(times), np.array(positions))


def given(times, positions, velocities=None, accelerations=None, stamp=6.0, at=(0.0, 0.0), robot=None, **settings):
    target_manager = TargetManager(robot or planar_robot(), ReferenceSettings(**settings), DT)
    target_manager.reset(np.array(at), 5.0)
    target_manager.set_trajectory(Waypoints.of(times, positions, velocities, accelerations), stamp)
    return target_manager


def test_a_joint_told_to_rest_rests():
    """Points with velocity zero at equal positions: a spline through the points alone would swing."""
    positions = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    target_manager = given([1.0, 3.0, 5.0, 7.0], positions, np.zeros((4, 2)))
    found = references(target_manager, np.arange(6.0, 14.0, 0.01))
    assert found[301:499, 0] == pytest.approx(1.0, abs=1e-9) and found[:, 1] == pytest.approx(0.0, abs=1e-12)
    assert found.min() > -1e-9 and found.max() < 1.0 + 1e-9 and not target_manager.take_notes()


def test_a_motion_that_leaves_the_stops_between_its_points_is_refused():
    limit = planar_robot().position_upper[0]
    with pytest.raises(TargetError, match="'joint1' must lie in .* between its points takes it to"):
        given([1.0, 2.0], [[limit - 0.1, 0.0], [limit - 0.1, 0.0]], [[1.4, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    "velocities, accelerations, words",
    (
        ([[0.0, 0.0], [0.1, 0.0]], None, "'joint1' must rest at the last point"),
        ([[np.nan, 0.0], [0.0, 0.0]], None, "velocities of point 0 are not finite"),
        ([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [np.inf, 0.0]], "accelerations of point 1 are not finite"),
    ),
)
def test_velocities_and_accelerations_are_checked(velocities, accelerations, words):
    with pytest.raises(TargetError, match=words):
        given(TIMES, Q, velocities, accelerations)


def test_the_part_that_is_over_is_skipped_and_the_rest_keeps_its_times():
    target_manager = given([0.0, 1.0, 4.0], [[0.4, 0.2], [0.4, 0.2], [-0.4, 0.2]], stamp=3.0, at=(0.3, 0.2))
    found = references(target_manager, [5.0, 7.0, 8.0])
    assert found == pytest.approx(np.array([[0.3, 0.2], [-0.4, 0.2], [-0.4, 0.2]]))
    assert target_manager.joints.end == pytest.approx(7.0) and not target_manager.take_notes()
    target_manager = given([1.0, 2.0], Q, stamp=2.0)
    assert references(target_manager, [5.0, 6.0, 9.0]) == pytest.approx(0.0)  # over before it could begin
    assert "has ended" in target_manager.take_notes()[0] and target_manager.target.path is None


def test_a_trajectory_that_cannot_be_joined_in_motion_begins_from_rest():
    """At full speed towards the stop, and a cubic that would swing beyond it: stop first, then track."""
    limit = planar_robot().position_upper[0]
    target_manager = TargetManager(planar_robot(), ReferenceSettings(), DT)
    target_manager.reset(np.array([0.0, 0.0]), 0.0)
    target_manager.set_joint_target(np.array([limit, 0.0]), 0.0)
    stamp = 0.0
    while stamp == 0.0 or target_manager.joints.at(stamp)[0] < limit - 0.5:
        target_manager.advance(stamp, np.zeros(4))
        stamp += DT
    points = Waypoints.of([4.0, 6.0], [[limit - 0.4, 0.0], [0.5, 0.0]], np.zeros((2, 2)))
    target_manager.set_trajectory(points, stamp)
    found = references(target_manager, np.arange(stamp, stamp + 12.0, DT))
    assert found.max() <= limit + 1e-9 and found[-1] == pytest.approx([0.5, 0.0])
    speed = np.diff(found, axis=0) / DT
    assert np.abs(np.diff(speed, axis=0)).max() / DT <= 3.75 * 1.01 + 0.1
    assert any("rests before it begins" in note for note in target_manager.take_notes())


def test_a_continuous_joint_takes_the_short_way_by_a_setting():
    bounded = planar_robot()
    endless = np.full(2, np.inf)
    robot = dataclasses.replace(bounded, position_lower=-endless, position_upper=endless)
    start = np.array([3.0, -3.0])
    for shortest, expected in ((True, [2 * np.pi - 3.0, 3.0 - 2 * np.pi]), (False, [-3.0, 3.0])):
        target_manager = TargetManager(robot, ReferenceSettings(shortest_way=shortest), DT)
        target_manager.reset(start, 0.0)
        target_manager.set_joint_target(np.array([-3.0, 3.0]), 1.0)
        assert references(target_manager, [1.0, 20.0])[-1] == pytest.approx(expected)
        assert target_manager.target.q == pytest.approx(expected)
        target_manager.set_trajectory(Waypoints.of([5.0, 9.0], [[-3.0, 3.0], [-2.0, 3.0]]), 21.0)
        assert references(target_manager, [21.0, 60.0])[-1] == pytest.approx(np.array(expected) + [1.0, 0.0])
    target_manager = TargetManager(bounded, ReferenceSettings(), DT)
    target_manager.reset(np.array([2.4, 0.0]), 0.0)
    target_manager.set_joint_target(np.array([-2.4, 0.0]), 1.0)
    assert references(target_manager, [1.0, 20.0])[-1] == pytest.approx([-2.4, 0.0])  # a joint with stops


def test_a_position_command_is_never_turned_out_of_its_range():
    robot = planar_robot(2, "position")
    endless = np.full(2, np.inf)
    robot = dataclasses.replace(
        robot,
        position_lower=-endless,
        position_upper=endless,
        command_lower=np.full(2, -4 * np.pi),
        command_upper=np.full(2, 4 * np.pi),
    )
    turns = shortest_turns(robot, np.array([0.2, -3.0]), np.array([12.5, 3.0]))
    assert turns == pytest.approx([2 * np.pi, 2 * np.pi])  # 12.77 rad would be nearer, but no command reaches it


def test_a_target_is_refused_for_its_time():
    settings = ReferenceSettings(oldest_target=2.0, latest_target=60.0)
    for stamp, kwargs in ((0.0, {}), (98.5, {}), (159.0, {}), (10.0, {"end": 101.0})):
        check_time(stamp, 100.0, settings, **kwargs)
    for stamp, kind, kwargs in (
        (97.0, "too old", {}),
        (161.0, "in the future", {}),
        (161.0, "in the future", {"end": 170.0}),
        (10.0, "over", {"end": 99.0}),
    ):
        with pytest.raises(TargetError) as caught:
            check_time(stamp, 100.0, settings, **kwargs)
        assert caught.value.kind == kind


def test_no_more_targets_wait_than_the_setting_allows():
    target_manager = TargetManager(planar_robot(), ReferenceSettings(most_targets=3), DT)
    target_manager.reset(np.zeros(2), 0.0)
    for k in range(3):
        target_manager.set_joint_target(np.zeros(2), 1.0 + k)
    with pytest.raises(TargetError, match="3 targets wait") as caught:
        target_manager.set_joint_target(np.zeros(2), 9.0)
    assert caught.value.kind == "too many wait" and target_manager.accepted == 3
    target_manager.set_joint_target(np.zeros(2))  # now: replaces them all


@pytest.mark.parametrize("seed", range(6))
def test_the_reference_is_the_same_one_by_one_and_over_a_horizon(seed):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.3, 1.5, 6))
    velocities = rng.uniform(-0.2, 0.2, (6, 2)) if seed % 2 else np.full((6, 2), np.nan)
    velocities[-1] = np.nan if seed % 2 == 0 else 0.0
    target_manager = given(times, rng.uniform(-0.5, 0.5, (6, 2)), velocities)
    target_manager.advance(6.0, np.zeros(4))
    stamps = np.arange(6.0, target_manager.joints.end + 0.5, 0.037)
    one_by_one = np.array([target_manager.joints.at(stamp) for stamp in stamps])
    assert target_manager.joints.over(stamps) == pytest.approx(one_by_one, abs=1e-12)
