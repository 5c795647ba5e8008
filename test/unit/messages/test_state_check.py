"""Successive joint states: wraps, leaps, bad velocities, split messages, second publishers and repetitions."""

import math
from types import SimpleNamespace as Fields

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.messages.readers import JointStateReader
from mbrl_ros.robots import load_robot
from support.robots import planar_arm, planar_robot

DT, NAN = 0.005, float("nan")


def message(stamp, q, qd=(), names=("joint1", "joint2")):
    header = Fields(stamp=Fields(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0))))
    return Fields(header=header, name=list(names), position=list(q), velocity=list(qd), effort=[])


def reader(robot=None, **options):
    return JointStateReader(robot or planar_robot(), InputGate("joint_states", timeout=0.05, clock="stamps"), **options)


def read(into, k, q, qd=(), **options):
    return into.read(message(1.0 + k * DT, q, qd, **options), 0.0)


def settled(into, q=(0.3, 0.2), count=300, first=0):
    """Feed `count` states at rest; return the number of the next."""
    for k in range(first, first + count):
        assert read(into, k, q, (0.0, 0.0)) is not None
    return first + count


def test_a_continuous_joint_reported_within_one_turn_is_unwrapped():
    text = planar_arm().replace('type="revolute"', 'type="continuous"', 1)
    into = reader(load_robot(RobotSettings(interface="velocity"), text))
    true = 2.8 + 1.5 * DT * np.arange(1000)  # passes pi, and 3 pi
    seen = [
        read(into, k, (math.remainder(angle, 2.0 * math.pi), 0.0), (1.5, 0.0)).observation.q[0]
        for k, angle in enumerate(true)
    ]
    np.testing.assert_allclose(seen, true, atol=1e-9)
    back = [
        read(into, 1000 + k, (math.remainder(angle, 2.0 * math.pi), 0.0), (-1.5, 0.0)).observation.q[0]
        for k, angle in enumerate(true[::-1])
    ]
    np.testing.assert_allclose(back[1:], true[-2::-1], atol=1e-9)
    assert not into.gate.rejected and into.gate.corrected == {"position against velocity": 1}  # of the sudden turn


def test_a_joint_with_stops_is_not_unwrapped():
    into = reader()
    read(into, 0, (2.4, 0.0), (0.0, 0.0))
    assert read(into, 1, (-2.4, 0.0), (0.0, 0.0)).observation.q[0] == pytest.approx(2.4)
    assert into.gate.corrected["position against velocity"] == 1


@pytest.mark.parametrize("size", (0.6, 5.0, -29.0))
def test_a_velocity_that_the_positions_contradict_is_replaced(size):
    into = reader()
    k = settled(into)
    state = read(into, k, (0.3, 0.2), (0.0, size))
    assert state.observation.qd == pytest.approx([0.0, 0.0], abs=1e-9)
    assert into.gate.corrected["velocity against positions"] == 1
    assert "'joint2'" in into.gate.details["velocity against positions"]
    assert read(into, k + 1, (0.3, 0.2), (0.0, 0.0)).observation.qd.tolist() == [0.0, 0.0]


def test_a_blow_is_believed_once_the_next_state_confirms_it():
    into = reader()
    k = settled(into)
    state = read(into, k, (0.3, 0.2 + 0.5 * DT * 2.0), (0.0, 2.0))  # from rest to 2 rad/s within a period
    assert (*state.observation.q, *state.observation.qd) == (0.3, 0.2, 0.0, 0.0)
    for i in range(1, 20):
        state = read(into, k + i, (0.3, 0.2 + (i + 0.5) * DT * 2.0), (0.0, 2.0))
        assert state.observation.q.tolist() == [0.3, 0.2 + (i + 0.5) * DT * 2.0]
        assert state.observation.qd.tolist() == [0.0, 2.0]
    assert not into.gate.rejected and into.gate.corrected == {"position against velocity": 1}


@pytest.mark.parametrize("speed", (1.0, 2.0, 20.0))
def test_a_bad_sample_whose_position_and_velocity_agree_has_no_effect(speed):
    into = reader()
    k = settled(into)
    for i in range(50):
        bad = speed * (i == 3)
        state = read(into, k + i, (0.3, 0.2 + DT * bad), (0.0, bad))
        assert state.observation.q == pytest.approx([0.3, 0.2], abs=1e-12)
        assert state.observation.qd == pytest.approx([0.0, 0.0], abs=1e-12)
    assert not into.gate.rejected


def test_a_velocity_that_is_always_zero_is_replaced_while_the_joint_moves_fast():
    into = reader()
    k, q = settled(into), 0.3
    for i in range(200):
        speed = min(2.0, 7.5 * DT * i)
        q += DT * speed
        state = read(into, k + i, (q, 0.2), (0.0, 0.0))
        assert state is not None
    assert state.observation.qd[0] == pytest.approx(2.0, rel=0.01)


def test_leaps_of_several_joints_are_refused_until_they_last_a_second():
    into = reader()
    k = settled(into)
    refused = 0
    while (state := read(into, k, (1.0, -0.5), (0.0, 0.0))) is None:
        k, refused = k + 1, refused + 1
    assert refused * DT == pytest.approx(1.0, abs=3 * DT)
    assert state.restarted and state.observation.q.tolist() == [1.0, -0.5]
    assert into.gate.rejected["leap"] == refused
    assert "'joint1' leapt from 0.3 to 1" in into.gate.details["leap"]


@pytest.mark.parametrize("moving", (False, True), ids=("at rest", "moving"))
def test_one_wrong_state_that_was_accepted_costs_the_robot_s_states_no_more_than_three(moving):
    """After a gap it was near enough to be accepted; the robot's own states right after it leap back."""
    into, speed = reader(), 0.5 * moving
    k = settled(into) + 11
    assert read(into, k, (0.3 + 0.03, 0.2 - 0.03), (0.0, 0.0)) is not None
    answers = [read(into, k + 0.2 + i, (0.3 + speed * DT * i, 0.2), (speed, 0.0)) for i in range(200)]
    assert [answer is None for answer in answers[:4]].count(True) <= 3
    assert all(answer is not None and not answer.restarted for answer in answers[4:])
    assert answers[-1].observation.q == pytest.approx([0.3 + speed * DT * 199, 0.2])
    assert not into.second_publisher


@pytest.mark.parametrize("shift", (-0.03, -0.012, -0.004, 0.012, 0.03, 0.1))
def test_a_clock_that_is_set_by_a_little_in_motion_costs_few_states(shift):
    into, q, answers = reader(), np.array([-1.0, 0.2]), []
    k = settled(into, q)
    for i in range(400):
        qd = min(2.5, 7.5 * DT * i) * np.array([1.0, -0.3])
        q = q + DT * qd
        answers.append(read(into, k + i + (shift / DT if i >= 150 else 0.0), q, qd) is not None)
    assert all(answers[:150]) and answers[150:].count(False) <= max(3.0, 3.0 - shift / DT + 3.0)
    assert all(answers[170:]) and not into.second_publisher


@pytest.mark.parametrize("bad", ((1.0, 0.0), (1.0, 2.0), (NAN, 0.0)))
@pytest.mark.parametrize("lost", (5, 40))
def test_no_position_is_made_up_where_states_are_missing(bad, lost):
    """One wrong state after them, of one joint: refused, and the robot's next one is used wherever it has come."""
    into, q, qd = reader(), np.array([-1.0, 0.2]), np.zeros(2)
    k = settled(into, q)
    for i in range(150 + lost):
        change = np.array([7.5, -2.0]) * DT * (1.0 if i < 60 else -1.0 if i >= 150 else 0.0)
        q, qd = q + DT * (qd + 0.5 * change), qd + change
        if i < 150:
            assert read(into, k + i, q, qd) is not None
    number = k + 150 + lost
    wrong_q, wrong_qd = q + (1.0, 0.0) * np.array(bad[0]), qd + (1.0, 0.0) * np.array(bad[1])
    assert read(into, number, wrong_q, wrong_qd) is None
    state = read(into, number + 1, q + DT * qd, qd)
    assert state is not None and not state.restarted
    np.testing.assert_array_equal(state.observation.q, q + DT * qd)


def test_an_arm_at_rest_may_report_the_same_small_velocity_again_and_again():
    into = reader()
    assert all(read(into, k, (0.3, 0.2), (1e-4, -0.02)) is not None for k in range(1000))
    assert not into.gate.rejected and not into.gate.corrected


def test_a_leap_of_one_joint_is_bridged_for_three_states_then_refused():
    into = reader()
    k = settled(into)
    answers = [read(into, k + i, (0.3, 1.2), (0.0, 0.0)) for i in range(6)]
    assert [answer is not None for answer in answers] == [True] * 3 + [False] * 3
    assert all(answer.observation.q[1] == pytest.approx(0.2) for answer in answers[:3])
    assert read(into, k + 6, (0.3, 0.2), (0.0, 0.0)) is not None


def test_one_missing_position_is_continued_for_three_states_then_the_state_is_refused():
    into = reader()
    k = settled(into)
    answers = [read(into, k + i, (0.3, NAN), (0.0, 0.1)) for i in range(5)]
    assert [answer is not None for answer in answers] == [True] * 3 + [False] * 2
    assert into.gate.rejected == {"not finite": 2} and into.gate.corrected["position against velocity"] == 3
    assert 0.2 < answers[0].observation.q[1] < answers[2].observation.q[1] <= 0.2 + 3 * 0.1 * DT + 1e-12
    assert read(into, k + 5, (0.3, 0.2), (0.0, 0.0)) is not None


@pytest.mark.parametrize("q", ((NAN, NAN), (0.3, float("inf"))), ids=str)
def test_several_missing_positions_and_the_first_or_a_late_state_with_one_are_refused(q):
    into = reader()
    assert read(into, 0, (0.3, NAN), (0.0, 0.0)) is None
    k = settled(into)
    assert read(into, k, q, (0.0, 0.0)) is None
    assert read(into, k + 200, (0.3, NAN), (0.0, 0.0)) is None
    assert into.gate.rejected == {"not finite": 3}
    assert read(into, k + 201, (0.3, 0.2), (0.0, 0.0)) is not None


@pytest.mark.parametrize("missing", ((0.1, NAN), (NAN, NAN), ()), ids=str)
def test_velocities_that_are_missing_are_estimated_joint_by_joint(missing):
    into = reader()
    for k in range(100):
        state = read(into, k, (0.1 * k * DT, -0.2 * k * DT), missing)
    assert state.observation.qd == pytest.approx([0.1, -0.2], abs=1e-6)
    assert into.estimating and not into.gate.rejected


def test_joints_of_several_messages_are_put_together():
    into = reader()
    settled(into, count=1)
    states = []
    for k in range(1, 50):
        stamp, q = 1.0 + k * DT, 0.3 + 0.2 * k * DT
        assert into.read(message(stamp, (q,), (0.2,), ("joint1",)), 0.0) is None
        states.append(into.read(message(stamp + 0.002, (0.2,), (0.0,), ("joint2",)), 0.0))
    assert all(state is not None for state in states)
    assert dict(into.gate.rejected) == {"missing joints": 1}  # nobody knew that another message would follow
    last = states[-1].observation
    assert last.stamp == pytest.approx(stamp + 0.002)
    assert last.q == pytest.approx([q + 0.002 * 0.2, 0.2])  # continued to the stamp of the other joint


def test_a_state_of_several_messages_has_the_newest_stamp_whatever_came_last():
    into = reader()
    settled(into, count=1)
    for k in range(1, 20):
        stamp = 1.0 + k * DT
        assert into.read(message(stamp, (0.3,), (0.2,), ("joint1",)), 0.0) is None
        state = into.read(message(stamp - 0.002, (0.2 - 0.002 * 0.5,), (0.5,), ("joint2",)), 0.0)
        assert state.observation.stamp == pytest.approx(stamp)
        assert state.observation.q == pytest.approx([0.3, 0.2])


@pytest.mark.parametrize("first", (True, False))
def test_a_state_of_several_messages_that_is_sent_again_is_known(first):
    """A simulation that waits for its command sends the state again: the command may have been lost."""
    into, parts = reader(), (((0.3,), (0.0,), ("joint1",)), ((0.2,), (0.0,), ("joint2",)))
    stamps = (1.0,) if first else (1.0, 1.0 + DT)
    for stamp in stamps:
        states = [into.read(message(stamp, *part), 0.0) for part in parts]
        assert states[0] is None and states[1] is not None
    for _ in range(3):
        known = []
        for part in (parts[0], *parts):
            assert into.read(message(stamp, *part), 0.0) is None
            known.append(into.repeated)
        assert known == [False, False, True]
    assert into.read(message(stamp, (0.4,), (0.0,), ("joint1",)), 0.0) is None and not into.repeated  # another value
    assert into.read(message(stamp, *parts[1]), 0.0) is None and not into.repeated
    states = [into.read(message(stamp + DT, *part), 0.0) for part in parts]
    assert states[0] is None and states[1] is not None


def test_a_joint_that_stays_away_is_named_and_its_state_not_used():
    into = reader()
    settled(into, count=1)
    for k in range(1, 50):
        assert read(into, k, (0.3,), (0.0,), names=("joint1",)) is None
    assert into.gate.rejected["missing joints"] >= 30
    assert "joint2" in into.gate.details["missing joints"]


@pytest.mark.parametrize("every", (4, 1))
def test_a_second_publisher_is_refused_and_recognised(every):
    into = reader()
    k, seen = settled(into), []
    for i in range(200):
        q = 0.3 + 0.5 * i * DT
        seen.append((q, read(into, k + i, (q, 0.2), (0.5, 0.0))))
        if i % every == 0:
            assert read(into, k + i + 0.4, (0.0, 0.0), (0.0, 0.0)) is None
    assert into.second_publisher and into.gate.rejected["second publisher"] > 10
    assert all(state is not None and state.observation.q[0] == pytest.approx(q) for q, state in seen)
    settled(into, (q, 0.2), 500, k + 200)
    assert not into.second_publisher  # gone for two seconds


def test_while_a_second_publisher_comes_back_the_robots_states_are_used():
    into = reader()
    k = settled(into)
    for _ in range(3):
        for i in range(40):
            assert read(into, k + i, (0.3, 0.2), (0.0, 0.0)) is not None
            assert read(into, k + i + 0.4, (0.0, 0.0), (0.0, 0.0)) is None
        assert into.second_publisher
        k = settled(into, count=420, first=k + 40)
        assert not into.second_publisher


def test_a_clock_that_is_set_back_while_the_arm_moves_stops_no_state():
    """The stamps say 8 ms for what the arm has moved in 72 ms; the states go on as a new time line."""
    robot = planar_robot()
    into = JointStateReader(robot, InputGate("joint_states", timeout=0.05, clock="own"))
    back, seen = 0.064, []
    for k in range(400):
        true = 1.0 + k * DT
        stamp = true - (back if k >= 200 else 0.0)
        seen.append(into.read(message(stamp, (0.4 * k * DT, 0.2), (0.4, 0.0)), true + 0.001))
    refused = [k for k, state in enumerate(seen) if state is None]
    assert refused and set(refused) <= set(range(200, 200 + 14))
    assert seen[refused[-1] + 1].restarted and into.gate.restarts == 1


def test_two_publishers_from_the_beginning_are_both_refused():
    into = reader()
    answers = [read(into, k, ((0.0, 0.0), (0.3, 0.2))[k % 2], (0.0, 0.0)) for k in range(600)]
    assert into.second_publisher and not any(answers[20:])
    assert any(read(into, 600 + k, (0.3, 0.2), (0.0, 0.0)) for k in range(300))  # one of them has gone


def test_only_the_state_accepted_last_is_a_repetition():
    into = reader()
    read(into, 0, (0.3, 0.2), (0.0, 0.0))
    assert read(into, 0, (0.3, 0.2), (0.0, 0.0)) is None and into.repeated
    assert read(into, 0, (0.01, 0.01), (), names=("finger1", "finger2")) is None and not into.repeated
    assert read(into, 0, (0.3, 0.21), (0.0, 0.0)) is None and not into.repeated
    read(into, 1, (0.3, 0.2), (0.0, 0.0))
    assert read(into, 0, (0.3, 0.2), (0.0, 0.0)) is None and not into.repeated


@pytest.mark.parametrize("catches_up", (False, True))
def test_an_old_state_sent_again_with_a_new_stamp_is_no_leap(catches_up):
    """Drivers do that whose hardware and publisher are not in step."""
    into, speed, late = reader(), 2.0, 0
    for k in range(400):
        again = k % 40 == 39
        late = (late + 1 if again else 0 if catches_up else late) if k % 40 >= 39 or catches_up else late
        q = 0.1 + speed * DT * (k - late) - 1.0
        state = read(into, k, (q, 2.0 * q), (speed, 2.0 * speed))
        assert state.observation.qd.tolist() == [speed, 2.0 * speed]
    assert not into.gate.rejected and not into.gate.corrected


def test_after_half_a_second_without_a_state_anything_may_follow():
    """... but a continuous joint keeps its turns, and velocities are not judged by positions of before."""
    text = planar_arm().replace('type="revolute"', 'type="continuous"', 1)
    into = reader(load_robot(RobotSettings(interface="velocity"), text))
    for k in range(400):
        angle = 3.0 * k * DT
        last = read(into, k, (math.remainder(angle, 2.0 * math.pi), 0.2), (3.0, 0.0))
    assert last.observation.q[0] == pytest.approx(angle)
    state = read(into, 400 + 0.6 / DT, (math.remainder(angle + 0.9, 2.0 * math.pi), 1.4), (1.0, 2.0))
    assert state.observation.q == pytest.approx([angle + 0.9, 1.4]) and state.observation.qd.tolist() == [1.0, 2.0]
    assert not into.gate.rejected and not into.gate.corrected


@pytest.mark.parametrize("both, bridged", ((0.0, 3), (1.0, 0)))
def test_states_that_never_change_while_the_arm_moves_are_refused_after_half_a_second(both, bridged):
    into, speed, q = reader(), 0.0, 0.2
    for k in range(120):
        speed = min(0.8 * planar_robot().velocity_limit[1], speed + 10.0 * DT)
        q += DT * speed
        assert read(into, k, (both * (q - 3.0), q - 3.0), (both * speed, speed)) is not None
    answers = [read(into, k + 1 + i, (both * (q - 3.0), q - 3.0), (both * speed, speed)) for i in range(400)]
    assert [answer is not None for answer in answers] == [True] * (100 + bridged) + [False] * (300 - bridged)
    assert read(into, k + 401, (both * (q - 2.0), q - 2.0), (both * speed, speed)) is None  # and does not continue them


def test_after_several_repetitions_the_next_state_may_have_moved_on_or_back():
    for behind in (0, 3):
        into, speed = reader(), 1.0
        for k in range(40):
            read(into, k, (speed * DT * k, 0.2), (speed, 0.0))
        for k in range(40, 43):
            assert read(into, k, (speed * DT * 39, 0.2), (speed, 0.0)) is not None
        for k in range(43, 60):
            q = speed * DT * (k - behind)
            assert read(into, k, (q, 0.2), (speed, 0.0)).observation.q[0] == pytest.approx(q)
        assert not into.gate.rejected and not into.gate.corrected


def test_leaps_are_refused_where_no_velocity_is_measured():
    into = reader()
    assert read(into, 0, (0.3, 0.2)) is None  # no velocity can be estimated yet
    for k in range(1, 100):
        assert read(into, k, (0.3, 0.2)).observation.qd.tolist() == [0.0, 0.0]
    assert all(read(into, 100 + i, (1.0, -0.5)) is None for i in range(50))
    assert read(into, 150, (0.3, 0.2)) is not None


def test_a_refused_state_may_come_again_with_the_same_stamp():
    into = reader()
    read(into, 0, (0.3, 0.2), (0.0, 0.0))
    assert [read(into, 1, (1.0, -0.5), (0.0, 0.0)) for _ in range(3)] == [None] * 3
    assert read(into, 2, (0.3, 0.2), (0.0, 0.0)).observation.q.tolist() == [0.3, 0.2]


def test_a_position_that_leaps_with_its_velocity_is_continued_with_the_last_velocity():
    into, speed = reader(), 0.5
    for k in range(100):
        read(into, k, (speed * k * DT, 0.2), (speed, 0.0))
    state = read(into, 100, (1.9, 0.2), (15.0, 0.0))
    assert state.observation.q == pytest.approx([speed * 100 * DT, 0.2], abs=1e-9)
    assert state.observation.qd == pytest.approx([speed, 0.0], abs=1e-6)


def test_a_velocity_that_changes_suddenly_is_believed_one_state_later():
    into = reader()
    k = settled(into)
    sudden = 0.35 * planar_robot().velocity_limit[1]
    states = [read(into, k + i, (0.3, 0.2 + (i + 0.5) * DT * sudden), (0.0, sudden)) for i in range(3)]
    assert [state.observation.qd[1] for state in states] == [0.0, sudden, sudden]
    assert [state.observation.q[1] for state in states] == [0.2 + (i + 0.5) * DT * sudden for i in range(3)]
    assert into.gate.corrected == {"velocity against positions": 1}


def test_rare_leaps_of_several_joints_are_no_second_publisher():
    into, k = reader(), 0
    for _ in range(12):
        k = settled(into, count=450, first=k)
        assert read(into, k - 0.6, (0.9, -0.4), (0.0, 0.0)) is None
    assert not into.second_publisher and into.gate.rejected == {"leap": 12}


def test_a_new_beginning_needs_several_states():
    into = reader()
    k = settled(into)
    answers = [read(into, k + 0.26 / DT * i, (2.2, -2.2), (0.0, 0.0)) for i in range(6)]
    assert [answer is not None for answer in answers] == [False] * 5 + [True]
