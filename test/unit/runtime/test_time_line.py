"""Leaps of stamps and of /clock, simulated time that is coarse or stands still, and the age of the newest state."""

import numpy as np
import pytest

from mbrl_ros.guard.simulated_time import SimulatedTime
from mbrl_ros.runtime.time_line import StampJudge, StateAge

DT, TIMEOUT = 0.01, 0.05


@pytest.mark.parametrize("offset", [0.0, -1.8e9, 77.0])
def test_a_stamp_that_is_further_ahead_than_any_message_can_come_has_leapt(offset):
    judge, random = StampJudge(DT), np.random.default_rng(0)
    delays = 0.002 + 0.01 * random.random(200)
    for k in range(200):
        assert judge.leap(k * DT, offset + k * DT + delays[k]) == 0.0
    assert judge.leap(2.0 + 0.4, offset + 2.0 + 0.002) == pytest.approx(0.4, abs=0.001)
    for k in range(1, 100):  # once
        assert judge.leap(2.4 + k * DT, offset + 2.0 + k * DT + delays[k]) == 0.0


def test_messages_that_were_held_up_or_lost_have_not_leapt():
    judge = StampJudge(DT)
    for k in range(100):
        judge.leap(k * DT, k * DT)
    assert judge.leap(1.0, 1.2) == 0.0  # held up
    assert judge.leap(1.2, 1.2) == 0.0  # those between were lost
    assert judge.leap(3.0, 3.0) == 0.0  # a time without states


class Simulation:
    """/clock, the wall clock, and the time that is made of them."""

    def __init__(self):
        self.clock = self.wall = 0.0
        self.time = SimulatedTime(lambda: self.clock, DT, TIMEOUT, lambda: self.wall)

    def run(self, seconds, step, rate=1.0):
        for _ in range(round(seconds / step)):
            self.wall += step / rate
            self.clock += step
            self.time.now()


@pytest.mark.parametrize("leap", [5.0, 0.4, -400.0])
def test_a_leap_of_the_clock_is_taken_out_of_the_elapsed_time(leap):
    simulation = Simulation()
    simulation.clock = 500.0
    simulation.run(1.0, 0.01)
    simulation.clock += leap
    simulation.run(1.0, 0.01)
    assert simulation.time.now() == pytest.approx(502.0, abs=0.04)


def test_a_coarse_clock_is_filled_in_by_the_states():
    simulation, times = Simulation(), []
    simulation.clock = 500.0
    simulation.run(1.0, 0.1)
    for k in range(100):
        stamp = 501.0 + k * DT
        if k % 10 == 0 and k:
            simulation.clock = stamp
        assert simulation.time.clock_at(stamp) == pytest.approx(stamp)
        simulation.time.add_state(stamp)
        times.append(simulation.time.now())
    assert np.diff(times) == pytest.approx(np.full(99, DT))
    assert simulation.time.clock_at(600.0) < 502.2  # no clock confirms it


def test_a_clock_that_becomes_coarse_is_filled_in_from_its_first_long_step_on():
    simulation, times = Simulation(), []
    simulation.clock = 500.0
    simulation.run(1.0, 0.01)
    for k in range(200):
        stamp = 501.0 + k * DT
        if k % 10 == 0 and k:
            simulation.clock = stamp
        assert simulation.time.clock_at(stamp) == pytest.approx(stamp)
        simulation.time.add_state(stamp)
        times.append(simulation.time.now())
    assert np.diff(times) == pytest.approx(np.full(199, DT))


def test_a_clock_that_stands_still_is_judged_by_the_wall_clock():
    simulation = Simulation()
    assert not simulation.time.started and not simulation.time.stands()
    simulation.wall = 1.1
    assert simulation.time.stands() and not simulation.time.started  # none from the start
    simulation.run(5.0, 0.1, rate=0.2)  # every half second of wall time
    assert simulation.time.started and not simulation.time.stands()
    simulation.wall += 2.0
    assert not simulation.time.stands()
    simulation.wall += 1.0
    assert simulation.time.stands()
    simulation.run(0.1, 0.1)
    assert not simulation.time.stands()


def test_the_age_of_a_state_is_its_age_on_arrival_and_what_has_elapsed_since():
    age = StateAge()
    assert age.at(10.0) == np.inf
    age.add_state(0.01, 10.0)
    assert age.at(10.02) == pytest.approx(0.03)
    age.add_state(-0.01, 11.0)  # stamped ahead of the clock
    assert age.at(11.0) == 0.0


class States:
    """A simulation whose states go on, whatever becomes of /clock."""

    def __init__(self, rate: float, step: float):
        self.simulation, self.rate, self.step = Simulation(), rate, step
        self.stamp = self.simulation.clock = 500.0
        self.simulation.run(1.0, step, rate)
        self.stamp = self.simulation.clock

    def run(self, count: int, *, clock: bool, behind: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """States with /clock, which is `behind` them, or without; return (time, age on arrival) of each."""
        made = []
        for _ in range(count):
            self.stamp = round(self.stamp + DT, 9)
            self.simulation.wall += DT / self.rate
            if clock:
                self.simulation.clock = round(self.stamp - behind, 9)
            age = self.simulation.time.clock_at(self.stamp) - self.stamp
            if abs(age) < TIMEOUT:
                self.simulation.time.add_state(self.stamp)
            made.append((self.simulation.time.now(), age))
        return tuple(np.array(made).T)


@pytest.mark.parametrize("step", (0.001, 0.01, 0.1))
@pytest.mark.parametrize("rate", (0.3, 1.0, 9.0))
def test_where_the_clock_ends_and_states_go_on_their_stamps_are_the_time(rate, step):
    states = States(rate, step)
    states.run(1, clock=True)
    begin, time = states.stamp, states.simulation.time
    times, ages = states.run(1000, clock=False)
    assert np.abs(ages).max() < TIMEOUT  # none of them is refused
    np.testing.assert_allclose(times - times[0], DT * np.arange(1000), atol=1e-6 if step < 0.1 else 2.0 * DT + 1e-6)
    assert time.silent and not time.stands()
    _, ages = states.run(100, clock=True, behind=0.004)  # its messages come later than the states
    assert np.abs(ages).max() < TIMEOUT and not time.silent
    assert time.now() - times[0] == pytest.approx(states.stamp - begin - DT, abs=1e-6)


@pytest.mark.parametrize("begun", (True, False), ids=("the states leap", "/clock has never come"))
def test_the_clock_does_not_count_as_silent_where_no_stamp_has_taken_its_place(begun):
    simulation = Simulation()
    if begun:
        simulation.run(1.0, 0.01)
    for k in range(20):
        simulation.wall += 0.3
        simulation.time.clock_at(simulation.clock + 0.3 * k)
    assert not simulation.time.silent and simulation.time.overdue(1.0, 5.0) > 1.0


def test_a_leap_is_no_time_where_the_clock_has_ended():
    states = States(1.0, 0.01)
    states.run(50, clock=True)
    states.run(100, clock=False)
    before = states.simulation.time.now()
    states.stamp += 5.0
    _, ages = states.run(500, clock=False)
    assert states.simulation.time.now() - before < 0.11 and ages.max() < -TIMEOUT
    assert states.simulation.time.stands()
    _, ages = states.run(100, clock=True)
    assert np.abs(ages).max() < TIMEOUT and not states.simulation.time.stands()


def test_states_by_another_clock_do_not_stand_in():
    simulation = Simulation()
    simulation.clock = 500.0
    simulation.run(1.0, 0.01)
    for k in range(1000):
        simulation.wall += DT
        simulation.time.clock_at(1.7e9 + k * DT)
        simulation.time.add_state(1.7e9 + k * DT)
    assert simulation.time.stands() and simulation.time.now() < 501.2
