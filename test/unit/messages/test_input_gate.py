"""The judge of inputs, the velocity estimate, and when a state is due: by hand-made stamps, without ROS."""

import math

import numpy as np
import pytest

from mbrl_ros.messages.input_gate import PATIENCE, Admission, InputGate, Rejection
from mbrl_ros.robots.velocity_estimator import VelocityEstimator
from mbrl_ros.runtime.scheduling import Grid
from mbrl_ros.runtime.statistics import Rolling

TIMEOUT = 0.05
NO, YES, AGAIN = Admission.REJECTED, Admission.ACCEPTED, Admission.RESTARTED


def gate(clock: str = "ros") -> InputGate:
    return InputGate("states", timeout=TIMEOUT, clock=clock)


def fed(clock: str, *messages: tuple[float, float]) -> tuple[InputGate, list[Admission]]:
    judge = gate(clock)
    return judge, [judge.admit(stamp, now) for stamp, now in messages]


# name: (clock, [(stamp, arrival)], expected admissions, expected rejections)
CASES = {
    "in time": ("ros", [(100.0, 100.001), (100.005, 100.006)], [YES, YES], {}),
    "never stamped": ("own", [(0.0, 100.0), (0.0, 100.005)], [YES, NO], {Rejection.NO_STAMP: 1}),
    "never stamped, one clock": ("ros", [(0.0, 100.0)], [NO], {Rejection.STALE: 1}),
    "time begins at zero": ("stamps", [(0.0, 100.0), (0.005, 100.0)], [YES, YES], {}),
    "negative stamp": ("stamps", [(-1.0, 100.0)], [NO], {Rejection.NO_STAMP: 1}),
    "not a number": ("own", [(math.nan, 1.0), (math.inf, 1.0)], [NO, NO], {Rejection.NO_STAMP: 2}),
    "twice": ("ros", [(100.0, 100.0), (100.0, 100.001)], [YES, NO], {Rejection.DUPLICATE: 1}),
    "backward": (
        "ros",
        [(100.0, 100.0), (99.999, 100.001), (100.001, 100.002)],
        [YES, NO, YES],
        {Rejection.BACKWARD: 1},
    ),
    "just fresh enough": ("ros", [(100.0, 100.0499)], [YES], {}),
    "stale": ("ros", [(100.0, 100.0501)], [NO], {Rejection.STALE: 1}),
    "a little ahead": ("ros", [(100.04, 100.0)], [YES], {}),
    "future": ("ros", [(100.06, 100.0)], [NO], {Rejection.FUTURE: 1}),
    "one clock by itself": ("auto", [(100.0, 109.9)], [NO], {Rejection.STALE: 1}),
    "own clock by itself": ("auto", [(100.0, 110.1), (100.005, 110.105)], [YES, YES], {}),
    "own clock, a constant offset is no age": ("own", [(5.0, 1000.0), (5.005, 1000.005)], [YES, YES], {}),
    "own clock, slower than the fastest": ("own", [(5.0, 1000.0), (5.005, 1000.056)], [YES, NO], {Rejection.STALE: 1}),
    "own clock, a faster message is the new measure": (
        "own",
        [(5.0, 1000.2), (5.005, 1000.005), (5.01, 1000.07)],
        [YES, YES, NO],
        {Rejection.STALE: 1},
    ),
    "own clock leaps": (
        "own",
        [(5.0, 1000.0), (7.0, 1000.005), (5.01, 1000.01)],
        [YES, NO, YES],
        {Rejection.CLOCK_JUMP: 1},
    ),
    "lockstep asks no clock": ("stamps", [(1.0, 50.0), (1.005, 900.0), (7.0, 900.1)], [YES, YES, YES], {}),
    "lockstep still orders": (
        "stamps",
        [(1.0, 0.0), (1.0, 0.0), (0.5, 0.0)],
        [YES, NO, NO],
        {Rejection.DUPLICATE: 1, Rejection.BACKWARD: 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_gate(name):
    clock, messages, admissions, rejections = CASES[name]
    judge, result = fed(clock, *messages)
    assert result == admissions
    assert judge.accepted == result.count(YES)
    assert judge.rejected == {reason.value: count for reason, count in rejections.items()}
    assert set(judge.details) == {reason.value for reason in rejections}


def test_details_name_the_stream_and_the_numbers():
    judge, _ = fed("ros", (100.0, 100.0), (99.5, 100.0))
    assert "states" in judge.details["backward stamp"] and "0.500000" in judge.details["backward stamp"]


@pytest.mark.parametrize("clock", ("ros", "own", "stamps"))
def test_a_stream_on_another_time_line_is_believed_in_the_end(clock):
    judge = gate(clock)
    judge.admit(100.0, 100.0)
    later = [judge.admit(50.0 + 0.005 * k, 50.0 + 0.005 * k) for k in range(PATIENCE + 1)]
    assert later == [NO] * (PATIENCE - 1) + [AGAIN, YES]
    assert judge.restarts == 1
    assert judge.rejected["backward stamp"] == PATIENCE - 1


def test_a_leap_ahead_of_the_robots_own_clock_is_believed_in_the_end():
    judge = gate("own")
    judge.admit(5.0, 1000.0)
    later = [judge.admit(105.0 + 0.005 * k, 1000.0 + 0.005 * k) for k in range(1, PATIENCE + 2)]
    assert later == [NO] * (PATIENCE - 1) + [AGAIN, YES]


def test_a_robots_own_clock_that_stood_still_is_believed_in_the_end():
    late = [(5.01 + 0.01 * k, 1003.0 + 0.01 * k) for k in range(PATIENCE)]  # paused for 2.99 s
    judge, result = fed("own", (5.0, 1000.0), *late)
    assert result == [YES] + [NO] * (PATIENCE - 1) + [AGAIN]
    assert judge.rejected == {Rejection.STALE.value: PATIENCE - 1} and judge.age(late[-1][1]) == 0.0


def test_a_backlog_is_no_time_line():
    held_up = [(5.01 + 0.01 * k, 1003.0 + 1e-4 * k) for k in range(3 * PATIENCE)]
    assert fed("own", (5.0, 1000.0), *held_up)[1] == [YES] + [NO] * (3 * PATIENCE)


def test_a_short_pause_of_the_robots_own_clock_is_believed_after_a_second():
    late = [(5.0 + 0.01 * k, 1000.3 + 0.01 * k) for k in range(1, 200)]
    result = fed("own", (5.0, 1000.0), *late)[1]
    assert result.count(NO) in range(99, 102) and result.count(AGAIN) == 1 and result[-1] is YES
    assert AGAIN not in fed("ros", (1000.0, 1000.0), *((1000.0 + 0.01 * k, now) for k, (_, now) in enumerate(late)))[1]


@pytest.mark.parametrize("clock", ("own", "ros"))
@pytest.mark.parametrize("back", (0.017, 0.04, 0.08))
def test_a_clock_that_is_set_back_by_little_begins_a_new_time_line(clock, back):
    judge, k = gate(clock), 0
    shift = back if clock == "ros" else 0.0  # one clock: both are set back
    for k in range(50):
        assert judge.admit(100.0 + 0.005 * k, 100.001 + 0.005 * k) is YES
    answers = [judge.admit(100.0 + 0.005 * i - back, 100.001 + 0.005 * i - shift) for i in range(k + 1, k + 1 + 40)]
    refused = answers.index(AGAIN)
    believed = min(back, 0.005 * PATIENCE)  # where it comes past its last stamp, or as any other time line
    assert 0.005 * refused == pytest.approx(believed, abs=0.006) and set(answers[refused + 1 :]) == {YES}
    assert judge.restarts == 1 and judge.rejected[Rejection.BACKWARD.value] >= refused - 1
    assert judge.age(100.001 + 0.005 * (k + 40) - shift) < 0.002 if clock == "own" else True


def test_messages_that_were_overtaken_and_come_at_once_begin_no_time_line():
    judge = gate("own")
    for k in range(50):
        judge.admit(100.0 + 0.005 * k, 100.001 + 0.005 * k)
    judge.admit(100.275, 100.276)
    assert [judge.admit(100.25 + 0.005 * k, 100.2761 + 0.0001 * k) for k in range(5)] == [NO] * 5
    assert judge.admit(100.28, 100.281) is YES and judge.restarts == 0


def test_two_publishers_on_one_topic_never_restart_the_stream():
    judge = gate("stamps")
    for k in range(5 * PATIENCE):
        assert judge.admit(100.0 + 0.005 * k, 0.0) is YES
        assert judge.admit(50.0 + 0.005 * k, 0.0) is NO
    assert judge.restarts == 0


def test_scattered_backward_stamps_never_restart_the_stream():
    judge = gate("stamps")
    judge.admit(1000.0, 0.0)
    assert all(judge.admit(stamp, 0.0) is NO for stamp in np.linspace(900.0, 10.0, 10 * PATIENCE))


def test_age_of_the_newest():
    judge = gate("ros")
    assert judge.age(0.0) == math.inf
    judge.admit(100.0, 100.01)
    judge.admit(99.0, 100.01)  # rejected: changes nothing
    assert judge.age(100.3) == pytest.approx(0.3)
    own = gate("own")
    own.admit(5.0, 1000.0)
    assert own.age(1000.02) == pytest.approx(0.02)


def test_velocity_of_uniform_motion_is_exact_and_needs_two_samples():
    estimator = VelocityEstimator(30.0)
    assert estimator.update(1.0, np.array([0.0, 1.0])) is None
    for k in range(1, 5):
        velocity = estimator.update(1.0 + 0.01 * k, np.array([0.02 * k, 1.0]))
        assert velocity == pytest.approx([2.0, 0.0])


def test_velocity_follows_a_step_as_a_first_order_low_pass():
    cutoff, step = 10.0, 0.005
    estimator, q = VelocityEstimator(cutoff), 0.0
    estimator.update(0.0, np.zeros(1))
    estimator.update(step, np.zeros(1))  # at rest
    for k in range(2, 22):
        q += step  # 1 rad/s
        velocity = estimator.update(k * step, np.array([q]))
        assert velocity[0] == pytest.approx(1.0 - math.exp(-2.0 * math.pi * cutoff * step * (k - 1)))


def test_velocity_is_unknown_after_a_gap():
    estimator = VelocityEstimator(30.0)
    estimator.update(1.0, np.zeros(1))
    assert estimator.update(1.01, np.zeros(1)) is not None
    assert estimator.update(3.0, np.ones(1)) is None
    assert estimator.update(3.01, np.ones(1)) == pytest.approx([0.0])


def taken(stamps, dt: float) -> list[float]:
    grid = Grid(dt)
    return [stamp for stamp in stamps if grid.take(stamp)]


def test_a_stream_at_the_control_rate_is_used_whole_in_spite_of_jitter():
    jitter = np.random.default_rng(0).uniform(-0.2, 0.2, 1000) * 0.005
    stamps = 10.0 + 0.005 * np.arange(1000) + jitter - jitter[0]
    assert len(taken(stamps, 0.005)) >= 999  # the first stamp's own jitter may cost one tick


@pytest.mark.parametrize("rate", (198.0, 202.0))
def test_a_stream_at_almost_the_control_rate_is_used_whole(rate):
    stamps = 10.0 + np.arange(4000) / rate
    assert len(taken(stamps, 0.005)) >= 3999


@pytest.mark.parametrize("rate", (300.0, 500.0, 1000.0, 1600.0))
def test_a_faster_stream_is_thinned_to_the_control_rate(rate):
    stamps = 10.0 + np.arange(int(10 * rate)) / rate  # 10 s
    used = np.array(taken(stamps, 0.005))
    assert abs(len(used) - 2000) <= 2
    assert np.diff(used).max() <= 0.005 + 1.0 / rate + 1e-9


def test_a_slower_stream_is_used_whole():
    stamps = 10.0 + np.arange(300) / 30.0
    assert taken(stamps, 0.005) == list(stamps)


def test_after_a_gap_there_is_no_burst():
    stamps = np.concatenate((10.0 + 0.001 * np.arange(100), 20.0 + 0.001 * np.arange(100)))
    used = np.array(taken(stamps, 0.005))
    assert np.diff(used).min() >= 0.004 - 1e-9


def test_rolling_percentiles_forget_old_values():
    rolling = Rolling(100)
    assert math.isnan(rolling.percentiles()["p50"]) and math.isnan(rolling.mean())
    for value in [1e6] * 50 + list(range(1, 101)):
        rolling.add(float(value))
    assert rolling.percentiles() == {"p50": 50.5, "p99": pytest.approx(99.01), "max": 100.0}  # of 1 .. 100
    assert rolling.mean() == 50.5
