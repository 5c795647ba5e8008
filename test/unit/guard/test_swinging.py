"""Less gain for an arm that swings to and fro."""

import numpy as np
import pytest

from mbrl_ros.guard.laws import make_law
from mbrl_ros.guard.states import JointStates
from mbrl_ros.guard.swinging import LEAST_SHARE, LOWER, Swinging
from support.guards import parameters

DT, LIMIT = 0.01, np.full(2, 2.0)


def swung(swinging: Swinging, amplitude: float, frequency: float, seconds: float) -> float:
    """The share after one joint swung."""
    for k in range(round(seconds / DT)):
        swinging.update(np.array([0.0, amplitude * np.cos(2.0 * np.pi * frequency * k * DT)]), DT)
    return swinging.share


def test_an_arm_that_swings_gets_less_gain_down_to_a_least_one():
    swinging = Swinging(LIMIT)
    assert swung(swinging, 1.0, 5.0, 0.35) == 0.5
    assert swung(swinging, 1.0, 5.0, 3.0) == pytest.approx(LEAST_SHARE, rel=0.2)


@pytest.mark.parametrize(
    "amplitude, frequency", ((0.55, 5.0), (1.9, 0.9)), ids=("below 0.3 of its limit", "slower than 1 Hz")
)
def test_slow_or_small_motion_is_no_swinging(amplitude, frequency):
    assert swung(Swinging(LIMIT), amplitude, frequency, 5.0) == 1.0


def test_braking_and_one_bounce_are_no_swinging():
    swinging = Swinging(LIMIT)
    for qd in np.concatenate((np.linspace(3.0, -1.5, 100), np.linspace(-1.5, 0.0, 50), np.zeros(50))):
        swinging.update(np.array([qd, 0.0]), DT)
    assert swinging.share == 1.0


def test_a_calm_arm_gets_its_gain_back_up_to_what_is_less_than_what_made_it_swing():
    swinging = Swinging(LIMIT)
    swung(swinging, 1.0, 5.0, 2.0)
    assert swung(swinging, 0.0, 5.0, 3.0) == LOWER
    swung(swinging, 1.0, 5.0, 2.0)
    assert swung(swinging, 0.0, 5.0, 3.0) == LOWER**2


@pytest.mark.parametrize("ratio, delay", ((1.0, 2), (3.0, 2), (6.0, 2), (8.0, 1), (4.0, 3)))
def test_an_arm_with_much_less_inertia_than_the_law_believes_comes_to_rest(ratio, delay):
    """Without less gain it is shaken for ever from a ratio of 3 on, with full efforts; period 10 ms."""
    inertia = np.diag([0.5, 0.1])
    told = parameters(2, "effort", inertia=ratio * inertia, period=DT)
    law, q, qd = make_law(told, np.zeros(2), np.zeros(2)), np.zeros(2), np.array([2.5, -1.0])
    queue, speeds = [np.zeros(2)] * delay, []
    for k in range(800):
        queue.append(law.command(DT, JointStates(q, qd, DT * k, DT * k)))
        qd = qd + DT * np.linalg.solve(inertia, queue.pop(0))
        q = q + DT * qd
        speeds.append(np.abs(qd).max())
    assert max(speeds[200:]) < 3.0 and max(speeds[-100:]) < 0.3
