"""The time of the references for position commands."""

import numpy as np
import pytest

from mbrl_ros.references.reference_time import FARTHEST_BEHIND, STRETCH, ReferenceTime

DT = 0.01


def test_it_is_the_wanted_time_while_that_goes_on_by_a_period():
    time = ReferenceTime(DT)
    for k in range(5):
        assert time.advance(3.0 + k * DT) == pytest.approx(3.0 + k * DT)


@pytest.mark.parametrize("jump", (3.0, 1.0, -1.0))
def test_a_jump_of_the_wanted_time_is_made_up_for_little_by_little(jump):
    time = ReferenceTime(DT)
    time.advance(0.0)
    wanted = (np.arange(1, 60) + jump) * DT
    times = np.array([0.0, *(time.advance(t) for t in wanted)])
    steps = np.diff(times) / DT
    assert np.abs(steps - 1.0).max() <= STRETCH + 1e-9
    assert times[-1] == pytest.approx(wanted[-1])
    assert np.count_nonzero(np.abs(steps - 1.0) > 1e-9) == round(abs(jump) / STRETCH)


def test_after_a_long_gap_and_after_a_reset_it_is_the_wanted_time():
    time = ReferenceTime(DT)
    time.advance(0.0)
    assert time.advance(2.0 * FARTHEST_BEHIND) == 2.0 * FARTHEST_BEHIND
    time.reset()
    assert time.advance(0.0) == 0.0
