"""Two publishers of the joint states of one arm, in process: no command before it is known whose the states are."""

import copy
from array import array

import numpy as np
import pytest

from mbrl_ros.safety.state_machine import State
from support.needs import needs, present

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node.arm_in_process import ArmInProcess
    from mbrl_ros.nodes import message_writers

pytestmark = needs("rclpy", "mujoco", "example-robot-data")

INTERFACES = ("effort", "velocity", "position")
HALF, ABOUT = 100, 5  # periods: half a second, and how exactly it is met
SAG = 9.3e-3  # [m] by which the tip sinks when nobody disturbs the start, at most (doc/safety.md)


def zeros(good, early):
    """A forgotten joint_state_publisher's state beside `good`, 1 ms before it or after it."""
    other = copy.deepcopy(good)
    other.position, other.velocity = array("d", [0.0] * len(good.name)), array("d", [0.0] * len(good.name))
    stamp = good.header.stamp.sec + 1e-9 * good.header.stamp.nanosec
    other.header.stamp = message_writers.to_time(stamp + (-1e-3 if early else 1e-3))
    return [other, good] if early else [good, other]


def send(arm, periods, *, second_every=0, early=False, first=0):
    """Let periods pass, from the `first` on with a second publisher in every `second_every`-th one."""
    for k in range(periods):
        good, with_second = arm.state(), bool(second_every) and k >= first and (k - first) % second_every == 0
        arm.period(zeros(good, early) if with_second else [good])


@pytest.mark.slow
@pytest.mark.parametrize("interface", INTERFACES)
def test_the_first_command_leaves_after_half_a_second_of_states_of_one_publisher(interface):
    arm = ArmInProcess(interface, 0)
    send(arm, HALF - ABOUT)
    assert arm.heard.commands == 0
    send(arm, 2 * ABOUT)
    assert arm.heard.commands > 0 and not arm.gate.rejected


@pytest.mark.slow(but=3)
@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("early", (False, True), ids=("robot first", "second first"))
@pytest.mark.parametrize("every, first", ((1, 0), (40, 0), (4, 50), (4, 98)))
def test_a_second_publisher_that_begins_before_the_commands_moves_no_arm(interface, early, every, first):
    arm = ArmInProcess(interface, 1)
    tip = arm.plant.truth.tip
    send(arm, 6 * HALF, second_every=every, early=early, first=first)
    assert arm.reader.second_publisher and arm.holds == 1 and arm.heard.commands == 0
    send(arm, 4 * HALF)  # the second publisher has gone
    assert arm.supervisor.state is State.ACTIVE and arm.heard.commands > 0
    assert np.linalg.norm(arm.observed - arm.plant.truth.q) < 1e-2
    assert np.linalg.norm(arm.plant.truth.tip - tip) < SAG


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_second_publisher_that_begins_with_the_commands_leaves_the_arm_where_it_is(interface):
    arm = ArmInProcess(interface, 2)
    send(arm, HALF + 2)
    assert arm.heard.commands > 0
    tip = arm.plant.truth.tip
    send(arm, 2 * HALF, second_every=4, early=True)
    assert arm.reader.second_publisher and arm.supervisor.state is State.HOLD
    assert np.linalg.norm(arm.plant.truth.tip - tip) < SAG
    assert np.linalg.norm(arm.observed - arm.plant.truth.q) < 1e-2
