"""Whether positions move as far as velocities and stamps tell."""

import numpy as np
import pytest

from mbrl_ros.data.cleaning import cleaned
from mbrl_ros.data.pace import pace

PERIOD, TICKS, JOINTS = 0.008, 4000, ("a", "b")


def motion(seed: int = 0):
    """Return stamps, q and qd of an arm that rests two thirds of the time; its velocity has noise also at rest."""
    rng = np.random.default_rng(seed)
    t = PERIOD * np.arange(TICKS)
    moves = (t % 3.0) < 1.0
    qd = np.where(moves[:, None], np.sin(2.0 * np.pi * t)[:, None] * [1.0, -0.4], 0.0)
    q = PERIOD * np.cumsum(qd, axis=0)
    q = np.vstack([q[:1], 0.5 * (q[1:] + q[:-1])])
    return t, q, qd + 1e-3 * rng.standard_normal(qd.shape)


def clock_notes(t, q, qd):
    return [note for note in cleaned("arm", JOINTS, t, q, qd, None).notes if "clock" in note]


def test_rest_and_positions_that_are_updated_every_other_sample_are_no_wrong_clock():
    t, q, qd = motion()
    held = q[2 * (np.arange(TICKS) // 2)]
    for positions in (q, held):
        assert abs(pace(t, positions, qd) - 1.0) < 0.01
        assert not clock_notes(t, positions, qd)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 180.0 / np.pi])
def test_a_clock_or_a_unit_that_is_off_is_noted_with_its_factor(factor):
    t, q, qd = motion(1)
    assert pace(t, factor * q, qd) == pytest.approx(factor, rel=0.01)
    assert len(clock_notes(t, factor * q, qd)) == 1


def test_one_wrong_velocity_and_a_gap_change_nothing():
    t, q, qd = motion(2)
    qd[1234, 0] = 1e4
    t[3000:] += 60.0
    assert abs(pace(t, q, qd) - 1.0) < 0.01


def test_an_arm_that_only_rests_tells_nothing():
    t, q, qd = motion(3)
    assert pace(t, 1e-5 * q, 1e-5 * qd) is None
