"""The start of an arm moved by velocities with an unknown delay: what small motions teach cannot throw it."""

import numpy as np
import pytest

from support import servo_arm
from support.servo_arm import DT, ServoRun

SPEED, JOGS = 0.4, 50  # [rad/s] of the jogs; their number, one in two periods
LATE = 1.5  # of the speed asked for: less than any arm reaches that begins to swing
# those of 0.02 lost an arm while the gain of the prior could be off by its own size, of those of 0.005 a fifth did
STARTS = {0.02: (56, 72, 113, 122, 136, 176, 182, 189), 0.005: tuple(range(12)), 0.06: (0, 1)}


class JoggedRun(ServoRun):
    """Starts near a posture; its servos obey a command `delay` periods after that of the state it answers."""

    at_rest = 0.0

    def __init__(self, seed, delay):
        random = np.random.default_rng(seed)
        self.start = self.target = np.array([-1.5, 0.1]) + 0.3 * random.standard_normal(2)
        self._waiting = [np.zeros(2)] * delay
        super().__init__("velocity")

    def _move(self, u, switched_on=True):
        self._waiting.append(np.array(u))
        super()._move(self._waiting.pop(0), switched_on)


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("delay", [0, 1])  # control.delay is 1, and control.delay - 1 was what lost arms
@pytest.mark.parametrize("lag", STARTS)  # prior.integrator.lag is 0.02
def test_a_jog_of_one_joint_soon_after_the_start_moves_that_joint_alone(monkeypatch, lag, delay):
    monkeypatch.setattr(servo_arm, "LAG", lag)
    for seed in STARTS[lag]:
        random = np.random.default_rng(1000 + seed)
        run = JoggedRun(seed, delay)
        run.advance(int(random.integers(0, 20)) * DT)
        joint, begin = int(random.integers(0, 2)), run.q
        jog = np.zeros(2)
        jog[joint] = SPEED * np.sign(random.standard_normal())
        for _ in range(JOGS):
            run.controller.set_velocities(jog, 0.0)
            run.advance(2 * DT)
            assert abs(run.q[1 - joint] - begin[1 - joint]) < 0.02, seed
        assert run.highest()[0] < LATE * SPEED, seed
        moved = (run.q - begin)[joint] / (2 * DT * JOGS * jog[joint])
        assert 0.6 < moved < 1.05, seed
