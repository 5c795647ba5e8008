"""References and targets: limits kept, bad targets refused with the reason, image targets in phases."""

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.exceptions import ShapeError, TargetError
from mbrl_ros.references.preview import Phase
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.references.trajectory import SmoothReference, joint_reference
from support.robots import planar_robot

DT = 0.005
SETTINGS = ReferenceSettings()


@pytest.fixture
def robot():
    return planar_robot(3)


def test_a_reference_keeps_velocity_acceleration_and_jerk_limits(robot):
    reference = joint_reference(robot, SETTINGS, DT)
    rng = np.random.default_rng(0)
    reference.reset(np.zeros(3), 0.0)
    t, samples = 0.0, []
    for _ in range(20):  # new goals come while the last one is still being approached
        reference.go_to(rng.uniform(-2.0, 2.0, 3), t)
        for _ in range(rng.integers(10, 300)):
            samples.append(reference.at(t))
            t += DT
    q = np.array(samples)
    # central differences of a curve with bounded jerk are off by at most one step of the next derivative
    velocity, acceleration = np.diff(q, axis=0) / DT, np.diff(q, n=2, axis=0) / DT**2
    assert np.abs(velocity).max() <= 0.5 * robot.velocity_limit.max() + DT * 0.5 * robot.acceleration_limit.max()
    assert np.abs(acceleration).max() <= 0.5 * robot.acceleration_limit.max() + 2 * DT * robot.jerk_limit.max()


def test_a_reference_ends_at_its_goal_and_rests(robot):
    reference = joint_reference(robot, SETTINGS, DT)
    reference.reset(np.zeros(3), 0.0)
    goal = np.array([1.0, -0.5, 0.2])
    reference.go_to(goal, 1.0)
    np.testing.assert_allclose(reference.at(reference.end + 1.0), goal)
    np.testing.assert_allclose(reference.over(np.linspace(0.0, 0.5, 5)), 0.0)
    np.testing.assert_allclose(reference.over(1.0 + np.arange(5) * DT), [reference.at(1.0 + k * DT) for k in range(5)])


def test_a_reference_over_a_horizon_is_to_the_last_bit_what_it_is_at_each_time(robot):
    reference, rng = joint_reference(robot, SETTINGS, DT), np.random.default_rng(1)
    parts = set()
    for _ in range(50):
        reference.reset(rng.uniform(-1.0, 1.0, 3), 0.0)
        reference.go_to(rng.uniform(-1.0, 1.0, 3), 1.0)
        times = rng.uniform(0.5, reference.end + 0.1) + DT * rng.choice([1, 10, 50]) * np.arange(31)
        y = reference.over(times)
        np.testing.assert_array_equal(y, [reference.at(t) for t in times], strict=True)
        assert y.flags.writeable
        parts |= {(times[0] < 1.0, times[-1] >= reference.end)}
    assert len(parts) == 4  # from before and within the motion, to within and after it


def manager_at(robot, q, m=0):
    target_manager = TargetManager(robot, SETTINGS, DT, m, horizon=4)
    target_manager.reset(np.array(q), 0.0)
    return target_manager


def test_bad_targets_are_refused_with_the_reason(robot):
    target_manager = manager_at(robot, [0.3, 0.3, 0.3])
    with pytest.raises(TargetError, match=r"'joint2' must lie in \[-2\.\d+, 2\.\d+\], got 9"):
        target_manager.set_joint_target([0.0, 9.0, 0.0])
    with pytest.raises(TargetError, match="'joint1'.*got nan"):
        target_manager.set_joint_target([np.nan, 0.0, 0.0])
    nearest = r"the nearest point found within the joint limits, \[.*\] in the base frame, misses it by 500.0 mm"
    with pytest.raises(TargetError, match=f"out of reach: {nearest}"):
        target_manager.set_point_target([2.0, 0.0, 0.0])  # the arm is 1.5 m long
    with pytest.raises(ShapeError, match=r"joint target must have shape \(3,\)"):
        target_manager.set_joint_target([0.0])
    with pytest.raises(TargetError, match="features.points"):
        target_manager.set_feature_target([0.0, 0.0])
    with pytest.raises(TargetError, match=r"\[-1, 1\]"):
        manager_at(robot, [0.3, 0.3, 0.3], m=2).set_feature_target([0.0, 1.5])
    assert target_manager.target.kind == "joints"  # none of them changed anything
    np.testing.assert_allclose(target_manager.target.value, 0.3)


def test_targets_start_when_their_time_has_come(robot):
    target_manager = manager_at(robot, [0.1, 0.2, 0.3])
    target_manager.set_joint_target([-1.0, 0.0, 0.0], stamp=2.0)  # replaced by the other one that begins at 2 s
    target_manager.set_joint_target([1.0, 0.0, 0.0], stamp=2.0)
    target_manager.set_joint_target([0.5, 0.0, 0.0], stamp=1.0)  # messages on two topics may come in any order
    for stamp, expected in ((0.5, 0.1), (1.0, 0.5), (1.99, 0.5), (2.0, 1.0)):
        target_manager.advance(stamp, np.zeros(6))
        assert target_manager.target.value[0] == expected
    target_manager.set_joint_target([0.7, 0.0, 0.0], stamp=3.0)
    target_manager.set_joint_target([0.0, 0.0, 0.0])  # now, and nothing after it
    for stamp in (2.005, 3.0):
        target_manager.advance(stamp, np.zeros(6))
        assert target_manager.target.value[0] == 0.0


def test_a_point_reference_is_the_image_of_the_joint_reference(robot):
    target_manager = manager_at(robot, [0.3, 0.3, 0.3])
    target_manager.set_point_target(target_manager.kinematics.position(np.array([0.6, 0.1, 0.5])))
    target_manager.advance(0.0, np.zeros(6))
    times = 0.3 + DT * np.arange(5)
    preview = target_manager.preview(times)
    assert preview.kind == "point"
    for q, p in zip(preview.q, preview.p, strict=True):
        np.testing.assert_allclose(target_manager.kinematics.position(q), p, atol=1e-12)


def test_a_point_target_before_the_first_state_is_reached_from_where_the_robot_is(robot):
    target_manager = TargetManager(robot, SETTINGS, DT, horizon=4)
    p = target_manager.kinematics.position(np.array([0.35, 0.25, 0.3]))
    target_manager.set_point_target(p, stamp=1.0)
    target_manager.reset(np.full(3, 0.3), 0.0)
    target_manager.advance(1.0, np.zeros(6))
    assert np.abs(target_manager.target.q - 0.3).max() < 0.2  # the near one of the poses that reach it


def test_an_image_target_is_looked_for_served_and_waited_for(robot):
    target_manager = manager_at(robot, [0.3, 0.3, 0.3], m=2)
    target_manager.set_feature_target([0.2, -0.1])
    G = np.array([[1.0, 0.5, 0.2], [0.0, 1.0, 0.4]])
    x = np.concatenate([np.full(3, 0.3), np.zeros(3), [0.0, 0.0], np.zeros(2)])
    target_manager.advance(0.0, x, fresh=True, jacobian=None)
    assert target_manager.phase is Phase.EXCITE and target_manager.preview(0.5 + DT * np.arange(5)).kind == "joints"
    assert np.ptp(target_manager.preview(0.5 + DT * np.arange(5)).q, axis=0).min() > 0.0  # every joint moves a little
    target_manager.advance(1.0, x, fresh=True, jacobian=G)
    assert target_manager.phase is Phase.SERVO
    late = target_manager.preview(target_manager.end + DT * np.arange(5))
    assert late.kind == "features"
    np.testing.assert_allclose(late.s, np.tile([0.2, -0.1], (5, 1)))
    target_manager.advance(1.5, x, fresh=False, jacobian=G)
    assert (
        target_manager.phase is Phase.FEATURES_LOST and target_manager.preview(1.5 + DT * np.arange(5)).kind == "joints"
    )
    assert target_manager.end == np.inf
    target_manager.advance(2.0, x, fresh=True, jacobian=None)
    assert target_manager.phase is Phase.EXCITE


def test_a_goal_that_waits_is_gone_on_to_once_nothing_makes_it_wait():
    reference = SmoothReference(0.01, np.array([1.0]), np.array([4.0]), np.array([40.0]))
    reference.reset(np.zeros(1), 0.0)
    reference.go_to(np.ones(1), 0.0)
    for k in range(1, 100):
        reference.go_on(0.01 * k)
        reference.wait(0.01 * k)
    assert reference.end == np.inf
    rest = reference.at(1.0)
    assert np.abs(rest).max() < 1e-3  # of the first period
    assert reference.over(1.0 + 0.01 * np.arange(5)) == pytest.approx(np.repeat(rest[None], 5, axis=0))
    reference.go_on(0.99)
    assert reference.end == np.inf
    reference.go_on(1.0)
    assert reference.at(reference.end) == pytest.approx(1.0)
    assert 1.0 < reference.end < 3.0
