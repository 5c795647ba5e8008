"""The monitor of the closed loop: each formula, and what follows from it."""

import math

import numpy as np
import pytest

from mbrl_ros.config.sections.safety import MonitorSettings
from mbrl_ros.safety.loop_measures import CompiledMeasures, LoopMeasures, Model, library
from mbrl_ros.safety.loop_monitor import LoopMonitor
from mbrl_ros.safety.state_machine import Reason
from support.robots import planar_robot

DT, NOISE, N = 0.005, 0.015, 2
SHARE = 0.1  # of a tick in the means: DT / memory


class Ticks:
    """Feeds a monitor: the input gain is 0.01 rad/s per unit; what is not given is as in a quiet loop."""

    def __init__(self, interface="effort", **settings):
        self.monitor = LoopMonitor(planar_robot(interface=interface), MonitorSettings(**settings), DT, NOISE)
        self.k = 0

    def tick(self, u=0.0, *, noise=NOISE, expected=0.0, at=0.0, away=0.0, moved=math.inf, model=True):
        self.k += 1
        made = Model(0.01 * np.eye(N), np.full(N, noise), np.array([expected, 0.0]), np.array([at, 0.0]))
        self.monitor.update(DT * self.k, np.array([u, 0.0]), made if model else None, away, moved)
        return self.monitor

    def quiet(self, seconds):
        for _ in range(round(seconds / DT)):
            self.tick()
        return self.monitor


def alternating_mean(size):
    """E[|y|] - |E[y]| of y = +size, -size, ... in the long run."""
    return size * (1.0 - SHARE / (2.0 - SHARE))


# --- the five conditions ---------------------------------------------------------------------------------------------


def test_chatter_is_the_mean_acceleration_of_commands_to_and_fro():
    ticks = Ticks()
    for k in range(200):
        ticks.tick(u=3.0 * (-1) ** k)
    wanted = alternating_mean(0.01 * 6.0 / DT)  # B (u - u') / dt
    assert ticks.monitor.values[Reason.LOOP_CHATTER] == pytest.approx(wanted, rel=1e-6)
    assert ticks.monitor.values[Reason.LOOP_OFFSET] == 0.0


def test_commands_that_only_rise_are_no_chatter():
    ticks = Ticks()
    for k in range(200):
        ticks.tick(u=5.0 * k, away=0.0)
    assert ticks.monitor.values[Reason.LOOP_CHATTER] < 1e-6


def test_offset_is_what_the_model_expects_to_and_fro_beside_the_commands_change():
    ticks = Ticks()
    for k in range(200):
        u = 4.0 * (k % 3)
        ticks.tick(expected=0.02 * (-1) ** k + 0.01 * u, at=u)  # the second part is B u
    assert ticks.monitor.values[Reason.LOOP_OFFSET] == pytest.approx(alternating_mean(0.04 / DT), rel=1e-6)


@pytest.mark.parametrize("interface", ["velocity", "position"])
def test_the_offset_is_judged_for_efforts_only(interface):
    ticks = Ticks(interface)
    for k in range(200):
        assert not ticks.tick(expected=0.2 * (-1) ** k).reasons


def test_what_is_learned_of_gravity_once_is_no_offset_to_and_fro():
    ticks = Ticks()
    for k in range(200):
        ticks.tick(expected=0.5 * min(k, 20))
    assert ticks.monitor.values[Reason.LOOP_OFFSET] < 1e-6


def test_noise_counts_over_its_long_run_value_and_in_absolute_terms():
    ticks = Ticks(noise=20.0, noise_growth=3.0)
    ticks.quiet(5.0)
    assert Reason.LOOP_NOISE not in ticks.tick(noise=0.09).reasons  # six times as much, but 18 rad/s^2
    assert Reason.LOOP_NOISE in ticks.tick(noise=0.11).reasons  # 22 rad/s^2
    assert ticks.monitor.values[Reason.LOOP_NOISE] == pytest.approx(0.11 / NOISE, rel=0.05)
    for _ in range(2000):
        ticks.tick(noise=0.11)
    assert Reason.LOOP_NOISE not in ticks.monitor.reasons  # it is the long-run value by now
    assert ticks.monitor.values[Reason.LOOP_NOISE] == pytest.approx(1.0, abs=0.01)


def test_tracking_is_the_mean_speed_away_from_the_reference():
    ticks = Ticks(tracking=0.3)
    for k in range(60):
        ticks.tick(away=0.4 * DT * k)
    wanted = 0.4 * (1.0 - (1.0 - SHARE) ** 59)
    assert ticks.monitor.values[Reason.LOOP_TRACKING] == pytest.approx(wanted, rel=1e-9)
    assert ticks.monitor.reasons == Reason.LOOP_TRACKING
    for k in range(60):
        ticks.tick(away=0.4 * DT * (60 - k))
    assert ticks.monitor.values[Reason.LOOP_TRACKING] < 0.0  # back is no error
    assert not Ticks(tracking=0.3).tick(away=math.nan).reasons


def test_a_reference_that_goes_ahead_of_a_slow_arm_is_no_error():
    ticks = Ticks(tracking=0.3)
    for k in range(60):
        ticks.tick(away=0.8 * DT * k, moved=-0.2 * DT)
        assert not ticks.monitor.reasons
    ticks = Ticks(tracking=0.3)
    for k in range(60):
        ticks.tick(away=0.8 * DT * k, moved=0.4 * DT)
    assert ticks.monitor.values[Reason.LOOP_TRACKING] == pytest.approx(0.4 * (1.0 - (1.0 - SHARE) ** 59), rel=1e-9)


def test_tracking_counts_the_time_between_two_states():
    far, near = Ticks(), Ticks()
    for k in range(40):
        far.tick(away=0.001 * k)
        near.k += 1  # a state is lost
        near.tick(away=0.001 * k)
    assert near.monitor.values[Reason.LOOP_TRACKING] == pytest.approx(
        0.5 * far.monitor.values[Reason.LOOP_TRACKING], rel=1e-9
    )


def test_saturation_is_the_share_of_ticks_with_an_effort_at_its_limit():
    ticks, limit = Ticks(saturation=0.5), planar_robot().command_upper[0]
    for k in range(400):
        ticks.tick(u=limit if k % 4 else 0.9 * limit)
    assert ticks.monitor.values[Reason.LOOP_SATURATION] == pytest.approx(0.75, abs=0.08)
    assert Reason.LOOP_SATURATION in ticks.monitor.reasons
    velocity = Ticks("velocity")
    for _ in range(50):
        velocity.tick(u=planar_robot(interface="velocity").command_upper[0])
    assert velocity.monitor.values[Reason.LOOP_SATURATION] == 0.0


@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_a_quiet_loop_is_not_bad(interface):
    rng = np.random.default_rng(4)
    ticks = Ticks(interface)
    for _ in range(2000):
        ticks.tick(u=rng.normal(0.0, 0.02), expected=rng.normal(0.0, 0.01), away=abs(rng.normal(0.0, 1e-4)))
        assert not ticks.monitor.reasons and ticks.monitor.gain == 1.0 and not ticks.monitor.held


# --- what follows ----------------------------------------------------------------------------------------------------


def test_the_gain_is_lowered_at_once_and_rises_after_a_while_without_a_condition():
    ticks = Ticks(offset=8.0, least_gain=0.3, release_after=0.5, recovery=2.0, hold_after=10.0)
    while not ticks.monitor.reasons:
        ticks.tick(expected=0.1 * (-1) ** ticks.k)
    assert ticks.monitor.reasons == Reason.LOOP_OFFSET and ticks.monitor.gain == 0.3
    while ticks.tick().reasons:
        pass
    assert ticks.quiet(0.45).gain == 0.3
    gains = [ticks.tick().gain for _ in range(round(3.0 / DT))]
    assert all(after >= before for before, after in zip(gains, gains[1:], strict=False)) and gains[-1] == 1.0
    whole = (0.05 + 2.0 * math.log(1.0 / 0.3)) / DT  # the rest of the 0.5 s, and exp(t / recovery) from 0.3 to 1
    assert gains.index(1.0) == pytest.approx(whole, abs=2 + 0.03 * whole)


def test_the_arm_is_held_when_the_lowered_gain_does_not_help_and_released_later():
    ticks = Ticks(offset=8.0, hold_after=0.1, release_after=0.5)
    while not ticks.monitor.reasons:
        ticks.tick(expected=0.5 * (-1) ** ticks.k)
    bad = 1
    while not ticks.monitor.held:
        ticks.tick(expected=0.5 * (-1) ** ticks.k)
        bad += 1
    assert bad == pytest.approx(0.1 / DT + 1, abs=1)
    while ticks.tick().reasons:
        pass
    assert ticks.quiet(0.45).held
    assert not ticks.quiet(0.1).held


def test_what_was_interrupted_is_not_compared():
    ticks = Ticks()
    ticks.quiet(0.1)
    ticks.monitor.restart()
    ticks.tick(u=30.0, expected=9.0, away=0.5)
    assert not ticks.monitor.reasons and ticks.monitor.values[Reason.LOOP_CHATTER] == 0.0


def test_what_was_bad_before_an_interruption_is_not_said_of_the_loop_after_it():
    ticks = Ticks(chatter=20.0)
    for k in range(40):
        ticks.tick(u=15.0 * (-1) ** k, expected=0.5 * (-1) ** k)
    assert ticks.monitor.reasons == Reason.LOOP_CHATTER | Reason.LOOP_OFFSET
    ticks.monitor.restart()
    assert not ticks.tick(u=15.0).reasons


def test_a_bad_loop_is_forgotten_with_everything_else():
    ticks = Ticks(hold_after=0.0)
    for k in range(40):
        ticks.tick(u=15.0 * (-1) ** k, noise=0.2, expected=0.5 * (-1) ** k, away=0.1 * k)
    assert ticks.monitor.held and ticks.monitor.gain == 0.2
    ticks.monitor.reset()
    assert not ticks.monitor.reasons and ticks.monitor.gain == 1.0 and not ticks.monitor.held
    assert not ticks.quiet(0.1).reasons


def test_values_that_are_not_finite_do_not_last():
    ticks = Ticks()
    ticks.quiet(0.05)
    ticks.tick(u=math.nan, noise=math.nan, expected=math.nan, away=math.inf)
    ticks.quiet(0.1)
    assert not ticks.monitor.reasons and all(math.isfinite(value) for value in ticks.monitor.values.values())


def test_without_a_model_only_what_needs_none_is_judged():
    ticks, limit = Ticks(), planar_robot().command_upper[0]
    for k in range(100):
        ticks.tick(u=limit * (-1) ** k, away=0.01 * k, model=False)
    assert ticks.monitor.reasons == Reason.LOOP_TRACKING | Reason.LOOP_SATURATION


@pytest.mark.parametrize("rate", [20.0, 50.0, 1000.0])
def test_a_mean_extends_over_five_ticks_at_least(rate):
    monitor = LoopMonitor(planar_robot(), MonitorSettings(), 1.0 / rate, NOISE)
    monitor.update(0.0, np.zeros(N), None, 0.0)
    monitor.update(1.0 / rate, np.zeros(N), None, 0.1 / rate)
    assert monitor.values[Reason.LOOP_TRACKING] <= 0.1 / 5.0 + 1e-12


# --- in compiled code ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(library() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize("limited", [True, False])
def test_the_compiled_measures_are_the_readable_ones(n, limited):
    random, names = np.random.default_rng(n), ("noisiness", "noisiest", "chatter", "offset", "saturation")
    limits = (np.full(n, -2.0), np.full(n, 2.0)) if limited else (None, None)
    given = n, DT, SHARE, 0.01, NOISE**2, *limits
    readable, compiled = LoopMeasures(*given), CompiledMeasures(library(), *given)
    for k in range(2000):
        made = Model(*(random.normal(size=s) for s in ((n, n), n, n, n)))
        made.noise[:] = np.abs(made.noise)
        u = random.normal(size=n)
        for part in (made.noise, made.expected, u):
            part[random.integers(n)] *= random.choice([1.0, np.nan, np.inf], p=[0.98, 0.01, 0.01])
        for measures in (readable, compiled):
            if k % 300 == 299:
                measures.restart()
            if k % 900 == 899:
                measures.reset()
            measures.update(u.copy(), made if k % 7 else None)
        found, wanted = ([getattr(measures, name) for name in names] for measures in (compiled, readable))
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    assert min(wanted[:3]) > 0.0 and (min(wanted[3:]) > 0.0) is limited
