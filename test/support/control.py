"""A controller and outputs made of plain Python, for tests of what drives them."""

import threading

import numpy as np

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.base import Health
from mbrl_ros.references.trajectory_joins import TrajectoryJoins
from mbrl_ros.types import Decision, DecisionStatus
from support.robots import planar_robot

WAIT = 10.0  # [s]: how long a test waits for another thread before it fails; nothing is ever that slow


class Echo:
    """A controller that commands the first joint's position, so that a command tells which state it answers.

    The lists hold what it was called with; it raises an error in `step` while `fail` is set.
    """

    def __init__(self, n: int = 2, interface: str = "effort"):
        self.robot = planar_robot(n=n, interface=interface)
        self.plan, self.held, self.configuration = None, [], Configuration.from_flat({"control.delay": 0.0})
        self.targets_accepted = self.targets_adopted = 0
        self.joins = TrajectoryJoins(self.robot, 0.005)
        self.n, self.steps, self.resets, self.resumed, self.recorded, self.fail = n, [], 0, [], [], False
        self.rejoined, self.carried = [], []
        self.skipped, self.target, self.gain, self.uncontrolled = 0, None, 1.0, None
        self.condition, self.lateness = Health(), (0, 1.0, 0.0)

    def reset(self, observation):
        self.resets += 1

    def resume(self, observation, command):
        self.resumed.append((observation.stamp, command))

    def assume_held(self, observation, command):
        self.carried.append((observation.stamp, command))

    def rejoin(self, observation):
        self.rejoined.append(observation.stamp)

    def wait_for_arm(self, observation):
        pass

    def skip_transition(self, forget=0.0):
        self.skipped += 1

    def step(self, observation):
        if self.fail:
            raise RuntimeError("a bug")
        self.steps.append(observation)
        return Decision(observation.stamp, np.full(self.n, observation.q[0]), DecisionStatus.OK, self.plan)

    def hold(self, observation):
        self.held.append(observation.stamp)

    def adapt_to_lateness(self, periods, authority, std):
        self.lateness = periods, authority, std

    def limit_gain(self, share):
        self.gain = share

    def record(self, stamp, command):
        self.recorded.append((stamp, command))

    def health(self):
        return self.condition

    def refuse_targets_while(self, reason):
        self.refusal = reason


class RecordingOutputs:
    """Outputs that remember everything in order, and wake whoever waits for an entry."""

    def __init__(self):
        self.entries, self.events, self._condition = [], [], threading.Condition()

    def _add(self, *entry):
        with self._condition:
            self.entries.append(entry)
            self._condition.notify_all()

    def command(self, stamp, u):
        self._add("command", stamp, u)

    def tick(self, tick):
        self._add("tick", tick)

    def event(self, event):
        self.events.append(event)

    def log(self, level, text):
        self._add("log", level, text)

    def of(self, kind):
        return [entry[1:] for entry in self.entries if entry[0] == kind]

    def wait_for(self, kind, count):
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.of(kind)) >= count, WAIT), f"{count} x {kind} never came"
