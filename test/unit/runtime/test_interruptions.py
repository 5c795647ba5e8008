"""After a leap, a pause of its own or motion that is not the commanded one, a run goes on from where the robot is."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.runtime.conditions import LiveConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.following import FollowingMonitor
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.state_machine import Reason, Request, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Observation
from support.control import Echo, RecordingOutputs
from support.robots import planar_robot
from support.servo_arm import DT, TARGET, ServoRun

ACCELERATION = 7.5  # [rad/s^2] robot.acceleration_limit


@pytest.fixture(scope="module")
def nominal():
    run = ServoRun()
    run.advance(4.0)
    assert run.q == pytest.approx(TARGET, abs=0.02) and run.supervisor.state is State.ACTIVE
    assert run.reasons == Reason.NONE and run.outputs.events == []
    return run.highest()


@pytest.mark.parametrize("leap", [5.0, 0.4, 0.07, -400.0])
def test_after_a_leap_in_mid_motion_the_run_goes_on_from_where_the_robot_is(nominal, leap):
    run = ServoRun()
    run.advance(0.5)
    run.stamp += leap
    run.advance(4.0)
    speed, acceleration = run.highest()
    assert speed <= 1.05 * nominal[0] and acceleration <= 1.2 * max(nominal[1], ACCELERATION)
    assert run.q == pytest.approx(TARGET, abs=0.02) and run.supervisor.state is State.ACTIVE
    assert run.reasons == Reason.CLOCK_JUMP


def test_a_small_leap_that_a_clock_has_judged_is_one_too_and_an_event(nominal):
    run = ServoRun()
    run.advance(0.5)
    stamp = run.stamp = run.stamp + 0.04
    run.advance(4.0, restarted=True)
    assert run.highest()[0] <= 1.05 * nominal[0] and run.reasons == Reason.CLOCK_JUMP
    ((name, details),) = [(event.name, event.details) for event in run.outputs.events]
    assert name == "interruption" and details == {"cause": "CLOCK_JUMP", "stamp": stamp}


@pytest.mark.parametrize("interface", ["velocity", "position"])
@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_a_robot_that_was_switched_off_in_mid_motion_does_not_catch_up(interface, seconds):
    run = ServoRun(interface)
    run.advance(4.0)
    planned = run.highest()[0]
    run = ServoRun(interface)
    run.advance(0.8)
    begin = len(run.speeds)
    run.advance(seconds, switched_on=False)
    assert Reason.NOT_FOLLOWING in run.reasons
    run.advance(5.0)
    assert run.highest(begin + round(seconds / DT))[0] <= (1.15 * planned if interface == "velocity" else 2.2 * planned)
    assert run.q == pytest.approx(TARGET, abs=0.02) and run.supervisor.state is State.ACTIVE


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.4])
def test_after_a_time_without_states_the_run_does_not_catch_up(nominal, seconds):
    run = ServoRun()
    run.advance(0.6)
    begin = len(run.speeds)
    run.without_states(seconds)
    run.advance(4.5)
    speed, acceleration = run.highest(begin)
    assert speed <= 1.01 * nominal[0] and acceleration <= 1.2 * max(nominal[1], ACCELERATION)
    assert np.abs(np.diff(run.speeds[begin:], axis=0)).max() <= 1.01 * ACCELERATION * DT
    assert run.q == pytest.approx(TARGET, abs=0.02) and run.supervisor.state is State.ACTIVE


def test_after_a_pause_of_the_simulation_the_run_does_not_catch_up(nominal):
    run = ServoRun()
    run.advance(0.6)
    run.paused(200)
    assert np.abs(run.supervisor.limiter.previous).max() == 0.0
    run.advance(5.0)
    assert run.highest()[0] <= 1.01 * nominal[0]
    assert run.q == pytest.approx(TARGET, abs=0.02) and run.supervisor.state is State.ACTIVE


def test_a_target_that_comes_while_the_ramp_runs_is_not_caught_up_with(nominal):
    run = ServoRun()
    run.advance(0.6)
    run.without_states(0.7)
    run.advance(0.1)
    assert run.supervisor.state is State.FAULT
    assert run.cycle.request(Request.CLEAR) and run.cycle.request(Request.RESUME)
    run.controller.set_joint_target(TARGET)
    begin = len(run.speeds)
    run.advance(5.0)
    assert run.highest(begin)[0] <= 1.01 * nominal[0] and run.q == pytest.approx(TARGET, abs=0.02)


@pytest.mark.parametrize("interface", ["velocity", "position"])
@pytest.mark.parametrize("lag", [0.02, 0.1, 0.2])
def test_a_slow_servo_follows(interface, lag):
    """Hard starts and stops at the acceleration limit, both ways."""
    monitor, q, qd, u, position = FollowingMonitor(planar_robot(interface=interface), DT, 0.0), 0.0, 0.0, 0.0, 0.0
    for k in range(600):
        assert not monitor.begins_anew(np.full(2, q), np.full(2, qd)), k
        aim = 2.5 * np.sign(np.sin(2.0 * np.pi * k / 300))
        u += min(max(aim - u, -ACCELERATION * DT), ACCELERATION * DT)
        position += DT * u
        monitor.add_command(np.full(2, u if interface == "velocity" else position))
        qd = qd + DT / lag * (u - qd) if interface == "velocity" else min(1.0 / DT, 1.0 / lag) * (position - q)
        q += DT * qd


def test_a_pause_of_its_own_is_an_interruption_however_the_queue_looks_afterwards():
    class Clock:
        time = 0.0

        def now(self):
            return self.time

        def age(self):
            return 0.0

    clock = Clock()
    conditions = LiveConditions(clock, DT, 0.05)
    supervisor, outputs = Supervisor(planar_robot(), Configuration.from_flat({}).supervisor, DT), RecordingOutputs()
    cycle = ControlCycle(Echo(), supervisor, outputs, conditions, dt=DT, timeout=0.05)
    for k in range(40):
        clock.time = k * DT + (1.0 if k >= 20 else 0.0)  # stamps go on by one period
        cycle.tick(Arrival(Observation(1.0 + k * DT, np.zeros(2), np.zeros(2)), clock.time, clocked=clock.time))
        if k == 20:
            assert supervisor.cause is Reason.NO_COMMAND
    assert [event.details["cause"] for event in outputs.events] == ["NO_COMMAND"]
    assert [stamp for stamp, _ in cycle.controller.resumed] == [pytest.approx(1.0 + 20 * DT)]
