"""What the mean effort of a motion lacks at rest: learned, and exact where the description is."""

import numpy as np
import pytest

from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.robots.inertia import JointSpaceInertia
from mbrl_ros.safety.gravity_correction import GravityCorrection
from support.robots import planar_robot

DT, TIME, MIDDLE = 0.005, 0.5, np.array([-0.8, 0.6])
FREQUENCIES, SWINGS = np.array([1.1, 1.7]), np.array([0.4, 0.5])  # [Hz], [rad]


def moved(correction, carried=1.0, seconds=6.0, friction=0.0, inertia_known=True, noise=0.0):
    """Let it see efforts that carry `carried` times the description's gravity in a motion; return (last q, mean u)."""
    robot = planar_robot(2)
    gravity, inertia = GravityEffort(robot), JointSpaceInertia(robot)
    mean, rng = np.zeros(2), np.random.default_rng(0)
    for k in range(round(seconds / DT)):
        turn = 2.0 * np.pi * FREQUENCIES
        # the middle of a period: the mean acceleration over it is that of its ends' velocities, nearly
        q, qd = MIDDLE + SWINGS * np.sin(turn * k * DT), SWINGS * turn * np.cos(turn * k * DT)
        qdd = -SWINGS * turn**2 * np.sin(turn * (k + 0.5) * DT)
        u = carried * gravity(q) + inertia(q) @ qdd + friction * np.sign(qd)
        correction.add(q, qd + noise * rng.normal(size=2), u, DT, inertia if inertia_known else None)
        mean = mean + max(1.0 / (k + 1), DT / TIME) * (u - mean)
    return q, mean


@pytest.mark.parametrize("carried", (0.0, 0.5, 1.0, 1.8))
def test_the_share_of_gravity_in_the_efforts_is_learned(carried):
    """0: the driver carries the arm already; more than 1: a load. Noise of 0.01 rad/s, friction of 0.3 N m."""
    correction = GravityCorrection(planar_robot(2), TIME)
    moved(correction, carried, friction=0.3, noise=0.01)
    assert correction.share == pytest.approx(carried, abs=0.1)


def test_nothing_is_assumed_before_a_motion_without_an_inertia_or_of_an_arm_mounted_upside_down():
    q = np.array([0.7, -0.3])
    still, unknown, ceiling = (GravityCorrection(planar_robot(2), TIME) for _ in range(3))
    for _ in range(1000):
        still.add(q, np.zeros(2), np.array([3.0, 1.0]), DT, lambda pose: np.eye(2))
    moved(unknown, inertia_known=False)
    moved(ceiling, carried=-1.0)
    assert still.share == unknown.share == ceiling.share == 0.0
    assert not still.lift(q + 0.3).any() and not unknown.lift(q).any()


def test_the_mean_effort_of_a_motion_is_brought_to_any_pose():
    """It lacks up to the weight of the arm; 5 % of that is left."""
    correction, gravity = GravityCorrection(planar_robot(2), TIME), GravityEffort(planar_robot(2))
    _, mean = moved(correction)
    rng = np.random.default_rng(1)
    for pose in rng.uniform(-1.0, 1.0, (20, 2)):
        lacking = gravity(pose) - mean
        assert np.abs(mean + correction.lift(pose) - gravity(pose)).max() < 0.05 * 9.81 * 2.0 * 0.5, lacking


def test_it_is_never_more_than_the_effort_limit_and_begins_anew():
    robot = planar_robot(2)
    correction = GravityCorrection(robot, TIME)
    q, _ = moved(correction)
    correction._gravity = lambda pose: np.array([1e6, -1e6])
    np.testing.assert_allclose(np.abs(correction.lift(q)), robot.effort_limit)
    correction.reset()
    assert not correction.lift(q).any() and correction.share > 0.9
    correction.forget()
    assert correction.share == 0.0


def test_a_velocity_that_is_not_a_number_is_left_out():
    correction, q = GravityCorrection(planar_robot(2), TIME), np.zeros(2)
    moved(correction)
    share = correction.share
    for _ in range(100):
        correction.add(q, np.full(2, np.nan), np.zeros(2), DT, lambda pose: np.eye(2))
    assert correction.share == share and np.isfinite(correction.lift(q)).all()
