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


def heard(stamps, q, qd):
    """(reader, states or None)."""
    into = JointStateReader(planar_robot(), InputGate("joint_states", timeout=0.05, clock="stamps"))
    headers = [Fields(stamp=Fields(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0)))) for stamp in stamps]
    messages = [
        Fields(header=header, name=["joint1", "joint2"], position=list(a), velocity=list(b), effort=[])
        for header, a, b in zip(headers, q, qd, strict=True)
    ]
    return into, [into.read(message, 0.0) for message in messages]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("late", (0.002, 0.004, 0.006))
def test_no_state_is_refused_and_nothing_replaced(late, seed):
    stamps, q, qd = moving(seed, late)
    into, states = heard(stamps, q, qd)
    assert not into.gate.rejected and not into.second_publisher
    assert not into.gate.corrected
    np.testing.assert_array_equal([state.observation.q for state in states], q)
    np.testing.assert_array_equal([state.observation.qd for state in states], qd)


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


def test_the_usual_step_is_their_median_and_says_nothing_where_states_are_missing():
    steps = StepHistory()
    assert steps.unevenness(0.5 * DT) == 1.0
    steps.add(np.inf)
    for k in range(REMEMBERED_STEPS):
        steps.add(DT if k else 5.0 * DT)
    assert steps.unevenness(0.5 * DT) == pytest.approx(2.0) and steps.unevenness(DT) == pytest.approx(1.0)
    assert steps.unevenness(1.01 * LARGEST_STEP * DT) == 1.0
