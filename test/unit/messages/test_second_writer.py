"""A second writer of the same joints, at any rate: found, refused, and the states of the first one go on."""

from types import SimpleNamespace as Fields

import numpy as np
import pytest

from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.messages.readers import JointStateReader
from support.robots import planar_robot

DT = 0.005
SECONDS, RATES = 6.0, (5, 50, 500)  # the first writer sends 200 times a second


def read(into, k, q, qd):
    """Give a state to the reader, k periods after 1 s."""
    stamp = 1.0 + k * DT
    header = Fields(stamp=Fields(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0))))
    message = Fields(header=header, name=["joint1", "joint2"], position=list(q), velocity=list(qd), effort=[])
    return into.read(message, 0.0)


def robot(t):
    """Positions and velocities (2,) of the robot, which begins gently at 0."""
    q, qd = 0.3 * (1.0 - np.cos(0.5 * np.pi * t)), 0.15 * np.pi * np.sin(0.5 * np.pi * t)
    return np.array([0.3 + q, 0.2 + 0.5 * q]), np.array([qd, 0.5 * qd])


def zeros(t, rng):
    return np.zeros(2), np.zeros(2)


def without_velocities(t, rng):
    return np.zeros(2), ()


def other_pose(t, rng):
    return np.array([0.45, 0.1]), np.zeros(2)


def noise(t, rng):
    return rng.normal(0.3, 0.3, 2), rng.normal(0.0, 0.5, 2)


def late_copy(t, rng):
    """What the first writer sent 30 ms before."""
    return robot(DT * np.floor((t - 0.03) / DT + 1e-6))


def heard(second, rate, *, moving, seed=3):
    """(reader, seconds until the second writer is found, errors of the states used (N,), good states refused)."""
    into = JointStateReader(planar_robot(), InputGate("joint_states", timeout=0.05, clock="stamps"))
    rng, k = np.random.default_rng(seed), 300
    for i in range(k):  # the robot rests
        assert read(into, i, (0.3, 0.2), (0.0, 0.0)) is not None
    times = [(DT * i, True) for i in range(round(SECONDS / DT))]
    times += [((i + 0.37 + 0.2 * rng.random()) / rate, False) for i in range(round(SECONDS * rate))]
    found, errors, refused = np.inf, [], 0
    for t, good in sorted(times):
        q, qd = robot(DT * round(t / DT) if moving else 0.0) if good else second(t, rng)
        state = read(into, k + t / DT, tuple(q), tuple(qd))
        found = min(found, t if into.second_publisher else np.inf)
        if state is not None:
            errors.append(np.abs(state.observation.q - robot(t if moving else 0.0)[0]).max())
        refused += good and state is None
    return into, found, np.array(errors), refused


@pytest.mark.slow(but=3)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("moving", (False, True), ids=("at rest", "moving"))
@pytest.mark.parametrize("second", (zeros, without_velocities, other_pose, noise))
def test_a_second_writer_is_found_and_changes_nothing(second, rate, moving):
    into, found, errors, refused = heard(second, rate, moving=moving)
    assert found < 2.0
    assert errors.max() < 5e-3 and refused == 0
    assert into.gate.rejected["second publisher"] > 3.0 * rate


@pytest.mark.parametrize("rate", RATES)
def test_a_late_copy_of_the_states_is_found_while_the_robot_moves(rate):
    into, found, errors, refused = heard(late_copy, rate, moving=True)
    assert found < 2.0
    assert errors.max() < 6e-3 and refused < 0.02 * SECONDS / DT
    assert into.gate.rejected["second publisher"] > 3.0 * rate


def test_the_robot_itself_is_no_second_writer():
    into, _, errors, refused = heard(zeros, 0, moving=True)
    assert not into.second_publisher and not into.gate.rejected and not into.gate.corrected
    assert errors.max() < 1e-12 and refused == 0


@pytest.mark.parametrize("seed", (5, 6))
@pytest.mark.parametrize("ahead", (0.0, 2e-4, 4e-3), ids=lambda seconds: f"{1e3 * seconds:g} ms ahead")
def test_a_second_writer_s_states_just_before_the_robot_s_stop_none_of_these_while_it_moves(ahead, seed):
    """... also with the same stamps and in every period: the time of a period explains what the robot has moved."""
    into = JointStateReader(planar_robot(), InputGate("joint_states", timeout=0.05, clock="stamps"))
    rng, k = np.random.default_rng(seed), 300
    for i in range(k):
        assert read(into, i, (0.3, 0.2), (0.0, 0.0)) is not None
    for i in range(k, k + 400):
        t = DT * (i - k)
        q, qd = robot(t)
        assert read(into, i - ahead / DT, (0.0, 0.0), (0.0, 0.0)) is None
        state = read(into, i, q + rng.normal(0.0, 1e-4, 2), qd + rng.normal(0.0, 1e-2, 2))
        assert state is not None, t
        assert np.abs(state.observation.q - q).max() < 1e-3
    assert into.second_publisher
