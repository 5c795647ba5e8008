"""A robot that does not follow for a while is noticed soon, teaches nothing, and is then no faster than planned."""

import numpy as np
import pytest

from mbrl_ros.runtime.following import FORGET_BEFORE, FollowingMonitor
from mbrl_ros.safety.state_machine import Reason, Request, State
from support.robots import planar_robot
from support.servo_arm import DT, ForwardedRun

INTERFACES = ["velocity", "position"]
SLOWEST_COMMAND = 0.1 * 3.0  # [rad/s] with which a robot is moved that is not known to follow


@pytest.fixture(scope="module", params=INTERFACES)
def planned(request):
    """The interface, and the speed of a motion that nothing disturbs."""
    run = ForwardedRun(request.param)
    run.advance(4.0)
    assert run.q == pytest.approx(run.target, abs=0.02) and run.reasons == Reason.NONE
    return request.param, run.speed()


def following(run):
    return run.cycle._interruptions.following


@pytest.mark.slow(but=5)
@pytest.mark.parametrize("seconds", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("begin", [0.3, 0.45, 0.8])
def test_an_arm_whose_controller_was_switched_off_and_on_is_no_faster_than_planned(planned, begin, seconds):
    interface, speed = planned
    run = ForwardedRun(interface)
    run.advance(begin)
    run.advance(seconds, switched_on=False)
    on = len(run.speeds)
    run.advance(5.0)
    # one period later: a position then leaps by what a stopped arm may be led, which is bounded below
    assert run.speed(on + 1) <= 1.05 * speed
    assert np.abs(run.speeds[on]).max() * DT <= 0.01 * 3.0 + 1e-9 or interface == "velocity"
    assert run.q == pytest.approx(run.target, abs=0.02) and run.supervisor.state is State.ACTIVE


@pytest.mark.parametrize("begin", [0.25, 0.3, 0.35])
@pytest.mark.parametrize("interface", INTERFACES)
def test_it_is_noticed_before_the_commands_run_away_and_until_it_obeys_it_is_moved_slowly(interface, begin):
    """Within 20 periods of commanded motion: an arm that rests while it is commanded to cannot be told from others."""
    run = ForwardedRun(interface)
    run.advance(begin)
    off = len(run.speeds)
    while following(run).following and len(run.speeds) < off + 40:
        run.advance(DT, switched_on=False)
    noticed, commands = len(run.speeds), np.array(run.commands[off:])
    asked = commands if interface == "velocity" else (commands - run.q) / DT
    assert not following(run).following and (np.abs(asked).max(axis=1) > SLOWEST_COMMAND).sum() <= 20
    run.advance(1.5, switched_on=False)
    assert not following(run).following and run.supervisor.state is State.DEGRADED
    if interface == "velocity":
        assert np.abs(run.commands[noticed + 40 :]).max() <= 0.1 * 3.0
    else:
        assert np.abs(np.array(run.commands[noticed:]) - run.q).max() <= 0.01 * 3.0 + 1e-9
    run.advance(0.4)
    assert following(run).following


@pytest.mark.parametrize("interface", INTERFACES)
def test_what_was_learned_while_nobody_obeyed_is_forgotten_and_what_was_known_before_is_kept(interface):
    run = ForwardedRun(interface)
    run.advance(0.3)
    learner = run.controller.learner
    while following(run).following:
        run.advance(DT, switched_on=False)
    before = list(learner._kept)
    assert len(before) == 1 and before[0].stamp <= run.stamp - FORGET_BEFORE
    evidence = learner.dynamics.evidence()
    for name, array in before[0].evidence.items():
        np.testing.assert_array_equal(evidence[name], array)
    run.advance(1.0, switched_on=False)
    for name, array in learner.dynamics.evidence().items():
        np.testing.assert_array_equal(array, evidence[name])
    assert learner.dynamics.consistency == before[0].consistency


@pytest.mark.parametrize("late", [0.0, 0.05])
def test_an_arm_that_is_started_again_elsewhere_stays_there_and_then_moves_as_planned(planned, late):
    interface, _ = planned
    undisturbed = ForwardedRun(interface, late)
    undisturbed.advance(4.0)
    run = ForwardedRun(interface, late)
    run.advance(0.45)
    for k in range(100):
        run.cycle.miss(k * DT)
    assert run.supervisor.state is State.FAULT
    run.start_again()
    back = len(run.speeds)
    run.advance(0.3, switched_on=False)
    run.advance(0.3)
    rest = np.zeros(2) if interface == "velocity" else run.start
    np.testing.assert_allclose(run.commands[back:], np.tile(rest, (60, 1)), atol=1e-9)
    assert run.cycle.request(Request.CLEAR) and run.cycle.request(Request.RESUME)
    run.controller.set_joint_target(run.target)
    again = len(run.speeds)
    run.advance(5.0)
    assert run.speed(again) <= 1.15 * undisturbed.speed()
    assert run.q == pytest.approx(run.target, abs=0.02) and run.supervisor.state is State.ACTIVE


@pytest.mark.parametrize("sag", [0.0, 0.3])
def test_a_weak_servo_that_rests_below_its_command_is_not_elsewhere(sag):
    monitor, held = FollowingMonitor(planar_robot(interface="position"), DT, 0.0), np.array([0.5, -0.5])
    for _ in range(60):
        assert not monitor.begins_anew(held - sag, np.zeros(2)) and not monitor.learning_suspended
        monitor.add_command(held)
    assert not monitor.finds_elsewhere(held - sag, held - sag - 0.02, np.zeros(2), held) and monitor.following
    assert monitor.finds_elsewhere(held - sag, held - sag - 0.1, np.zeros(2), held) and not monitor.following


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_joint_that_goes_on_by_itself_does_not_follow(interface):
    """It moves at 0.8 rad/s, the commands rest."""
    monitor, q = FollowingMonitor(planar_robot(interface=interface), DT, 0.0), np.zeros(2)
    found = []
    for k in range(80):
        if monitor.begins_anew(q, np.array([0.8, 0.0]) * (k > 40)):
            found.append(k)
        monitor.add_command(np.zeros(2))
        q = q + np.array([0.008, 0.0]) * (k >= 40)
    assert found and 45 <= found[0] <= 60 and len(found) == 1


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_slow_servo_becomes_known_and_is_not_suspected(interface):
    """A lag of 0.15 s, with changes of the command as fast as allowed."""
    monitor, q, qd, u, position = FollowingMonitor(planar_robot(interface=interface), DT, 0.0), 0.0, 0.0, 0.0, 0.0
    for k in range(1500):
        assert not monitor.begins_anew(np.full(2, q), np.full(2, qd)), k
        aim = (2.5 if k < 700 else 1.2) * np.sign(np.sin(2.0 * np.pi * k / 230))
        u += min(max(aim - u, -7.5 * DT), 7.5 * DT)
        position += DT * u
        monitor.add_command(np.full(2, u if interface == "velocity" else position))
        qd = qd + DT / 0.15 * (u - qd) if interface == "velocity" else (position - q) / 0.15
        q += DT * qd
    assert monitor.following


def test_a_servo_that_obeys_at_once_comes_to_rest():
    """Its velocities are differences of positions; by the trapezoid rule it moves to and fro by 15 mrad."""
    run = ForwardedRun("position")
    run.advance(5.0)
    assert np.ptp(np.array(run.speeds[-100:]), axis=0).max() * DT < 4e-3
    np.testing.assert_allclose(run.q, run.target, atol=5e-3)
