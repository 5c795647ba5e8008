"""The total delay is found from ordinary motion, tracks changes, and is not claimed without evidence."""

import numpy as np
import pytest

from mbrl_ros.config.sections.dynamics import DelaySettings
from mbrl_ros.dynamics.delay_estimation import DelayEstimate, DelayEstimator
from mbrl_ros.dynamics.delay_monitor import DelayMonitor, complaint
from support.robots import planar_robot

DT = 0.005


class Arm:
    """Coupled joints with friction, gravity and feedback; the command acts `delay` ticks late, velocities are noisy."""

    def __init__(self, n, seed, snr_db=20.0):
        self.rng = np.random.default_rng(seed)
        A = self.rng.normal(size=(n, n))
        self.strength = 20.0 * np.linalg.inv(np.eye(n) + 0.2 * A @ A.T)
        self.weight = 2.0 * self.rng.normal(size=(n, n))
        self.q, self.qd, self.noise = np.zeros(n), np.zeros(n), 0.0
        self.commands, self.n, self.k = [np.zeros(n)] * 12, n, 0
        self.changes, self.ratio = [], 10.0 ** (snr_db / 20.0)

    def run(self, estimator, delay, ticks, excitation=0.02):
        i, a = int(delay), delay - int(delay)
        for _ in range(ticks):
            qd = self.qd + self.noise * self.rng.standard_normal(self.n)
            swing = np.sin(2 * np.pi * (0.5 + 0.1 * np.arange(self.n)) * self.k * DT)
            u = excitation * self.rng.standard_normal(self.n) + (0.3 * swing - 0.5 * qd - 2.0 * self.q) * (
                excitation > 0
            )
            estimator.update(self.k * DT, self.q, qd, u)
            self.commands = [u, *self.commands[:-1]]
            applied = (1.0 - a) * self.commands[i] + a * self.commands[i + 1]
            change = DT * (self.strength @ applied - self.qd - self.weight @ np.sin(self.q))
            self.q, self.qd = self.q + DT * (self.qd + 0.5 * change), self.qd + change
            self.changes.append(change)
            self.k += 1
            if self.k == 50:  # a change of measured velocity holds the noise twice
                self.noise = np.std(self.changes) / self.ratio / np.sqrt(2.0)
        return estimator.estimate()


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("delay", [0.0, 0.3, 1.0, 1.75, 2.5, 3.0, 4.6, 5.25, 6.0])
def test_a_delay_of_up_to_six_ticks_is_found_in_under_five_seconds(n, delay):
    estimate = Arm(n, seed=n).run(DelayEstimator(n, DT), delay, round(4.5 / DT))
    assert abs(estimate.ticks - delay) < 0.25
    assert estimate.usable and estimate.confidence > 0.95
    assert abs(estimate.ticks - delay) < 5.0 * estimate.std + 0.05  # it knows how good it is; 0.05 is the grid


@pytest.mark.parametrize("delay", [0.0, 1.4, 3.0, 6.0])
def test_a_delay_is_found_on_the_simulated_robot(delay):
    pytest.importorskip("mujoco")
    from mbrl_ros.config.sections.simulation import PlantSettings
    from mbrl_ros.simulation.plant import Plant

    robot = planar_robot(3, effort=40.0)
    rng = np.random.default_rng(0)
    plant = Plant(PlantSettings(command_delay=delay, velocity_noise=0.003, initial_position=(0.3, 0.5, -0.4)), robot)
    measured = plant.reset()
    estimator, home = DelayEstimator(3, plant.period), measured.q
    for k in range(round(4.5 / plant.period)):
        reference = home + 0.3 * np.sin(2 * np.pi * np.array([0.4, 0.5, 0.6]) * k * plant.period)
        u = 60.0 * (reference - measured.q) - 4.0 * measured.qd + 1.0 * rng.standard_normal(3)
        u = np.clip(u, robot.command_lower, robot.command_upper)
        estimator.update(measured.stamp, measured.q, measured.qd, u)
        measured = plant.step(u)
    estimate = estimator.estimate()
    assert estimate.usable and abs(estimate.ticks - delay) < 0.25


def test_a_delay_that_changes_is_followed():
    arm, estimator = Arm(3, seed=4), DelayEstimator(3, DT)
    assert abs(arm.run(estimator, 1.0, 900).ticks - 1.0) < 0.25
    # two time constants of 2 s forget 86 % of what was before
    after = arm.run(estimator, 3.5, round(4.9 / DT))
    assert abs(after.ticks - 3.5) < 0.25


def test_a_wrong_configuration_is_named_and_a_right_one_is_not():
    estimate = Arm(2, seed=5).run(DelayEstimator(2, DT), 3.0, 900)
    text = complaint(estimate, 1.0, tolerance=0.5)
    assert "control.delay is 1 ticks" in text and "set control.delay: 3.0" in text
    assert complaint(estimate, 3.2, tolerance=0.5) == ""
    assert complaint(None, 1.0, tolerance=0.5) == ""


def test_without_excitation_nothing_is_claimed():
    rng = np.random.default_rng(6)
    estimator = DelayEstimator(2, DT)
    assert estimator.estimate() is None
    for k in range(1000):  # rest under zero commands, with sensor noise
        estimator.update(k * DT, 1e-4 * rng.standard_normal(2), 1e-3 * rng.standard_normal(2), np.zeros(2))
    estimate = estimator.estimate()
    assert estimate is None or not estimate.usable
    for k in range(1000, 2000):  # commands that move nothing
        estimator.update(k * DT, 1e-4 * rng.standard_normal(2), 1e-3 * rng.standard_normal(2), rng.standard_normal(2))
    assert not estimator.estimate().usable


def test_a_delay_beyond_the_range_is_not_usable():
    estimate = Arm(2, seed=7).run(DelayEstimator(2, DT, DelaySettings(longest=3)), 6.0, 900)
    assert not estimate.usable


def test_gaps_and_nan_are_survived():
    arm, estimator = Arm(2, seed=8), DelayEstimator(2, DT)
    arm.run(estimator, 2.0, 300)
    estimator.update(arm.k * DT, np.full(2, np.nan), np.full(2, np.nan), np.zeros(2))
    arm.k += 40  # a gap in time: the twelve commands before it are not matched with what comes after
    estimate = arm.run(estimator, 2.0, 600)
    assert estimate.usable and abs(estimate.ticks - 2.0) < 0.25


@pytest.mark.parametrize("missing", (1, 3, 10))
def test_states_that_are_missing_after_an_interruption_are_survived(missing):
    estimator, rest = DelayEstimator(2, 0.01), np.zeros(2)
    for k in range(20):
        estimator.update(k * 0.01, rest, rest, rest)
    estimator.interrupt()
    for k in range(20 + missing, 200):
        estimator.update(k * 0.01, rest, rest, rest)
    found = estimator.estimate()
    assert found is None or not found.usable


def test_the_monitor_acts_on_a_wrong_delay_within_half_a_second_and_says_so():
    arm, monitor = Arm(3, seed=9), DelayMonitor(3, DT, configured=1.0)
    changes = []
    recorder = _Recorder(monitor)
    recorder.update = lambda *args: changes.append(monitor.update(*args))
    arm.run(recorder, 2.5, 100)
    acted = [k for k, change in enumerate(changes) if change is not None]
    assert acted and acted[0] * DT <= 0.5 and abs(monitor.in_use - 2.5) < 0.25
    assert "control.delay is 1 ticks" in monitor.message


def test_the_monitor_leaves_a_right_delay_alone():
    arm, monitor = Arm(3, seed=10), DelayMonitor(3, DT, configured=1.0)
    arm.run(_Recorder(monitor), 1.0, 3000)
    assert monitor.in_use == 1.0 and monitor.message == ""


def test_the_monitor_only_reports_when_told_so():
    arm, monitor = Arm(3, seed=11), DelayMonitor(3, DT, 1.0, DelaySettings(adapt=False))
    arm.run(_Recorder(monitor), 3.0, 600)
    assert monitor.in_use == 1.0 and "set control.delay: 3.0" in monitor.message


def estimate(ticks, std, explained=0.5, usable=False):
    return DelayEstimate(ticks, std, 0.9, explained, usable)


def fed(monitor, *estimates):
    """What the monitor changes to after each of these estimates, or None; as `update` does with its own."""
    changes = []
    for one in estimates:

        def steps(one=one):
            return one
            yield

        monitor._running = steps()
        monitor._ticks = 0
        changes.append(monitor.update(0.0, np.zeros(2), np.zeros(2), np.zeros(2)))
    return changes


def test_the_time_is_as_uncertain_as_configured_until_an_estimate_speaks():
    """So much; then hypot(std, mean - in use) ticks of 5 ms, from half a millisecond to what it began with.

    One estimate leaves 0.7 of it at least.
    """
    assert DelayMonitor(2, DT, 1.0).std == 0.02
    monitor = DelayMonitor(2, DT, 1.0, DelaySettings(adapt=False, uncertainty=0.01))
    assert monitor.std == monitor.settings.uncertainty == 0.01
    fed(monitor, None, estimate(1.0, 1.0), estimate(1.0, 0.5, explained=0.1))  # nothing, too wide, explains too little
    assert monitor.std == 0.01
    fed(monitor, estimate(1.3, 0.4))
    assert monitor.std == pytest.approx(0.7 * 0.01)
    fed(monitor, *[estimate(1.3, 0.4)] * 4)
    assert monitor.std == pytest.approx(0.005 * 0.5)
    fed(monitor, *[estimate(1.0, 0.01)] * 5)
    assert monitor.std == 0.0005
    fed(monitor, estimate(4.0, 0.5))
    assert monitor.std == 0.01  # sure of being wrong by three ticks
    fed(monitor, *[estimate(1.0, 0.2)] * 7)
    assert monitor.std == pytest.approx(0.001)
    fed(monitor, None, estimate(3.0, 2.0))
    assert monitor.std == pytest.approx(0.001)  # what is not informative changes nothing
    monitor.reset()
    assert monitor.std == 0.01


def test_a_time_said_to_be_known_stays_known():
    monitor = DelayMonitor(2, DT, 1.0, DelaySettings(uncertainty=0.0))
    fed(monitor, estimate(3.0, 0.5))
    assert monitor.std == 0.0


def test_a_change_of_the_delay_in_use_makes_its_time_certain():
    monitor = DelayMonitor(2, DT, 1.0, DelaySettings(uncertainty=0.01))
    assert fed(monitor, estimate(3.0, 0.1, usable=True), estimate(3.0, 0.1, usable=True))[1] == pytest.approx(3.0)
    assert monitor.in_use == pytest.approx(3.0) and monitor.std == pytest.approx(
        0.7 * 0.01
    )  # by one estimate 0.7 of it is left
    fed(monitor, *[estimate(3.0, 0.1, usable=True)] * 8)
    assert monitor.std == pytest.approx(0.0005)


def test_two_estimates_far_above_the_delay_in_use_are_acted_on_before_they_are_usable():
    monitor = DelayMonitor(2, DT, 1.0)
    first, second = estimate(3.0, 0.3), estimate(3.2, 0.2)
    assert fed(monitor, first, second) == [None, pytest.approx(2.4969, abs=1e-4)]
    # the mean by precision is (3.0/0.09 + 3.2/0.04) / (1/0.09 + 1/0.04) = 3.1385, and 0.7 of the way 1 + 0.7 * 2.1385
    assert monitor.in_use == pytest.approx(2.497, abs=1e-3)


@pytest.mark.parametrize(
    "estimates",
    (
        [estimate(2.0, 0.1)] * 4,  # not more than one tick longer
        [estimate(3.5, 0.9)] * 4,  # not three standard deviations
        [estimate(3.0, 0.1, explained=0.29)] * 4,  # explains less than settings.explained
        [estimate(3.0, 0.1), estimate(5.0, 0.1)] * 2,  # do not agree
        [estimate(3.0, 0.1), None] * 2,
        [estimate(3.0, 0.1), estimate(1.0, 0.1)] * 2,  # not twice in a row
        [estimate(7.8, 0.1)] * 4,  # at the end of the range considered
    ),
)
def test_other_estimates_wait_until_they_are_usable(estimates):
    monitor = DelayMonitor(2, DT, 1.0, DelaySettings(explained=0.3, longest=8))
    assert fed(monitor, *estimates) == [None] * len(estimates) and monitor.in_use == 1.0


def test_a_shorter_delay_waits_until_it_is_usable():
    monitor = DelayMonitor(2, DT, 4.0)
    assert fed(monitor, *[estimate(1.0, 0.01)] * 4) == [None] * 4 and monitor.in_use == 4.0
    assert fed(monitor, *[estimate(1.0, 0.01, usable=True)] * 3)[-1] == pytest.approx(1.0)


def test_what_estimates_that_were_not_usable_have_led_to_others_correct_downwards():
    monitor = DelayMonitor(2, DT, 1.0, DelaySettings(uncertainty=0.01))
    assert fed(monitor, estimate(5.0, 0.3), estimate(5.0, 0.3))[1] == pytest.approx(1.0 + 2.0)  # at most 10 ms at once
    assert fed(monitor, *[estimate(5.0, 0.3)] * 2)[1] == pytest.approx(3.0 + 0.7 * 2.0)
    assert fed(monitor, estimate(2.4, 0.2), estimate(2.4, 0.2)) == [None, pytest.approx(4.4 - 0.7 * 2.0)]
    assert fed(monitor, *[estimate(3.0, 0.1, usable=True)] * 3)[-1] is None  # within the tolerance of 3.0
    assert fed(monitor, *[estimate(4.5, 0.1, usable=True)] * 2)[1] == pytest.approx(4.5)
    assert fed(monitor, *[estimate(2.4, 0.2)] * 4) == [None] * 4  # what was usable waits for what is usable


def test_the_early_rule_only_reports_when_told_so():
    monitor = DelayMonitor(2, DT, 1.0, DelaySettings(adapt=False))
    assert fed(monitor, estimate(3.0, 0.1), estimate(3.0, 0.1)) == [None, None]


class _Recorder:
    """A monitor where `Arm.run` expects an estimator."""

    def __init__(self, monitor):
        self.update, self.estimate = monitor.update, lambda: monitor.estimate
