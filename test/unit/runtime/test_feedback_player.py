"""Feedback between plans: which stage, which nominal state, and which plans are refused."""

import numpy as np
import pytest

from mbrl_ros.runtime.feedback_player import FeedbackPlayer
from mbrl_ros.types import Plan, PlanStatus

DT, N, H = 0.01, 1, 4
GAIN = np.array([[-10.0, -1.0]])


def plan(u=0.0, status=PlanStatus.CONVERGED) -> Plan:
    """x_hat_k = [k, 10 k]: a point of the trajectory per stage; u_hat_k = u + k; the gain grows with the stage."""
    x_hat = np.outer(np.arange(H + 1.0), [1.0, 10.0])
    return Plan(
        x_hat,
        u + np.arange(float(H))[:, None],
        np.array([(k + 1) * GAIN for k in range(H)]),
        np.zeros((H, 1, 1)),
        np.zeros((H, 1)),
        np.ones((H, 1, 1)),
        0.0,
        status,
        1,
    )


def playing(delay=0.0, validity=1.0) -> FeedbackPlayer:
    player = FeedbackPlayer(N, DT, validity)
    assert player.take(plan(), 5.0, np.array([-1.0, -10.0]) if delay else np.zeros(2), delay, player.epoch, 0)
    return player


def test_on_the_plan_it_plays_the_plan():
    player = playing()
    assert [player.command(5.0 + DT * k, np.array([k, 10.0 * k]))[0] for k in range(H)] == pytest.approx([0, 1, 2, 3])


def test_between_the_stages_the_nominal_state_is_interpolated():
    command = playing().command(5.0 + 1.5 * DT, np.array([1.5, 15.0]))
    assert command == pytest.approx([1.0])  # stage 1, no deviation


def test_a_deviation_is_fed_back_with_the_stage_s_gain():
    command = playing().command(5.0 + 1.5 * DT, np.array([1.6, 14.0]))
    assert command == pytest.approx([1.0 + 2.0 * (-10.0 * 0.1 - 1.0 * -1.0)])  # K_1 = 2 GAIN


def test_until_the_command_acts_the_way_there_is_nominal():
    player = playing(delay=2 * DT)  # from [-1, -10] at t_0 to [0, 0] two periods later
    assert player.command(5.0, np.array([-1.0, -10.0])) == pytest.approx([0.0])
    assert player.command(5.0 + DT, np.array([-0.5, -5.0])) == pytest.approx([1.0])
    assert player.command(5.0 + 3 * DT, np.array([1.0, 10.0])) == pytest.approx([3.0])


@pytest.mark.parametrize("stamp", (4.999, 5.021, 5.04))
def test_outside_its_validity_a_plan_says_nothing(stamp):
    assert playing(validity=0.02).command(stamp, np.zeros(2)) is None


def test_a_plan_ends_with_its_last_stage():
    assert playing().command(5.0 + 3.5 * DT, np.zeros(2)) is None


def test_old_plans_are_refused():
    player = playing()
    old = player.epoch
    assert not player.take(plan(7.0), 5.0, np.zeros(2), 0.0, old, 0)  # the same number again
    assert player.take(plan(7.0), 5.01, np.zeros(2), 0.0, old, 1)
    new = player.new_epoch()
    assert player.command(5.01, np.zeros(2)) is None
    assert not player.take(plan(), 5.02, np.zeros(2), 0.0, old, 99)
    assert player.take(plan(), 5.02, np.zeros(2), 0.0, new, 0)
    assert player.refused == 2


def test_a_failed_plan_is_refused():
    player = playing()
    assert not player.take(plan(status=PlanStatus.NOT_FINITE), 5.01, np.zeros(2), 0.0, player.epoch, 1)
    assert player.command(5.0, np.zeros(2)) == pytest.approx([0.0])
