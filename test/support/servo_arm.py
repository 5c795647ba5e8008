"""A control loop on an arm with servos: one that lags, and one behind ros2_control with its mock hardware."""

import numpy as np

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.robots import load_robot
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.state_machine import Reason
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Observation
from support.control import RecordingOutputs
from support.robots import planar_arm

DT, LAG, SUBSTEPS = 0.01, 0.02, 10
TARGET = np.array([1.5, -0.5])
WINDOW = 5  # periods over which a speed is measured


class ServoRun:
    """A servo-controlled arm of two joints on the way to `target`; `speeds` and `commands` of every period so far."""

    start, target, at_rest = np.array([-1.5, 0.1]), TARGET, 0.5  # at_rest [s] before the target comes

    def __init__(self, interface="velocity", **settings):
        values = {
            "robot.description": planar_arm(2),
            "robot.interface": interface,
            "control.rate": 1.0 / DT,
            "planner.horizon": 10,
            **settings,
        }
        configuration = Configuration.from_flat(values)
        robot = load_robot(configuration.robot)
        self.interface, self.conditions = interface, SteppedConditions()
        self.outputs, self.supervisor = RecordingOutputs(), Supervisor(robot, configuration.supervisor, DT)
        self.controller = MpcController(robot, configuration)
        self.cycle = ControlCycle(self.controller, self.supervisor, self.outputs, self.conditions, dt=DT, timeout=0.05)
        self.q, self.qd, self.stamp = np.array(self.start), np.zeros(2), 500.0
        self.speeds, self.commands, self.reasons = [], [], Reason.NONE
        self.advance(self.at_rest)
        self.controller.set_joint_target(self.target)

    def advance(self, seconds, switched_on=True, restarted=False):
        for _ in range(round(seconds / DT)):
            tick = self.cycle.tick(Arrival(Observation(self.stamp, self.q, self.qd), 0.0, None, restarted))
            restarted = False
            self.reasons |= self.supervisor.cause
            self._move(tick.command.u, switched_on)

    def without_states(self, seconds):
        """No state comes, and the arm moves on."""
        for k in range(round(seconds / DT)):
            self.cycle.miss(k * DT)
            self._move(self.supervisor.limiter.previous)

    def paused(self, ticks):
        """The arm and its time stand still while the safe command goes out."""
        for _ in range(ticks):
            self.cycle.miss(0.0501)

    def _move(self, u, switched_on=True):
        for _ in range(SUBSTEPS):
            h = DT / SUBSTEPS
            wanted = u if self.interface == "velocity" else (u - self.q) / LAG
            self.qd = self.qd + min(1.0, h / LAG) * (wanted * switched_on - self.qd)
            self.q = self.q + h * self.qd
        self.stamp = round(self.stamp + DT, 6)
        self.speeds.append(self.qd)
        self.commands.append(u)

    def highest(self, since=0):
        """The largest speed, and the largest acceleration of the commands, from period `since` on."""
        speed = np.abs(self.speeds[since:]).max()
        change = np.diff(self.commands[since:], axis=0)
        if self.interface == "position":
            change = np.diff(change, axis=0) / DT
        return speed, np.abs(change).max() / DT


class ForwardedRun(ServoRun):
    """The arm behind a forward_command_controller, which obeys the command before the last one at once.

    Switched off, a velocity goes on as it was and a position stays; `late` is the share of commands that come too late.
    The target comes after `at_rest` seconds.
    """

    start, target = np.array([0.3, -0.4]), np.array([-1.6, 1.4])

    def __init__(self, interface, late=0.0, seed=0, at_rest=0.5):
        self._late, self._random, self.at_rest = late, np.random.default_rng(seed), at_rest
        self._obeyed = self._received = None
        super().__init__(interface)

    def _move(self, u, switched_on=True):
        if switched_on and self._random.random() >= self._late:
            self._obeyed = self._received
        self._received = np.array(u)
        after = self.q
        if self._obeyed is not None:
            after = self.q + DT * self._obeyed if self.interface == "velocity" else self._obeyed
        self.qd, self.q = (after - self.q) / DT, after
        self.stamp = round(self.stamp + DT, 6)
        self.speeds.append(self.qd)
        self.commands.append(np.array(u))

    def start_again(self):
        """The manager was killed and is started again: the arm rests where it began, and nobody obeys yet."""
        self.q, self.qd, self.stamp = np.array(self.start), np.zeros(2), self.stamp + 3.0
        self._obeyed = self._received = None

    def speed(self, since=0):
        """The largest speed on the mean of WINDOW periods, from period `since` on."""
        ways = np.cumsum(self.speeds[since:], axis=0)
        return np.abs(ways[WINDOW:] - ways[:-WINDOW]).max() / WINDOW
