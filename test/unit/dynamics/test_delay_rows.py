"""Rows of the delay's data: whitened also over gaps, summed over lost states and at high rates, weighted by motion."""

import numpy as np
import pytest

from mbrl_ros.config.sections.dynamics import DelaySettings
from mbrl_ros.dynamics.delay_estimation import LEAST_WEIGHT, DelayEstimator
from mbrl_ros.dynamics.delay_monitor import DelayMonitor
from mbrl_ros.dynamics.whitening import COLORS, WhiteningFilter

DT = 0.005


def innovations(changes, ticks, g):
    """What generalized least squares makes of `changes` (T, ...): L^-1 z, L L^T their covariance, by definition.

    The changes of a random walk (variance (1 - g)^2 per tick) between measurements (variance g) that are `ticks` apart.
    """
    size = len(ticks)
    covariance = np.diag((1.0 - g) ** 2 * ticks + 2.0 * g) - g * (np.eye(size, k=1) + np.eye(size, k=-1))
    return np.linalg.solve(np.linalg.cholesky(covariance), changes)


@pytest.mark.parametrize("blocks", ([40], [7, 16, 16, 1]))
def test_the_filter_is_generalized_least_squares_of_a_measured_walk(blocks):
    rng = np.random.default_rng(0)
    ticks = np.where(rng.random(40) < 0.3, rng.integers(2, 5, 40), 1).astype(float)
    rows = np.column_stack([rng.normal(size=(40, 3)), ticks])
    whitening, found = WhiteningFilter(4), []
    for part in np.split(rows, np.cumsum(blocks)[:-1]):
        found.append(whitening.filtered(part))
    found = np.concatenate(found, axis=1)
    for k, g in enumerate(COLORS):
        np.testing.assert_allclose(found[k], innovations(rows, ticks, g), rtol=1e-9, atol=1e-9)


def test_without_gaps_the_filter_becomes_that_of_the_innovations_form():
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.normal(size=(400, 2)), np.ones(400)])
    whitening = WhiteningFilter(3)
    found = np.concatenate([whitening.filtered(part) for part in np.split(rows, 25)], axis=1)
    for k, g in enumerate(COLORS):
        np.testing.assert_allclose(found[k], innovations(rows, np.ones(400), g), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[k, 300:], rows[300:] + g * found[k, 299:-1], rtol=1e-12)
    whitening.restart()
    again = whitening.filtered(rows[:16])
    np.testing.assert_allclose(again, found[:, :16], rtol=1e-12)


class Motor:
    """Joints whose command acts `delay` ticks late; states may be lost, and the last command holds meanwhile."""

    def __init__(self, seed, delay, dt=DT, n=3, noise=0.002):
        self.rng, self.dt, self.noise, self.n = np.random.default_rng(seed), dt, noise, n
        self.gain = 20.0 * np.linalg.inv(np.eye(n) + 0.2 * np.cov(self.rng.normal(size=(n, 2 * n))))
        self.q, self.qd, self.u = np.zeros(n), np.zeros(n), np.zeros(n)
        self.commands, self.whole, self.part = [np.zeros(n)] * 64, int(delay), delay - int(delay)
        self.k = 0

    def run(self, estimator, seconds, lost=0.0, excitation=0.3):
        for _ in range(round(seconds / self.dt)):
            t = self.k * self.dt
            if self.rng.random() >= lost:
                qd = self.qd + self.noise * self.rng.standard_normal(self.n)
                swing = np.sin(2.0 * np.pi * (0.5 + 0.1 * np.arange(self.n)) * t)
                self.u = excitation * (self.rng.standard_normal(self.n) / 15.0 + swing) - 0.5 * qd - 2.0 * self.q
                estimator.update(t, self.q, qd, self.u)
            self.commands = [self.u, *self.commands[:-1]]
            applied = (1.0 - self.part) * self.commands[self.whole] + self.part * self.commands[self.whole + 1]
            change = self.dt * (self.gain @ applied - self.qd)
            self.q, self.qd = self.q + self.dt * (self.qd + 0.5 * change), self.qd + change
            self.k += 1
        return estimator


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("delay", [1.0, 2.4])
def test_a_delay_is_found_where_a_fifth_of_the_states_is_lost(delay, seed):
    estimator = DelayEstimator(3, DT)
    early = Motor(seed, delay).run(estimator, 1.0, lost=0.2).estimate()
    assert early.usable and abs(early.ticks - delay) < 0.25
    estimate = Motor(seed, delay).run(DelayEstimator(3, DT), 4.0, lost=0.4).estimate()
    assert estimate.usable and abs(estimate.ticks - delay) < 0.25


@pytest.mark.parametrize("rate", [400.0, 1000.0])
@pytest.mark.parametrize("time", [0.004, 0.0135, 0.032])
def test_at_a_high_rate_a_delay_is_found_as_far_in_time_as_at_200_hz(rate, time):
    dt = 1.0 / rate
    estimator = DelayEstimator(3, dt)
    assert estimator.stride * dt >= DT - 1e-9
    estimate = Motor(3, time * rate, dt=dt, noise=0.001).run(estimator, 4.5).estimate()
    assert estimate.usable and abs(estimate.ticks * dt - time) < 0.25 * DT


def test_a_row_of_several_ticks_is_the_sum_of_theirs_over_the_stride():
    rng = np.random.default_rng(2)
    estimator = DelayEstimator(2, 0.001, DelaySettings(longest=2))
    assert estimator.stride == 5
    q, qd, u = rng.normal(size=(3, 40, 2))
    u[17], held = np.nan, 16  # no update in tick 17: the command of tick 16 holds
    u[17] = u[held]
    for k in range(29):
        if k != 17:
            estimator.update(0.001 * k, q[k], qd[k], u[k])
    # rows begin every five ticks; the first that has all its commands is the one from tick 10 to tick 15
    assert estimator._filled == 3
    z = estimator._block[2]
    np.testing.assert_allclose(z[:2], u[20:25].mean(axis=0))
    np.testing.assert_allclose(z[2:4], u[15:20].mean(axis=0))
    np.testing.assert_allclose(z[4:6], u[10:15].mean(axis=0))
    np.testing.assert_allclose(z[6:8], qd[25] - qd[20])
    np.testing.assert_allclose(z[8:10], q[20] + 0.4 * (q[25] - q[20]))
    np.testing.assert_allclose(z[10:12], qd[20] + 0.4 * (qd[25] - qd[20]))
    assert z[12] == 1.0


def test_a_period_that_is_measured_a_little_short_makes_no_row_of_two_ticks():
    assert DelayEstimator(2, 0.00499).stride == 1 and DelayEstimator(2, 0.02).stride == 1


def test_an_arm_at_rest_keeps_what_it_learned_in_motion():
    motor = Motor(4, 2.0)
    estimator = motor.run(DelayEstimator(3, DT), 2.0)
    before, count = estimator.estimate(), estimator._count
    rng = np.random.default_rng(5)
    for k in range(motor.k, motor.k + 2000):  # ten seconds at rest: noise, and commands that follow it
        qd = 0.002 * rng.standard_normal(3)
        estimator.update(k * DT, motor.q, qd, -3.0 * qd)
    after = estimator.estimate()
    assert before.usable and after.usable and abs(after.ticks - 2.0) < 0.25
    assert estimator._weights[:8].max() <= 3.0 * LEAST_WEIGHT and estimator._count < 1.5 * count


def test_after_an_interruption_older_commands_are_not_matched_with_what_follows():
    estimator = Motor(6, 1.0).run(DelayEstimator(3, DT), 0.4)
    estimator.interrupt()
    count = estimator._count
    motor = Motor(6, 1.0)
    motor.k = 80
    motor.run(estimator, 8 * DT)  # fewer ticks than there are lags
    assert estimator._filled == 0 and estimator._count == count


def test_the_monitor_tolerates_as_much_in_time_at_every_rate():
    """0.4 ticks of 5 ms are two of 1 ms: a delay of 3 ms, 2 ms configured, is left alone; one of 12 ms is not."""
    dt = 0.001
    for time, used in ((0.003, 2.0), (0.012, 12.0)):
        monitor = DelayMonitor(3, dt, 2.0)
        Motor(7, time / dt, dt=dt, noise=0.001).run(monitor, 3.0)
        assert abs(monitor.in_use - used) < 1.5
        assert monitor.message == "" if time == 0.003 else "control.delay is 2 ticks" in monitor.message
