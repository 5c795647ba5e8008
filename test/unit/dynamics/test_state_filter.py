"""The state from which position commands are planned."""

import numpy as np
import pytest

from mbrl_ros.dynamics.delay import CommandHistory
from mbrl_ros.dynamics.state_filter import CORRECTION_TIME, MOST_PREDICTED, StateFilter
from mbrl_ros.types import LinearGaussianDynamics

DT = 0.01
SHARE = 1.0 - np.exp(-DT / CORRECTION_TIME)
# q' = u, qd' = (u - q) / dt: hardware that is at its command one period later
F = np.array([[[0.0, 0.0, 1.0], [-1.0 / DT, 0.0, 1.0 / DT]]])
OBEYING = LinearGaussianDynamics(F, np.zeros((1, 2)), np.zeros((1, 2, 2)))


@pytest.fixture
def history():
    history = CommandHistory(1, DT, 0.0)
    for k in range(30):
        history.record(k * DT, np.array([0.1 * k]))
    return history


def test_what_the_measured_state_adds_to_the_prediction_is_a_share_of_their_difference(history):
    filtered = StateFilter(DT)
    first, measured = np.array([0.2, 1.0]), np.array([0.0, -30.0])
    assert filtered.update(0.0, first, OBEYING, history) is first
    predicted = np.array([0.0, (0.0 - 0.2) / DT])  # command 0 was in effect
    expected = predicted + SHARE * (measured - predicted)
    assert filtered.update(DT, measured, OBEYING, history) == pytest.approx(expected)


def test_over_states_that_were_lost_it_predicts_with_the_commands_in_effect(history):
    filtered = StateFilter(DT)
    filtered.update(0.0, np.array([0.2, 1.0]), OBEYING, history)
    measured = np.array([0.5, 4.0])
    predicted = np.array([0.2, (0.2 - 0.1) / DT])  # commands 0, 1 and 2
    expected = predicted + (1.0 - (1.0 - SHARE) ** 3) * (measured - predicted)
    assert filtered.update(3 * DT, measured, OBEYING, history) == pytest.approx(expected)


@pytest.mark.parametrize("stamp", ((MOST_PREDICTED + 1) * DT, -DT, 0.0), ids=("later", "earlier", "at once"))
def test_after_a_gap_or_a_leap_the_measured_state_is_taken(history, stamp):
    filtered = StateFilter(DT)
    filtered.update(0.0, np.array([0.2, 1.0]), OBEYING, history)
    measured = np.array([0.5, 4.0])
    assert filtered.update(stamp, measured, OBEYING, history) is measured


def test_a_state_that_is_not_finite_is_forgotten(history):
    filtered = StateFilter(DT)
    filtered.update(0.0, np.array([np.nan, 1.0]), OBEYING, history)
    measured = np.array([0.5, 4.0])
    assert filtered.update(DT, measured, OBEYING, history) is measured
