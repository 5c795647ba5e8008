"""The time of the references for position commands."""

import numpy as np
import pytest

from mbrl_ros.references.reference_time import FARTHEST_BEHIND, STRETCH, ReferenceTime

DT = 0.01


def times_of(wanted, stamps):
    """The times of the references of the commands for states with these stamps, each of which acts for its own."""
    time, times = ReferenceTime(DT), []
    for k, stamp in enumerate(stamps):
        times.append(time.advance(wanted[k], stamp - DT))
        time.record(stamp)
    return np.array(times)


def test_it_is_the_wanted_time_while_that_goes_on_by_a_period():
    wanted = 3.0 + DT * np.arange(5)
    assert times_of(wanted, wanted - 2 * DT) == pytest.approx(wanted)


@pytest.mark.parametrize("jump", (3.0, 1.0, -1.0))
def test_a_jump_of_the_wanted_time_is_made_up_for_little_by_little(jump):
    stamps = DT * np.arange(60)
    wanted = stamps + jump * DT * (np.arange(60) > 0)
    times = times_of(wanted, stamps)
    steps = np.diff(times) / DT
    assert np.abs(steps - 1.0).max() <= STRETCH + 1e-9
    assert times[-1] == pytest.approx(wanted[-1])
    assert np.count_nonzero(np.abs(steps - 1.0) > 1e-9) == round(abs(jump) / STRETCH)


def test_of_two_commands_that_act_in_one_period_the_second_goes_no_further_than_the_first():
    time = ReferenceTime(DT)
    for k in range(4):
        first = time.advance(k * DT, (k - 1) * DT)
        time.record((k + (k == 3)) * DT)  # the last one is late
    second = time.advance(4 * DT, 3 * DT)
    assert second == pytest.approx(first + STRETCH * DT)


def test_after_a_long_gap_and_after_a_reset_it_is_the_wanted_time():
    time = ReferenceTime(DT)
    time.advance(0.0, -DT)
    assert time.advance(2.0 * FARTHEST_BEHIND, 2.0 * FARTHEST_BEHIND - DT) == 2.0 * FARTHEST_BEHIND
    time.reset()
    assert time.advance(0.0, -DT) == 0.0
