"""A state that comes twice: the newest command again, from the control thread, and never an old one."""

import numpy as np

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival, Mailbox
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
