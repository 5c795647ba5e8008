"""A joint trajectory as a reference: through its points at their times, within the limits, from wherever the arm is."""

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.exceptions import ShapeError, TargetError
from mbrl_ros.references.target_manager import TargetManager
from support.robots import planar_robot

DT = 0.01
TIMES, Q = np.array([1.0, 2.0]), np.array([[0.2, -0.1], [0.3, 0.1]])


def tracking(times=TIMES, positions=Q) -> TargetManager:
    target_manager = TargetManager(planar_robot(), ReferenceSettings(), DT)
    target_manager.reset(np.zeros(2), 5.0)
    target_manager.set_trajectory(times, positions, 6.0)
    return target_manager


def references(target_manager, stamps):
    found = []
    for stamp in stamps:
        target_manager.advance(stamp, np.zeros(4))
        found.append(target_manager.joints.at(stamp))
    return np.array(found)


def test_the_points_are_passed_at_their_times_and_the_last_one_is_kept():
    found = references(tracking(), [5.5, 6.0, 7.0, 8.0, 9.0])
    assert found == pytest.approx(np.array([[0, 0], [0, 0], Q[0], Q[1], Q[1]]))


def test_a_point_at_time_zero_is_where_the_reference_is_anyway():
    found = references(tracking(np.array([0.0, 1.0, 2.0]), np.vstack(([1.0, 1.0], Q))), [6.0, 7.0, 8.0])
    assert found == pytest.approx(np.array([[0, 0], Q[0], Q[1]]))


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
    target_manager.set_trajectory(TIMES, Q, 6.0)
    references(target_manager, [5.5])
    stamps = np.arange(5.9, 6.1, 0.001)
    speed = np.diff(references(target_manager, stamps)[:, 0]) / 0.001
    assert speed.min() > 0.1 and np.abs(np.diff(speed)).max() < 0.05  # it moves, and nothing jumps


def test_a_later_target_takes_over_and_after_an_interruption_the_end_counts():
    target_manager = tracking()
    references(target_manager, [6.5])
    target_manager.resume(np.array([0.1, 0.1]), 6.6)
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
        ([1.0, 2.0], 10 * Q, TargetError, "joint1"),
        ([1.0, 2.0], np.nan * Q, TargetError, "joint1"),
        (np.arange(1.0, 502.0), np.zeros((501, 2)), TargetError, "1 to 500 points"),
    ),
)
def test_what_is_no_trajectory_is_refused(times, positions, error, words):
    with pytest.raises(error, match=words):
        tracking(np.array(times), np.array(positions))
