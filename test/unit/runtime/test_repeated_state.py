"""A state that comes twice: the newest command again, from the control thread, and never an old one.

A state that was refused in lockstep: the command in effect, then the safe one.
"""

import numpy as np

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival, Mailbox
from mbrl_ros.safety.state_machine import State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Observation
from support.control import Echo, RecordingOutputs
from support.robots import planar_robot


def arrival(stamp: float) -> Arrival:
    return Arrival(Observation(stamp, np.zeros(2), np.zeros(2)), stamp)


def test_only_the_state_of_the_newest_command_gets_it_again():
    robot, outputs = planar_robot(2, "velocity"), RecordingOutputs()
    supervisor = Supervisor(robot, SupervisorSettings(), 0.005)
    cycle = ControlCycle(Echo(), supervisor, outputs, SteppedConditions(), dt=0.005, timeout=0.05)
    cycle.repeat_command(1.0)
    cycle.tick(arrival(1.0))
    cycle.tick(arrival(1.005))
    assert len(outputs.of("command")) == 2
    cycle.repeat_command(1.0)  # answered before the newest
    assert len(outputs.of("command")) == 2
    cycle.repeat_command(1.005)
    assert outputs.of("command")[-1][0] == 1.005 and len(outputs.of("command")) == 3
    cycle.begin()  # active again: the last command is the safe one of before
    cycle.repeat_command(1.005)
    assert len(outputs.of("command")) == 3


def test_the_mailbox_takes_no_repetition_while_nobody_answers_or_a_state_waits():
    mailbox = Mailbox(0.005, lockstep=True, player_period=None, events={})
    mailbox.put_repeated(arrival(1.0))  # closed
    mailbox.open()
    assert mailbox.take(lambda: 0.0) is None
    mailbox.put_repeated(arrival(1.0))
    assert mailbox.take(None).repeated
    mailbox.put_repeated(arrival(1.0))
    mailbox.put(arrival(1.005))  # newer: the repetition is overtaken
    mailbox.put_repeated(arrival(1.005))  # waits already
    taken = mailbox.take(None)
    assert taken.observation.stamp == 1.005 and not taken.repeated
    assert mailbox.take(lambda: 0.0) is None


def test_a_refused_state_gets_what_is_in_effect_and_after_the_time_out_the_safe_command():
    robot, outputs = planar_robot(2, "velocity"), RecordingOutputs()
    supervisor = Supervisor(robot, SupervisorSettings(stale_limit=0.1, ramp_time=0.0), 0.005)
    cycle = ControlCycle(Echo(), supervisor, outputs, SteppedConditions(), dt=0.005, timeout=0.05, lockstep=True)
    assert cycle.refuse(0.995) is None and outputs.entries == []  # nothing is known of the robot yet
    cycle.tick(Arrival(Observation(1.0, np.array([0.02, 0.0]), np.zeros(2)), 0.0))
    in_effect = outputs.of("command")[-1][1]
    assert in_effect[0] > 0.0
    ticks = [cycle.refuse(1.0 + 0.005 * k) for k in range(1, 31)]
    stamps, commands = zip(*outputs.of("command")[1:], strict=True)
    np.testing.assert_allclose(stamps, 1.0 + 0.005 * np.arange(1, 31))
    np.testing.assert_array_equal(commands[:9], np.tile(in_effect, (9, 1)))
    assert (np.diff([u[0] for u in commands[10:]]) <= 0.0).all() and commands[-1][0] == 0.0
    assert ticks[8].command.state is State.ACTIVE and ticks[12].command.state is State.DEGRADED
    assert ticks[-1].command.state is State.FAULT and all(tick.decision is None for tick in ticks)
    assert [tick.number for tick in ticks] == list(range(2, 32))
    assert cycle.statistics.missed == cycle.statistics.events["refused states answered"] == 30


def test_a_refused_state_that_cannot_be_the_robots_next_one_is_not_answered():
    robot, outputs = planar_robot(2, "velocity"), RecordingOutputs()
    supervisor = Supervisor(robot, SupervisorSettings(), 0.005)
    cycle = ControlCycle(Echo(), supervisor, outputs, SteppedConditions(), dt=0.005, timeout=0.05, lockstep=True)
    cycle.tick(arrival(1.0))
    for stamp in (0.9, 1.0, 1.06, 1e9):
        assert cycle.refuse(stamp) is None
    assert len(outputs.of("command")) == 1 and cycle.statistics.missed == 0


def test_the_mailbox_says_which_state_was_refused_and_repeats_its_answer_only_if_none_waits():
    mailbox = Mailbox(0.005, lockstep=True, player_period=None, events={})
    mailbox.put_refused(1.0, 0.0)  # closed
    mailbox.open()
    mailbox.put_refused(1.005, 0.0)
    mailbox.put_refused(1.005, 0.0, again=True)
    taken = mailbox.take(None)
    assert taken.refused and not taken.due and taken.observation.stamp == 1.005
    assert mailbox.take(lambda: 0.0) is None
    mailbox.put_refused(1.005, 0.0, again=True)
    assert mailbox.take(None).repeated
