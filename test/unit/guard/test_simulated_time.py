"""The guard's time under use_sim_time: /clock without its leaps, and the wall clock where /clock stands still."""

import pytest

from mbrl_ros.guard.guard import Guard
from mbrl_ros.guard.messages import Mode, Time
from mbrl_ros.guard.settings import GuardSettings
from mbrl_ros.guard.simulated_time import GUARD_STANDING, GuardTime, SimulatedTime
from support.guards import PERIOD, parameters


class Clocks:
    """/clock and the wall clock of a simulation that runs `speed` times as fast."""

    def __init__(self, step: float, speed: float = 1.0, begin: float = 5.0):
        self.clock, self.wall, self.step, self.speed = 0.0, 100.0, step, speed
        self.time = GuardTime(lambda: self.clock, lambda: self.wall)
        self.clock = begin
        self.time.now()

    def tick(self, count: int = 1) -> float:
        for _ in range(count):
            self.clock += self.step
            self.wall += self.step / self.speed
            self.time.now()
        return self.time.now()


@pytest.mark.parametrize("speed", (0.1, 1.0, 10.0))
@pytest.mark.parametrize("step", (0.001, 0.01, 0.1))
def test_time_is_that_of_the_clock_however_fast_it_runs(speed, step):
    clocks = Clocks(step, speed)
    for _ in range(10):  # the usual step is not known at first
        clocks.tick()
    begin = clocks.time.now()
    assert clocks.tick(50) - begin == pytest.approx(50 * step) and not clocks.time.stands


def test_a_leap_of_the_clock_is_no_time():
    clocks = Clocks(0.01)
    begin = clocks.tick(20)
    clocks.clock += 5.0
    assert clocks.time.now() - begin <= 0.03 + 1e-9
    begin = clocks.time.now()
    clocks.clock -= 8.0
    assert clocks.time.now() == begin
    assert clocks.tick(10) - begin == pytest.approx(0.1)


@pytest.mark.parametrize("step", (0.001, 0.1, 0.5))
def test_a_clock_that_was_set_back_is_told_until_a_state_confirms_it(step):
    clock = [500.0]
    time = SimulatedTime(lambda: clock[0], 0.01, 0.05)
    for _ in range(20):
        clock[0] += step
        time.now()
        time.add_state(clock[0] + 0.9 * min(step, 0.01))  # a state may come before the clock
        assert not time.set_back
    clock[0] = step
    assert time.set_back
    clock[0] += step
    assert time.set_back
    time.add_state(clock[0])
    assert not time.set_back


def test_between_two_steps_of_a_coarse_clock_the_states_tell_the_time():
    clocks = Clocks(0.1)
    begin = clocks.tick(20)
    for k in range(1, 10):
        clocks.time.add_state(clocks.clock + 0.01 * k)
        assert clocks.time.now() - begin == pytest.approx(0.01 * k)
    assert clocks.tick() - begin == pytest.approx(0.1)
    clocks.time.add_state(clocks.clock + 50.0)  # by another clock
    assert clocks.time.now() - begin == pytest.approx(0.1)


def test_where_the_clock_stands_the_wall_clock_goes_on():
    clocks = Clocks(0.01)
    begin = clocks.tick(20)
    clocks.wall += GUARD_STANDING
    assert clocks.time.now() == begin and not clocks.time.stands
    clocks.wall += 0.5
    assert clocks.time.now() - begin == pytest.approx(0.5) and clocks.time.stands
    assert clocks.tick() - begin == pytest.approx(0.51) and not clocks.time.stands


def test_before_the_first_message_time_has_not_begun():
    assert GuardTime(lambda: 0.0, lambda: 1.0).stands


def test_a_pause_is_no_silence_but_a_dead_mpc_node_is_noticed_during_one():
    """While /clock stands mpc_node sends the safe command; without it the guard does, after the patience."""
    clocks = Clocks(0.001)
    guard, told = Guard(GuardSettings(), lambda message: message, epoch=3, simulated=True), 0
    guard.least_timeout = clocks.time.least_timeout

    def beat() -> None:
        nonlocal told
        told += 1
        now = clocks.time.now()
        assert guard.take_parameters(parameters(2, "velocity", told, time=Time.SIMULATED, epoch=3), now) == ""
        guard.take_command([0.0, 0.0], f"{now}", now)

    for _ in range(20):
        clocks.tick(5)
        beat()
    assert guard.mode is Mode.FORWARDING
    clocks.wall += 1.2  # mpc_node notices
    assert guard.act(clocks.time.now()) is None
    for _ in range(300):
        clocks.wall += PERIOD
        beat()
        assert guard.act(clocks.time.now()) is None
    clocks.wall += 0.19  # a busy machine: the simulated arm stands
    beat()
    assert guard.act(clocks.time.now()) is None and guard.mode is Mode.FORWARDING
    clocks.wall += 0.21
    assert guard.act(clocks.time.now()) is not None


def test_a_command_from_before_the_clock_was_back_is_not_missing_at_once():
    clocks = Clocks(0.001)
    clocks.tick(20)
    clocks.wall += 3.0
    sent = clocks.time.now()
    clocks.wall += 0.12
    clocks.time.now()  # the guard looks now and then
    clocks.tick(1)
    assert 0.1 < clocks.time.now() - sent < clocks.time.least_timeout()
    clocks.tick(300)
    assert clocks.time.least_timeout() == 0.0


def test_mpc_node_and_its_guard_must_have_the_same_time():
    for simulated, time in ((False, Time.SIMULATED), (True, Time.WALL)):
        guard = Guard(GuardSettings(), lambda message: message, simulated=simulated)
        assert "use_sim_time" in guard.take_parameters(parameters(2, "velocity", time=time), 0.0)
        assert guard.take_parameters(parameters(2, "velocity", time=Time.LOCKSTEP), 0.0) == ""


def test_where_the_clock_ends_and_states_go_on_the_guard_has_the_time_of_their_stamps():
    clocks = Clocks(0.001)
    clocks.tick(100)
    stamp, begin = clocks.clock, clocks.time.now()
    for k in range(1, 1001):
        clocks.wall += PERIOD
        clocks.time.add_state(stamp + PERIOD * k)
        assert clocks.time.now() - begin == pytest.approx(PERIOD * k, abs=1e-6)
    assert not clocks.time.stands
    clocks.clock = stamp + PERIOD * 1000  # it is back
    assert clocks.tick(10) - begin == pytest.approx(PERIOD * 1000 + 0.01)
