"""States that a driver samples in even steps and stamps late by more or less: the robot's, also where it moves fast."""

from types import SimpleNamespace as Fields

import numpy as np
import pytest

from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.messages.readers import JointStateReader
from mbrl_ros.messages.step_history import LARGEST_STEP, REMEMBERED_STEPS, StepHistory
from support.robots import planar_robot

DT, RESTING, VELOCITY = 0.01, 100, 3.0  # [s], states, [rad/s]: the robot's limit


def moving(seed, late, count=1500):
    """(stamps (N,), q (N, 2), qd (N, 2)) of a robot at up to 0.9 of its velocity limit, which rests at first."""
    rng, times = np.random.default_rng(seed), DT * np.arange(count)
    turn = 2.0 * np.pi * rng.uniform(0.2, 0.45, 2)
    t = np.maximum(times - RESTING * DT, 0.0)[:, None]
    q = np.minimum(0.5 * t, 1.0) ** 2 * np.sin(turn * t)  # no blow at the beginning
    q *= rng.uniform(0.5, 0.9, 2) * VELOCITY / np.abs(np.gradient(q, DT, axis=0)).max(axis=0)
    qd = np.gradient(q, DT, axis=0)
    return 1.0 + times + rng.uniform(0.0, late, count), q, qd


def message(stamp, q, qd):
    header = Fields(stamp=Fields(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0))))
    return Fields(header=header, name=["joint1", "joint2"], position=list(q), velocity=list(qd), effort=[])


def heard(stamps, q, qd):
    """(reader, states or None)."""
    into = JointStateReader(planar_robot(), InputGate("joint_states", timeout=0.05, clock="stamps"))
    return into, [into.read(message(*each), 0.0) for each in zip(stamps, q, qd, strict=True)]


@pytest.mark.slow(but=5)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("late", (0.002, 0.004, 0.006))
def test_no_state_is_refused_and_nothing_replaced(late, seed):
    stamps, q, qd = moving(seed, late)
    into, states = heard(stamps, q, qd)
    assert not into.gate.rejected and not into.second_publisher
    assert not into.gate.corrected
    np.testing.assert_array_equal([state.observation.q for state in states], q)
    np.testing.assert_array_equal([state.observation.qd for state in states], qd)


@pytest.mark.slow(but=6)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", (0.3, -1.0))
def test_bad_samples_are_found_as_before(size, seed):
    """Of one joint's position; 0.3 rad in 10 ms is ten times what its velocity limit allows."""
    stamps, q, qd = moving(seed, 0.004)
    bad = np.arange(RESTING + 50, len(q), 97)
    wrong = q.copy()
    wrong[bad, 1] += size
    into, states = heard(stamps, wrong, qd)
    assert not into.second_publisher
    assert sum(into.gate.corrected.values()) + sum(into.gate.rejected.values()) >= len(bad)
    errors = [np.abs(s.observation.q - good).max() for s, good in zip(states, q, strict=True) if s is not None]
    assert max(errors) < 0.03  # [rad]: a position continued over a period by its velocity


def test_the_usual_step_is_their_mean_and_says_nothing_where_states_are_missing():
    steps = StepHistory()
    assert steps.unevenness(0.5 * DT) == 1.0
    steps.add(np.inf)
    for k in range(REMEMBERED_STEPS):
        steps.add(DT if k else 5.0 * DT)
    assert steps.unevenness(0.5 * DT) == pytest.approx(2.0) and steps.unevenness(DT) == pytest.approx(1.0)
    assert steps.unevenness(1.01 * LARGEST_STEP * DT) == 1.0
    steps.add(0.6 * DT)
    assert steps.unevenness(0.6 * DT) == 1.0  # the third state of a burst


@pytest.mark.parametrize("after", (0.0005, 0.003))
@pytest.mark.parametrize("offset", (0.01, -0.01, 0.02))
def test_a_second_publisher_just_after_the_robot_is_not_taken_for_it(offset, after):
    """At 2 rad/s, 10 ms explain 0.02 rad, but not within 0.5 ms."""
    count, speed = 200, 2.0
    stamps = 1.0 + DT * np.arange(RESTING + count)
    qd = np.concatenate((np.zeros(RESTING), np.minimum(7.5 * DT * np.arange(count), speed)))
    q = -1.0 + DT * np.cumsum(qd)
    own = [(stamp, (a, 0.2), (b, 0.0), True) for stamp, a, b in zip(stamps, q, qd, strict=True)]
    foreign = [(stamp + after, (a + offset, 0.2), (b, 0.0), False) for stamp, (a, _), (b, _), _ in own[RESTING + 100 :]]
    into, _ = heard([], [], [])
    used = {True: 0, False: 0}
    for stamp, a, b, good in sorted(own + foreign):
        if stamp < 1.0 + DT * (RESTING + 100):
            assert into.read(message(stamp, a, b), 0.0) is not None
            continue
        used[good] += into.read(message(stamp, a, b), 0.0) is not None
    assert used[True] >= 0.95 * len(foreign) and used[False] <= 0.1 * len(foreign)


@pytest.mark.parametrize("close", (0.0003, 0.001, 0.004))
@pytest.mark.parametrize("size", (0.05, -0.3, 1.0))
def test_a_bad_sample_at_the_end_of_a_burst_is_found(size, close):
    """Three states in a row are held up and come with stamps that are close to each other, just before the next one."""
    stamps, q, qd = moving(3, 0.0005)
    wrong, bad = q.copy(), range(RESTING + 52, len(q) - 18, 50)
    for k in range(RESTING + 50, len(q) - 20, 50):
        stamps[k : k + 3] = stamps[k + 3] - close * np.array([3.0, 2.0, 1.0])
        wrong[k + 2, 1] += size
    _, states = heard(stamps, wrong, qd)
    assert max(np.abs(states[k].observation.q - q[k]).max() for k in bad if states[k] is not None) < 0.03
