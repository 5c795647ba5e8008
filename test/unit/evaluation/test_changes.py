"""Where a recording changes, how soon it is predicted as well as before, and what is known of the input gain."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.evaluation.change import FEWEST_BEFORE_CHANGE, changes
from mbrl_ros.evaluation.details import detailed
from mbrl_ros.evaluation.scores import evaluate
from mbrl_ros.exceptions import DataError
from support.made_recordings import GAIN, learner, made_recording

LOAD = (700, (-8.0, 5.0))  # [rad/s^2]: 8 and 5 times the standard deviation of the noise in a tick of 10 ms


def found(recording, at=None, estimator="refit"):
    dynamics = learner(recording, estimator)
    return changes(recording, dynamics, evaluate(recording, dynamics), at, 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_a_load_is_found_within_three_ticks_and_learned_within_the_memory(seed):
    first, *others = found(made_recording(T=1500, seed=seed, load=LOAD))
    assert not others and first.found
    assert abs(first.stamp - 7.0) <= 0.03
    assert first.rms_ratio > 2.0 and first.without_learning > 2.0
    assert 1 <= first.ticks <= 100 and first.seconds == pytest.approx(0.01 * first.ticks)
    assert "as good as before after" in first.line()


def test_the_larger_load_takes_longer_and_is_named_first():
    small, large = (
        found(made_recording(T=1500, load=(700, scale * np.array(LOAD[1]))), at=7.0)[0] for scale in (0.5, 4.0)
    )
    assert large.ticks > small.ticks and large.rms_ratio > 3.0 * small.rms_ratio
    recording = made_recording(T=1500, load=LOAD)
    dynamics = learner(recording)
    trace = evaluate(recording, dynamics)
    two = dataclasses.replace(trace)
    two.error[1000:1005] += 0.03  # a smaller change besides
    assert abs(changes(recording, dynamics, two, None, 1.0)[0].stamp - 7.0) <= 0.03


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tail", [False, True])
def test_nothing_is_found_where_nothing_changes(seed, tail):
    assert not found(made_recording(T=1500, seed=seed, tail=tail))


def test_a_disturbance_that_passes_is_no_change():
    """A spike in the logged commands: the model of before is right again after it."""
    recording = made_recording(T=1500)
    u = recording.u.copy()
    u[700:704] += 60.0
    assert not found(dataclasses.replace(recording, u=u))


def test_a_time_that_is_given_is_taken():
    recording = made_recording(T=1500, load=LOAD)
    (given,) = found(recording, at=7.0)
    assert given.stamp == pytest.approx(7.0) and not given.found and given.without_learning > 2.0
    (quiet,) = found(recording, at=12.0)
    assert 0.7 < quiet.rms_ratio < 1.5 and quiet.ticks == 0 and quiet.without_learning < 1.3
    for outside in (0.01 * (FEWEST_BEFORE_CHANGE - 1), 14.9, 1e3):
        with pytest.raises(DataError, match="must come before it"):
            found(recording, at=outside)


def test_an_estimator_that_stopped_learning_does_not_predict_as_well_as_before_again():
    recording = made_recording(T=1500, load=(700, (-40.0, 25.0)))
    (held,) = found(recording, 7.0, "frozen")
    assert held.ticks is None and held.without_learning == pytest.approx(1.0)


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_the_gain_holds_the_gain_and_tells_its_sign(seed):
    recording = made_recording(T=1500, seed=seed)
    details = detailed(recording, learner(recording), np.abs(recording.u).max(axis=0))
    gain = details.gain
    late = gain.stamps > 1.0
    inside = np.abs(gain.mean - np.diag(GAIN)) <= gain.half_width()
    assert inside[late].mean() > 0.93  # forgetting makes it wider than the sampling error of a gain that stays
    assert gain.learned[late].min() > 0.9
    summary = details.to_json()["input_gain"]
    assert all(
        joint["sign_certain"] > 0.99 and joint["lower"] < joint["mean"] < joint["upper"] for joint in summary.values()
    )


@pytest.mark.slow
def test_a_log_of_a_closed_loop_tells_little_of_the_gain_and_the_report_says_so():
    """Commands that follow from the state alone: the state predicts as well without them, the gain stays unknown."""
    recording = made_recording(T=1500, feedback=4.0, noise=0.02)
    with_u = evaluate(recording, learner(recording)).scores()
    without = evaluate(recording.without_u(), learner(recording.without_u())).scores()
    assert with_u.nmse_1_qd > 0.8 * without.nmse_1_qd
    scale = np.abs(recording.u).max(axis=0)
    closed = detailed(recording, learner(recording), scale).gain
    open_loop = made_recording(T=1500, noise=0.02)
    known = detailed(open_loop, learner(open_loop), np.abs(open_loop.u).max(axis=0)).gain
    late = closed.stamps > 1.0
    relative = [np.median(gain.half_width()[late] / np.diag(GAIN)) for gain in (closed, known)]
    assert relative[0] > 5.0 * relative[1]


def test_where_only_the_offset_is_learned_there_is_no_gain_to_report():
    recording = made_recording(T=400)
    details = detailed(recording, learner(recording, "output_error"), np.ones(2))
    assert details.gain is None and details.to_json()["input_gain"] is None
    assert "input gain" not in details.text(recording.period)
