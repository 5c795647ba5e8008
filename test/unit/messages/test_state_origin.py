"""Whose the joint states are: how long it takes until a state may be answered, and what delays it."""

from types import SimpleNamespace as Fields

import pytest

from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.messages.readers import JointStateReader
from mbrl_ros.messages.state_origin import ALONE
from support.robots import planar_robot

POSE, REST = (0.3, 0.2), (0.0, 0.0)


def reader(clock="own"):
    return JointStateReader(planar_robot(), InputGate("joint_states", timeout=0.05, clock=clock))


def read(into, stamp, q=POSE, qd=REST, now=None):
    header = Fields(stamp=Fields(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0))))
    message = Fields(header=header, name=["joint1", "joint2"], position=list(q), velocity=list(qd), effort=[])
    return into.read(message, stamp if now is None else now)


def first_trusted(into, rate, second=None, seconds=5.0):
    """Stamp [s] of the first state that may be answered, from the first state on; `second` (rate, q): another's."""
    sent = [(k / rate, POSE) for k in range(round(seconds * rate))]
    if second:
        sent += [((k + 0.37) / second[0], second[1]) for k in range(round(seconds * second[0]))]
    for stamp, q in sorted(sent):
        read(into, 1.0 + stamp, q)
        if into.trusted:
            return stamp
    return None


@pytest.mark.parametrize("rate", (20.0, 200.0, 1000.0))
def test_the_states_of_one_publisher_are_its_own_after_half_a_second(rate):
    assert first_trusted(reader(), rate) == pytest.approx(ALONE, abs=1.1 / rate)


def test_half_a_second_needs_several_states():
    into = reader(clock="stamps")
    assert read(into, 1.0) and read(into, 1.4) and read(into, 1.8) and not into.trusted


@pytest.mark.parametrize("rate", (2.5, 5.0, 10.0, 50.0, 500.0))
def test_of_two_publishers_from_the_beginning_no_state_is_trusted(rate):
    into = reader()
    assert first_trusted(into, 200.0, (rate, (0.0, 0.0))) is None
    assert into.second_publisher


def test_once_one_of_two_has_gone_the_other_is_trusted():
    into = reader()
    assert first_trusted(into, 200.0, (50.0, (0.0, 0.0)), seconds=2.0) is None
    stamps = [3.0 + 0.005 * k for k in range(600)]
    answered = [stamp for stamp in stamps if read(into, stamp) is not None and into.trusted]
    assert answered and answered[0] == pytest.approx(3.0 + 1.0 + ALONE, abs=0.05)  # NEW_BEGINNING, then alone


def test_a_bad_sample_delays_the_first_answer_and_many_do_not_prevent_it():
    into, trusted = reader(), None
    for k in range(600):
        bad = k % 60 == 30  # now above, now below: of no line
        read(into, 1.0 + 0.005 * k, (0.3, 1.4 if k % 120 == 30 else -1.0) if bad else POSE)
        trusted = 0.005 * k if trusted is None and into.trusted else trusted
    assert trusted == pytest.approx(2.0, abs=0.02)
    once, trusted = reader(), None
    for k in range(300):
        read(once, 1.0 + 0.005 * k, (0.3, 1.4) if k == 40 else POSE)
        trusted = 0.005 * k if trusted is None and once.trusted else trusted
    assert trusted == pytest.approx(0.2 + ALONE, abs=0.02)


@pytest.mark.parametrize("first, other", ((POSE, (0.0, 0.0)), ((0.0, 0.0), POSE)))
def test_states_with_the_same_stamps_and_other_positions_come_from_a_second_publisher(first, other):
    into, used = reader(), []
    for k in range(600):
        stamp = 1.0 + 0.005 * k
        used.append(read(into, stamp, first) is not None)
        assert read(into, stamp, other) is None
    assert into.second_publisher and not into.trusted and not any(used[10:])
    stamps = [4.0 + 0.005 * k for k in range(400)]
    answered = [stamp for stamp in stamps if read(into, stamp) is not None and into.trusted]  # the robot is alone
    assert answered and answered[0] < 4.0 + 1.0 + ALONE + 0.05 and not into.second_publisher


def test_what_was_known_stays_so_when_a_second_publisher_comes():
    into = reader()
    for k in range(110):
        read(into, 1.0 + 0.005 * k)
    used = []
    for k in range(110, 310):
        used.append(read(into, 1.0 + 0.005 * k) is not None)
        if k % 4 == 0:
            assert read(into, 1.002 + 0.005 * k, (0.0, 0.0)) is None
    assert into.second_publisher and into.trusted and all(used)


def test_a_first_state_that_comes_again_is_trusted_after_half_a_second_of_arrivals():
    """A simulation in which no time passes before the first command sends it; the next state is not late then."""
    into = reader()
    assert read(into, 1.0, now=100.0) is not None
    for k in range(1, 7):
        assert read(into, 1.0, now=100.0 + 0.1 * k) is None and into.repeated
        assert into.trusted is (k == 6)
    assert not into.gate.rejected
    assert read(into, 1.005, now=100.61) is not None and not into.gate.rejected


def test_a_first_state_that_comes_again_beside_another_publisher_s_is_not_trusted():
    into = reader()
    read(into, 1.0, now=100.0)
    for k in range(1, 100):
        read(into, 1.0, now=100.0 + 0.1 * k)
        assert into.repeated
        read(into, 1e9 + 0.1 * k, (0.0, 0.0), now=100.05 + 0.1 * k)  # on another time line
        if into.gate.restarts:
            break
    assert not into.trusted


def test_in_lockstep_a_state_that_comes_again_is_still_a_repetition():
    into = reader(clock="stamps")
    read(into, 1.0)
    assert read(into, 1.0) is None and into.repeated
    assert read(into, 1.005) is not None
    assert read(into, 1.005) is None and into.repeated
