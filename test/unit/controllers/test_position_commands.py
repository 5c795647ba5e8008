"""Position commands for hardware that obeys them at once: smooth, however the measured velocities leap."""

import numpy as np
import pytest

from support.servo_arm import DT, ForwardedRun

PLANNED = 1.5  # [rad/s]: of the reference's fastest joint
LATE = (0.0, 0.05, 0.15)  # share of the commands that the hardware obeys a period late


def commanded(run, since):
    """The speeds [rad/s] and accelerations [rad/s^2] of the commands from period `since` on."""
    commands = np.array(run.commands[since:])
    speeds = np.diff(commands, axis=0) / DT
    return speeds, np.diff(speeds, axis=0) / DT


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize(("at_rest", "roughness"), ((0.03, 12.0), (0.5, 8.0)))
def test_commands_are_hardly_faster_than_planned_and_not_to_and_fro(at_rest, roughness, late):
    """`at_rest` [s] before the motion: the model is unknown, or known from exploration; roughness [rad/s^2]."""
    run = ForwardedRun("position", late, seed=1, at_rest=at_rest)
    begin = len(run.commands)
    run.advance(3.0)
    speeds, accelerations = commanded(run, begin)
    assert np.abs(speeds).max() < 1.15 * PLANNED
    assert np.sqrt(np.mean(accelerations**2)) < roughness
    assert np.abs(run.q - run.target).max() < 1e-3


def test_an_arm_at_rest_is_hardly_moved_by_exploration():
    run = ForwardedRun("position")
    run.advance(4.0)
    assert np.ptp(run.commands[-100:], axis=0).max() < 5e-4


def test_after_lost_states_the_commands_go_on_at_hardly_more_than_the_planned_speed():
    """Four states of a motion are lost, during which the arm stands at the last command."""
    run = ForwardedRun("position")
    run.advance(0.6)
    for _ in range(4):
        run.stamp = round(run.stamp + DT, 6)
    run.qd = np.zeros(2)
    begin = len(run.commands)
    run.advance(2.0)
    speeds, _ = commanded(run, begin)
    assert np.abs(speeds).max() < 1.2 * PLANNED
    assert np.abs(run.q - run.target).max() < 1e-3
