"""Motions through the points of trajectories: compared with scipy's, continuous, and inside the limits when sampled."""

import dataclasses

import numpy as np
import pytest
from scipy.interpolate import BPoly, CubicHermiteSpline

from mbrl_ros.exceptions import ShapeError, TargetError
from mbrl_ros.references.segments import Piecewise, Waypoints, extrema, polynomials
from mbrl_ros.references.tracking import check_range, motion_through
from support.robots import planar_robot

VELOCITY, ACCELERATION = np.array([1.0, 2.0, 0.5]), np.array([2.0, 5.0, 3.0])
SLOW = 1.0 + 1e-9


def points(rng, count, kind, *, speed=0.3):
    """Return random points of `kind`: linear, cubic, quintic or mixed, resting at the end."""
    times = np.cumsum(rng.uniform(0.5, 2.0, count))
    Q = np.cumsum(rng.uniform(-0.4, 0.4, (count, 3)), axis=0)
    V, A = rng.uniform(-speed, speed, (2, count, 3))
    V[-1] = A[-1] = 0.0
    if kind == "linear":
        V[:] = np.nan
    if kind in ("linear", "cubic"):
        A[:] = np.nan
    if kind == "mixed":
        V[rng.random(count) < 0.5] = np.nan
        A[rng.random(count) < 0.5] = np.nan
    return Waypoints.of(times, Q, V, A)


def within(limit):
    return dataclasses.replace(
        planar_robot(1), joints=("a",), position_lower=np.full(1, -0.5), position_upper=np.full(1, limit)
    )


def rest(q=None):
    return (np.zeros(3) if q is None else q, np.zeros(3), np.zeros(3))


def sampled(motion, count=4001):
    times = np.linspace(0.0, motion.duration, count)
    return times, *(motion.at_times(times, order) for order in range(3))


@pytest.mark.parametrize("seed", range(5))
def test_cubic_and_quintic_segments_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    for kind in ("cubic", "quintic"):
        given = points(rng, 6, kind)
        C, linear = polynomials(given)
        assert not linear.any()
        motion = Piecewise(C, np.diff(given.times))
        derivatives = [given.Q, given.V] if kind == "cubic" else [given.Q, given.V, given.A]
        oracle = (
            CubicHermiteSpline(given.times, given.Q, given.V)
            if kind == "cubic"
            else BPoly.from_derivatives(given.times, np.stack(derivatives, axis=1))
        )
        for t in np.linspace(given.times[0], given.times[-1], 301)[:-1]:
            for order, value in enumerate(motion.at_time(t - given.times[0])):
                assert value == pytest.approx(oracle(t, order), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_extrema_are_those_of_a_fine_sampling(seed):
    rng = np.random.default_rng(seed)
    C, lengths = rng.normal(size=(20, 6, 3)), rng.uniform(0.2, 3.0, 20)
    C[5:, 5], C[10:, 4], C[15:, 1:] = 0.0, 0.0, 0.0
    low, high = extrema(C, lengths)
    s = np.linspace(0.0, 1.0, 5001)[:, None] * lengths
    values = np.einsum("spk,pkn->spn", s[..., None] ** np.arange(6), C)
    scale = np.abs(values).max(axis=0)
    assert (low <= values.min(axis=0) + 1e-9 * scale).all() and (high >= values.max(axis=0) - 1e-9 * scale).all()
    assert np.abs(low - values.min(axis=0)).max() < 1e-5 * scale.max()
    assert np.abs(high - values.max(axis=0)).max() < 1e-5 * scale.max()


@pytest.mark.parametrize("kind", ("linear", "cubic", "quintic", "mixed"))
@pytest.mark.parametrize("seed", range(8))
def test_limits_hold_and_what_is_promised_is_continuous(kind, seed):
    rng = np.random.default_rng(seed)
    given = points(rng, int(rng.integers(1, 9)), kind, speed=1.5)
    start = rest() if seed % 2 else (rng.normal(size=3), 0.9 * VELOCITY * rng.uniform(-1.0, 1.0, 3), np.zeros(3))
    motion = motion_through(start, given, VELOCITY, ACCELERATION, late=False)
    times, q, v, a = sampled(motion)
    assert (np.abs(v) <= VELOCITY * (1.0 + 1e-6)).all() and (np.abs(a) <= ACCELERATION * (1.0 + 1e-6)).all()
    step = times[1] - times[0]
    assert (np.abs(np.diff(q, axis=0)) <= VELOCITY * step * (1.0 + 1e-6)).all()  # the position is continuous
    assert (np.abs(np.diff(v, axis=0)) <= ACCELERATION * step * (1.0 + 1e-6)).all()  # and so is the velocity
    assert q[0] == pytest.approx(start[0]) and v[0] == pytest.approx(start[1])
    assert q[-1] == pytest.approx(given.Q[-1]) and v[-1] == pytest.approx(0.0, abs=1e-9)
    assert motion.duration == pytest.approx(motion.slowdown * (given.times[-1] + motion.delay))
    for t, point in zip(motion.slowdown * (given.times + motion.delay), given.Q, strict=True):
        assert (np.abs(motion.at_time(t)[0] - point) <= motion.deviation + 1e-9).all()
    if kind in ("cubic", "quintic"):
        assert motion.deviation.max() == 0.0
    if kind == "quintic":
        jerk = np.abs(np.diff(a, axis=0)).max() / step
        assert np.abs(np.diff(sampled(motion, 8001)[3], axis=0)).max() < 0.6 * jerk * step  # no step of acceleration


@pytest.mark.parametrize("kind", ("linear", "cubic", "quintic"))
def test_a_slow_trajectory_keeps_its_times(kind):
    given = points(np.random.default_rng(3), 5, kind, speed=0.05)
    given = Waypoints(4.0 * given.times, given.Q, given.V, given.A)
    motion = motion_through(rest(), given, VELOCITY, ACCELERATION, late=False)
    assert motion.slowdown == 1.0 and motion.duration == pytest.approx(given.times[-1])
    assert bool(motion.describe()) == (kind == "linear") and motion.deviation.max() < 0.02


def test_the_deviation_of_a_blend_is_what_the_acceleration_limit_makes_it():
    """A corner from +1 to -1 rad/s at 2 rad/s^2 takes 1 s and passes by the point by dv tau/8 = 0.25 rad."""
    given = Waypoints.of([4.0, 8.0], [[4.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    motion = motion_through(
        (np.zeros(3), np.array([1.0, 0.0, 0.0]), np.zeros(3)), given, 9.0 * VELOCITY, ACCELERATION, late=False
    )
    dv = 1.0 + 4.0 / (4.0 - 0.5 * (4.0 - np.sqrt(16.0 - 4.0)))  # the last line is faster by its ramp
    assert motion.deviation[0] == pytest.approx(dv**2 / (8.0 * 2.0), rel=1e-6)
    assert 4.0 - motion.at_time(4.0)[0][0] == pytest.approx(motion.deviation[0], rel=1e-6)


def test_a_late_start_lengthens_only_the_way_to_the_first_point():
    given = Waypoints.of([0.01, 5.0], [[0.5, 0.0, 0.0], [0.6, 0.0, 0.0]])
    late = motion_through(rest(), given, VELOCITY, ACCELERATION, late=True)
    assert late.slowdown < 1.2 and late.duration < 8.0 and "first point" in late.describe()
    asked = motion_through(rest(), given, VELOCITY, ACCELERATION, late=False)
    assert asked.duration == late.duration and asked.describe() == late.describe()


@pytest.mark.parametrize("offset, speed", ((0.01, 0.0), (0.1, 0.0), (0.0, -0.5), (0.05, -0.5)))
def test_a_dense_trajectory_is_joined_from_beside_it_without_being_slowed_down(offset, speed):
    """500 points in 10 s from rest to rest; to reach the first one in 20 ms would slow all of it down many times."""
    times = np.linspace(0.02, 10.0, 500)
    s = times / 10.0
    Q = np.outer(10.0 * s**3 - 15.0 * s**4 + 6.0 * s**5, [1.5, -1.0, 0.5])
    V = np.outer(30.0 * s**2 - 60.0 * s**3 + 30.0 * s**4, [0.15, -0.1, 0.05])
    start = (np.full(3, offset), np.full(3, speed), np.zeros(3))
    motion = motion_through(start, Waypoints.of(times, Q, V), VELOCITY, ACCELERATION, late=False)
    assert motion.slowdown < 1.001 and 0.0 < motion.delay < 1.5
    _, q, v, a = sampled(motion)
    assert (np.abs(v) <= VELOCITY * (1.0 + 1e-6)).all() and (np.abs(a) <= ACCELERATION * (1.0 + 1e-6)).all()
    for t, point in zip(times + motion.delay, Q, strict=True):
        assert motion.at_time(t)[0] == pytest.approx(point, abs=1e-3)
    assert "first point" in motion.describe()


def test_the_way_to_the_first_point_is_not_lengthened_where_that_would_take_longer():
    given = Waypoints.of([1.0, 1.2], [[0.5, 0.0, 0.0], [1.5, 0.0, 0.0]])  # the second way is the one that is too short
    assert motion_through(rest(), given, VELOCITY, ACCELERATION, late=False).delay == 0.0


def test_the_swing_between_two_points_is_found():
    C, _ = polynomials(Waypoints.of([0.0, 1.0], [[0.0], [0.0]], [[4.0], [0.0]]))
    motion = Piecewise(C, np.ones(1))
    assert motion.extrema()[1].item() == pytest.approx(4.0 * 4.0 / 27.0)
    with pytest.raises(TargetError, match=r"'a' must lie in \[-0.5000, 0.5000\].* to 0.5926 between 0.000 and 1.000 s"):
        check_range(motion, within(0.5))
    check_range(motion, within(0.6))


def test_points_that_do_not_fit_together_are_refused():
    with pytest.raises(ShapeError, match="velocities"):
        Waypoints.of([1.0], [[0.0, 0.0]], [[0.0]])
