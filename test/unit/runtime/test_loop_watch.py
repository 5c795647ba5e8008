"""A bad loop in the control cycle: who is told, what the supervisor sends, and when nothing is said."""

import types

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.state_machine import Reason, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Decision, DecisionStatus, Observation
from support.control import Echo, RecordingOutputs

DT = 0.005
LOOP = Reason.LOOP_NOISE | Reason.LOOP_TRACKING | Reason.LOOP_CHATTER | Reason.LOOP_OFFSET | Reason.LOOP_SATURATION


class Wobbling(Echo):
    """A controller whose model goes to and fro by `swing` [rad/s] and whose commands do not."""

    def __init__(self, reaction):
        super().__init__()
        self.configuration = Configuration.from_flat({"control.delay": 0.0, "monitor.reaction": reaction})
        self.target, self.uncontrolled, self.swing, self.gains = types.SimpleNamespace(kind="joints"), None, 0.0, []
        self.dynamics = types.SimpleNamespace(input_gain=0.01 * np.eye(2), noise_std=np.full(2, 0.01), expectation=())

    def joint_reference(self, stamp):
        return np.zeros(2)

    def limit_gain(self, share):
        self.gains.append(share)

    def step(self, observation):
        self.steps.append(observation)
        self.dynamics.expectation = np.array([self.swing * (-1) ** len(self.steps), 0.0]), np.zeros(2)
        return Decision(observation.stamp, np.full(2, 0.5), DecisionStatus.OK, innovation=np.zeros(2))


class Run:
    """Ticks of one controller; `supervisor` settings beside the defaults."""

    def __init__(self, reaction="hold", conditions=None, **supervisor):
        self.controller, self.k = Wobbling(reaction), 0
        self.supervisor = Supervisor(self.controller.robot, SupervisorSettings(**supervisor), DT)
        self.cycle = ControlCycle(
            self.controller,
            self.supervisor,
            RecordingOutputs(),
            conditions or SteppedConditions(),
            dt=DT,
            timeout=0.05,
        )

    def ticks(self, seconds, swing=0.0):
        """The commands of the ticks in `seconds`."""
        self.controller.swing, commands = swing, []
        for _ in range(round(seconds / DT)):
            self.k += 1
            commands.append(self.cycle.tick(Arrival(Observation(DT * self.k, np.zeros(2), np.zeros(2)), 0.0)).command)
        return commands


def test_a_bad_loop_is_warned_of_then_the_gain_is_lowered_then_the_arm_is_held_and_released():
    run = Run(safe_effort="zero")
    assert all(not command.reasons & LOOP for command in run.ticks(0.5))
    commands = run.ticks(0.5, swing=0.2)
    first = next(k for k, command in enumerate(commands) if command.reasons & LOOP)
    assert commands[first].reasons & Reason.LOOP_OFFSET and commands[first].state is State.DEGRADED
    assert commands[first].u == pytest.approx([0.5, 0.5]) and run.controller.gains[0] == 0.2
    held = next(k for k, command in enumerate(commands) if command.reasons & Reason.LOOP_LOST)
    assert held - first == pytest.approx(0.3 / DT, abs=2)
    assert commands[held].state is State.DEGRADED and commands[-1].u == pytest.approx([0.0, 0.0])
    after = run.ticks(4.0)
    assert after[-1].state is State.ACTIVE and after[-1].u == pytest.approx([0.5, 0.5]) and not after[-1].reasons
    assert run.controller.gains[-1] == 1.0 and run.cycle.statistics.events["controller errors"] == 0


def test_while_the_arm_is_held_the_controller_sees_what_acts_and_begins_nothing_anew():
    run = Run(safe_effort="zero")
    run.ticks(0.1)
    run.ticks(0.5, swing=0.2)
    assert run.supervisor.state is State.DEGRADED and run.controller.resumed == []
    assert run.controller.recorded[-1][1] == pytest.approx([0.0, 0.0])
    rejoined = len(run.controller.rejoined)
    run.ticks(0.1)
    assert len(run.controller.rejoined) == rejoined + round(0.1 / DT)
    run.ticks(1.0)
    assert run.controller.resumed == [] and run.supervisor.state in (State.ACTIVE, State.DEGRADED)


@pytest.mark.parametrize("reaction", ["ignore", "warn", "lower"])
def test_a_reaction_goes_no_further_than_was_asked_for(reaction):
    run = Run(reaction)
    commands = run.ticks(0.5, swing=0.2)
    assert any(command.reasons & LOOP for command in commands) == (reaction != "ignore")
    assert bool(run.controller.gains) == (reaction == "lower")
    assert not any(command.reasons & Reason.LOOP_LOST for command in commands)
    assert commands[-1].u == pytest.approx([0.5, 0.5])
    assert commands[-1].state is (State.ACTIVE if reaction == "ignore" else State.DEGRADED)


def test_of_an_open_loop_nothing_is_said():
    run = Run(conditions=SteppedConditions(lambda arrival, u: u + 1.0))  # somebody else's command acts
    assert not any(command.reasons & LOOP for command in run.ticks(0.5, swing=0.2)[2:])
    assert run.controller.gains == []


def test_a_command_computed_with_other_rounding_is_the_same():
    run = Run(conditions=SteppedConditions(lambda arrival, u: u + 1e-9))
    assert any(command.reasons & LOOP for command in run.ticks(0.5, swing=0.2))


def test_a_new_start_begins_with_the_usual_gain():
    run = Run()
    run.ticks(0.2, swing=0.2)
    assert run.controller.gains == [0.2]
    run.cycle.begin()
    assert not run.ticks(DT)[0].reasons & LOOP and run.controller.gains == [0.2, 1.0]


def test_what_the_diagnostics_tell():
    run = Run()
    run.ticks(0.2, swing=0.2)
    told = dict(run.cycle.loop_watch.report())
    assert told["gain [0..1]"] == 0.2 and told["loop: offset to and fro [rad/s^2]"] > 8.0
    assert told["loop: commands to and fro [rad/s^2]"] == 0.0


def test_the_diagnostics_tell_of_no_reaction_that_there_was_not():
    run = Run("warn")
    run.ticks(0.5, swing=0.2)
    told = dict(run.cycle.loop_watch.report())
    assert (
        told["gain [0..1]"] == 1.0
        and not told["held for a bad loop"]
        and told["loop: offset to and fro [rad/s^2]"] > 8.0
    )
