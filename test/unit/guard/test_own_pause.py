"""What the guard does after a time in which it was not run itself."""

import numpy as np
import pytest

from mbrl_ros.guard.command_bytes import PAST_GUARD
from mbrl_ros.guard.messages import Mode
from mbrl_ros.guard.own_pause import LISTENING, LONGEST_LISTENING
from support.guards import PERIOD, moving, parameters

INTERFACES = ("effort", "velocity", "position")


def test_after_its_own_silence_the_guard_brakes_first():
    """A guard that was stopped for a second finds a good command waiting: it does not go on where it was."""
    side = moving("velocity")
    side.now += 1.0
    assert not side.send(np.ones(2))
    side.wait(side.now + LISTENING + 0.001)
    assert side.guard.status(side.now).interventions == 1 and side.guard.mode is Mode.ACTING


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("pause", (0.04, 1.0))
@pytest.mark.parametrize("noticed_by", ("itself", "a command"))
def test_after_its_own_pause_the_guard_goes_on_where_mpc_node_commands_the_arm(interface, pause, noticed_by):
    """What waits in its queues is old; it goes on after the newest, and nothing of its own has gone out."""
    side = moving(interface)
    side.now += pause
    if noticed_by == "itself":
        assert side.guard.act(side.now) is None
    count, old = len(side.out), side.out[-1][1]
    for k in range(3):  # from before mpc_node noticed
        assert not side.send(old + 1e-4 * k)
    newest = {"effort": np.full(2, 1.0), "velocity": np.full(2, 0.6), "position": old + 0.04}[interface]
    assert not side.send(newest - 1e-3, label=f"1.5{PAST_GUARD}")
    assert side.guard.was_paused(side.now)  # and says nothing of its state
    side.wait(side.now + PERIOD)
    assert not side.send(newest, label=f"1.6{PAST_GUARD}")
    side.wait(side.now + PERIOD)
    assert side.send(newest, label=f"1.7{PAST_GUARD}") and len(side.out) == count + 1
    assert side.guard.mode is Mode.FORWARDING and not side.guard.counts["interventions"]
    assert side.guard.counts["continued after a pause of its own"] == 1
    side.wait(side.now + PERIOD)
    assert side.send(newest) and not side.guard.was_paused(side.now)
    side.wait(side.now + 0.1)  # a silence of mpc_node is one as before
    assert side.guard.mode is Mode.ACTING
    carried = np.zeros(2) if interface == "effort" else newest
    np.testing.assert_allclose(side.commands(own=True)[0], carried, atol=8.0 * PERIOD)


@pytest.mark.parametrize("resting", (True, False), ids=("at rest", "moving"))
@pytest.mark.parametrize("interface", ("velocity", "position"))
def test_after_its_own_pause_without_a_command_it_holds_a_resting_arm_where_it_is(interface, resting):
    """mpc_node has stopped the arm past it, and was not run just when the guard listened."""
    side = moving(interface)
    last = side.out[-1][1]
    q = last + 0.03 if interface == "position" else np.array([0.2, 0.1])
    side.now += 1.0
    assert side.guard.act(side.now) is None
    side.state(q, np.full(2, 0.0 if resting else 0.8))
    side.wait(side.now + 2.0 * LISTENING)
    assert side.guard.mode is Mode.ACTING
    first = side.commands(own=True)[0]
    if resting:
        np.testing.assert_allclose(first, q if interface == "position" else np.zeros(2), atol=1e-9)
    else:  # it brakes from its last command
        braked = last + 1.0 * PERIOD if interface == "position" else last - 7.5 * PERIOD
        np.testing.assert_allclose(first, braked, atol=0.2 * PERIOD)


@pytest.mark.parametrize("interface", INTERFACES)
def test_after_its_own_pause_the_guard_listens_from_the_first_message_on(interface):
    """The thread that takes messages was not run again before the one that notices what does not come."""
    side = moving(interface)
    side.now += 1.0
    assert side.guard.act(side.now) is None
    side.wait(side.now + 0.8 * LONGEST_LISTENING)
    side.state(np.zeros(2), np.zeros(2))  # what was first in its queue
    side.wait(side.now + 0.8 * LISTENING)
    assert side.guard.was_paused(side.now) and not len(side.commands(own=True))
    newest = side.out[-1][1] - 1e-3
    assert not side.send(newest, label=f"1.5{PAST_GUARD}")
    side.wait(side.now + 0.3 * LISTENING)
    assert side.send(newest, label=f"1.6{PAST_GUARD}") and not side.guard.counts["interventions"]


def test_a_guard_that_gets_no_message_at_all_after_its_own_pause_brakes_the_arm():
    side = moving("velocity")
    side.now += 1.0
    assert side.guard.act(side.now) is None
    begin = side.now
    side.wait(begin + 2.0 * LONGEST_LISTENING)
    assert side.guard.mode is Mode.ACTING and side.out[-1][2]
    first = next(at for at, _, own in side.out if own)
    assert first == pytest.approx(begin + LONGEST_LISTENING, abs=1e-5)


def test_a_guard_that_is_a_little_late_acts_at_once():
    side = moving("velocity")
    side.now = side.guard.due() + 0.9 * LISTENING
    assert side.guard.act(side.now) is not None and side.guard.mode is Mode.ACTING


@pytest.mark.parametrize("asked", ("e_stop", "hold", "end", "another mpc_node"))
@pytest.mark.parametrize("noticed", (True, False), ids=("noticed", "not yet noticed"))
@pytest.mark.parametrize("interface", ("velocity", "position"))
def test_what_is_asked_of_a_guard_after_its_own_pause_leaves_a_resting_arm_where_it_is(interface, noticed, asked):
    """mpc_node has stopped the arm past it; the request was in its queue."""
    side = moving(interface)
    q = side.out[-1][1] + 0.03 if interface == "position" else np.array([0.2, 0.1])
    side.now += 1.0
    if noticed:
        assert side.guard.act(side.now) is None
    side.state(q, np.zeros(2))
    if asked == "end":
        side.guard.end(side.now)
    elif asked == "another mpc_node":
        assert side.guard.take_parameters(parameters(2, interface, 1, source="/other"), side.now) == ""
    else:
        side.guard.request(asked, side.now)
    side.wait(side.now + 2.0 * LISTENING)
    resting = q if interface == "position" else np.zeros(2)
    assert len(side.commands(own=True))
    for command in side.commands(own=True):
        np.testing.assert_allclose(command, resting, atol=1e-9)


def test_what_is_asked_of_a_guard_that_listens_is_done_at_once():
    side = moving("velocity")
    side.now += 1.0
    side.send(np.ones(2), label=f"1.5{PAST_GUARD}")
    side.guard.request("e_stop", side.now)
    assert side.guard.mode is Mode.E_STOP
    assert not side.send(np.ones(2), label=f"1.6{PAST_GUARD}")
    side.wait(side.now + 2.0 * LISTENING)
    assert len(side.commands(own=True)) and side.guard.mode is Mode.E_STOP
