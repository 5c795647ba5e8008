"""A motion as polynomials: what the trajectory itself says of every time, in Python and compiled the same bits."""

import numpy as np
import pytest

from mbrl_ros.references.jerk_motion import JerkMotion, make_jerk_motion
from mbrl_ros.references.jerk_trajectory import JerkTrajectory, to_rest
from mbrl_ros.references.trajectory import SmoothReference

BEGIN = 3.7


def motion(seed: int, n: int = 3) -> tuple[JerkTrajectory, np.ndarray, np.ndarray]:
    """A motion from a random state, sometimes beyond the limits, to a random goal."""
    rng = np.random.default_rng(seed)
    start, goal = rng.normal(size=(2, n))
    state = start.tolist(), (1.5 * rng.normal(size=n)).tolist(), rng.normal(size=n).tolist()
    return to_rest(state, goal.tolist(), [1.0] * n, [2.0] * n, [15.0] * n), start, goal


@pytest.mark.parametrize("seed", range(12))
def test_polynomials_are_what_the_trajectory_says(seed):
    found, start, goal = motion(seed)
    times = BEGIN + np.sort(np.r_[np.linspace(-0.1, found.duration + 0.1, 200), 0.0, found.duration])
    compiled = make_jerk_motion(found, BEGIN, start, goal).over(times)
    np.testing.assert_array_equal(compiled, JerkMotion(found, BEGIN, start, goal).over(times))
    inside = [i for i, t in enumerate(times) if BEGIN <= t < BEGIN + found.duration]
    wanted = np.array([found.at_time(times[i] - BEGIN)[0] for i in inside])
    np.testing.assert_allclose(compiled[inside], wanted, rtol=0.0, atol=1e-13)
    np.testing.assert_array_equal(compiled[times < BEGIN], np.tile(start, (np.sum(times < BEGIN), 1)))
    after = times >= BEGIN + found.duration
    np.testing.assert_array_equal(compiled[after], np.tile(goal, (np.sum(after), 1)))


def test_a_reference_that_turns_back_or_is_copied_is_sampled_as_it_moves():
    reference = SmoothReference(0.01, np.full(2, 1.0), np.full(2, 3.0), np.full(2, 30.0))
    reference.reset(np.zeros(2), 0.0)
    reference.go_to(np.array([0.5, -0.3]), 0.0)
    times = 0.1 + 0.01 * np.arange(31)
    before = reference.over(times)
    copied = reference.frozen()
    reference.go_to(np.array([-0.5, 0.3]), 0.15)
    np.testing.assert_array_equal(copied.over(times), before)
    later = 0.15 + 0.01 * np.arange(31)
    wanted = np.array([reference.at(t) for t in later])
    np.testing.assert_allclose(reference.over(later), wanted, rtol=0.0, atol=1e-13)
    assert np.abs(reference.over(later) - copied.over(later)).max() > 0.01
