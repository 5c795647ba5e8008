"""When the safe commands go out where the guard's thread wakes up late, as on a busy machine; on a clock of its own."""

import numpy as np
import pytest

from mbrl_ros.guard.messages import Mode
from support.guards import PERIOD, Side, parameters

LATEST = 0.8  # periods by which a wake-up is late, at most


class Arm:
    """Coupled joints that weigh something, with the load that the guard was told, and states every period."""

    def __init__(self, rng, n=3):
        factor = rng.normal(size=(n, n))
        self.inertia, self.load = 0.05 * (factor @ factor.T + np.eye(n)), rng.uniform(-5.0, 5.0, n)
        self.q, self.qd = rng.uniform(-1.0, 1.0, n), rng.uniform(-1.5, 1.5, n)
        c = 20.0
        gains = dict(damping=c * self.inertia, stiffness=c**2 / 3.0 * self.inertia, integral=c**3 / 27.0 * self.inertia)
        self.side = Side(parameters(n, mean=-self.load, inertia=self.inertia, **gains))
        self.next_state = self.side.now

    def move(self, until, u):
        """Move under the effort u (n,) until `until` [s]; the states come on their way."""
        side = self.side
        while side.now < until:
            end = min(until, self.next_state)
            elapsed, side.now = end - side.now, end
            qdd = np.linalg.solve(self.inertia, u + self.load)
            self.q, self.qd = self.q + elapsed * self.qd + 0.5 * elapsed**2 * qdd, self.qd + elapsed * qdd
            if end == self.next_state:
                side.state(self.q, self.qd)
                self.next_state += PERIOD


def stopped(seed, seconds):
    """Commands end in mid-motion and the guard wakes up late; return the arm, its start and when commands went out."""
    rng = np.random.default_rng(seed)
    arm = Arm(rng)
    side, guard, u = arm.side, arm.side.guard, -arm.load
    side.state(arm.q, arm.qd)
    arm.next_state += PERIOD
    for _ in range(20):
        side.send(u)
        arm.move(side.now + PERIOD, u)
    assert guard.mode is Mode.FORWARDING
    start, speed, end, sent = arm.q, arm.qd, side.now + seconds, []
    while side.now < end:
        arm.move(max(side.now, guard.due()) + rng.uniform(0.0, LATEST) * PERIOD, u)
        safe = guard.act(side.now)
        if safe is not None:
            u = safe
            sent.append(side.now)
    return arm, start + 0.5 * speed * np.abs(speed) / side.told.acceleration, np.array(sent)


@pytest.mark.parametrize("seed", range(10))
def test_late_wake_ups_leave_out_no_command_and_the_arm_rests(seed):
    arm, braked, sent = stopped(seed, 3.0)
    # on one grid: no command leaves more than LATEST periods after its due time, and none is left out
    late = sent - sent[0] - PERIOD * np.arange(sent.size)
    assert (late >= -1e-6).all() and (late <= LATEST * PERIOD + 1e-6).all()
    assert np.abs(arm.qd).max() < 5e-3 and arm.side.guard.at_rest
    np.testing.assert_allclose(arm.q, braked, atol=0.06)


def test_what_is_over_is_left_out_and_the_grid_stays():
    side = Side(parameters(1, "velocity"))
    side.begin(np.ones(1))
    side.send(np.ones(1))
    side.wait(side.now + 4.0 * PERIOD)
    due = side.guard.due()
    assert side.guard.act(due + 3.3 * PERIOD) is not None
    assert side.guard.due() == pytest.approx(due + 4.0 * PERIOD)


def test_the_law_takes_the_time_that_has_passed():
    """Late or not, a velocity falls by the acceleration limit times the time since the last command."""
    side, rng = Side(parameters(1, "velocity")), np.random.default_rng(4)
    side.begin(2.0 * np.ones(1))
    side.wait(side.now + 4.0 * PERIOD)
    at, u = side.out[-1][0], side.out[-1][1]
    for _ in range(30):
        now = side.guard.due() + rng.uniform(0.0, LATEST) * PERIOD
        before, u = u, side.guard.act(now)
        assert u[0] == pytest.approx(before[0] - 7.5 * (now - at))
        at = now
