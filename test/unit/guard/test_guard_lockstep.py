"""The guard in lockstep: time is the number of states, each of which gets exactly one command."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.guard.guard import Guard
from mbrl_ros.guard.lockstep import Lockstep
from mbrl_ros.guard.messages import Mode, Time
from mbrl_ros.guard.settings import GuardSettings
from support.guards import joint_state, parameters

INTERFACES = ("effort", "velocity", "position")
INERTIA, SPEED = 0.1, 1.0  # [kg m^2], [rad/s]


class Robot:
    """Two joints in lockstep, without friction: double integrators, or drives that follow."""

    def __init__(self, interface: str, period: float = 0.005, speed: float = SPEED):
        self.interface, self.period = interface, period
        self.guard = Guard(GuardSettings(), lambda message: message, epoch=50)
        self.steps = Lockstep(self.guard)
        self.q, self.qd, self.k = np.array([0.4, -0.2]), np.array([speed, -0.5 * speed]), 0
        self.told = parameters(2, interface, period=period, time=Time.LOCKSTEP)
        self.counter, self.commands, self.u = 0, [], np.zeros(2)
        self.beat()

    @property
    def stamp(self) -> float:
        return 1.0 + self.period * self.k

    def beat(self, epoch: int | None = None) -> str:
        self.counter += 1
        known = self.guard.epoch if epoch is None else epoch
        return self.guard.take_parameters(
            dataclasses.replace(self.told, counter=self.counter, epoch=known), self.steps.now
        )

    def state(self) -> np.ndarray | None:
        """The next state; return the safe command that answers it at once."""
        self.k += 1
        return self.again()

    def again(self) -> np.ndarray | None:
        """The same state once more."""
        return self.steps.take_state(joint_state(self.q, self.qd, self.stamp), self.stamp)

    def good(self) -> np.ndarray:
        """The command of mpc_node that keeps the speed."""
        return {"effort": np.zeros(2), "velocity": self.qd, "position": self.q + self.period * self.qd}[self.interface]

    def answer(self, u=None, k: int | None = None) -> tuple[bool, np.ndarray | None]:
        """mpc_node answers state k."""
        stamp = 1.0 + self.period * (self.k if k is None else k)
        u = self.good() if u is None else u
        forwarded, own = self.steps.take_command(u.tolist(), f"{stamp:.9f}")
        return forwarded, (u if forwarded else own)

    def move(self, u: np.ndarray | None) -> None:
        """One period with a command; None: the last one stays in effect."""
        self.u = self.u if u is None else u
        if self.interface == "effort":
            change = self.period * self.u / INERTIA
            self.q, self.qd = self.q + self.period * (self.qd + 0.5 * change), self.qd + change
        elif self.interface == "velocity":
            self.q, self.qd = self.q + self.period * self.u, self.u
        else:
            self.q, self.qd = self.u, (self.u - self.q) / self.period

    def run(self, count: int = 50) -> None:
        """States and answers, as they are."""
        for _ in range(count):
            assert self.state() is None
            forwarded, u = self.answer()
            assert forwarded
            self.move(u)
            if self.k % 10 == 0:
                assert self.beat() == ""


def test_the_first_command_goes_out_and_every_good_one_after_it():
    robot = Robot("velocity")
    robot.run(200)
    assert robot.guard.mode is Mode.FORWARDING and not robot.guard.counts["played"]


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("period", (0.002, 0.005, 0.01, 0.02))
def test_without_mpc_node_every_joint_rests_in_time(interface, period):
    robot = Robot(interface, period)
    robot.run()
    u, silent, speed = None, 0, np.abs(robot.qd)
    while u is None:  # the robot goes on although nobody answers
        u, silent = robot.state(), silent + 1
        before, _ = robot.qd, robot.move(u)
    assert interface == "position" or np.abs(robot.qd - before).max() <= 7.5 * period + 1e-9
    assert silent * period <= max(3.0 * period, 0.02) + 1e-9
    for _ in range(round((speed.max() / 7.5 + 0.1) / period)):
        u, before = robot.state(), robot.qd
        assert u is not None
        robot.move(u)
        if interface != "position":  # there the arm has waited, and its command goes on
            assert np.abs(robot.qd - before).max() <= 7.5 * period + 1e-9
    assert np.abs(robot.qd).max() < 1e-6
    assert robot.guard.mode is Mode.ACTING


def test_a_state_that_comes_again_gets_its_command_again():
    robot = Robot("velocity")
    robot.run()
    robot.state()
    assert robot.again() is None  # it is mpc_node's turn, and time stands
    assert robot.answer()[0] and robot.answer()[0]
    robot.guard.request("hold", robot.steps.now)
    robot.state()
    _, own = robot.answer()
    np.testing.assert_array_equal(robot.again(), own)


def test_a_command_may_come_before_its_state():
    robot = Robot("velocity")
    robot.run()
    now = robot.steps.now
    assert robot.answer(k=robot.k + 1)[0]
    assert robot.state() is None and robot.steps.now == pytest.approx(now + robot.period)


def test_a_slow_mpc_node_is_not_outrun_and_takes_over_again():
    """It was stopped, wakes with a queue of states, works through them and gets the arm back without a step."""
    robot = Robot("velocity")
    robot.run()
    while robot.guard.mode is Mode.FORWARDING:
        robot.move(robot.state())
    first = robot.k
    for _ in range(100):
        robot.move(robot.state())
    assert robot.guard.at_rest
    for k in range(first, robot.k):
        assert robot.answer(np.zeros(2), k) == (False, None)  # too late
    robot.beat()
    sent = []
    for _ in range(GuardSettings().handover_periods + 1):
        assert robot.state() is None  # it waits for mpc_node
        forwarded, u = robot.answer(np.zeros(2))
        sent.append(forwarded)
        robot.move(u)  # exactly one command
        assert robot.again() is None or not forwarded
    assert robot.guard.mode is Mode.FORWARDING and sent[-2:] == [True, True] and not any(sent[:-2])


def test_an_mpc_node_that_was_started_again_begins_at_the_arm_at_rest():
    """While time stands nothing is missing; the commands of the new one do not continue those of the old one."""
    robot = Robot("velocity")
    robot.run()
    robot.state()
    robot.counter = 0
    assert robot.beat(epoch=-1) == "" and robot.guard.mode is Mode.ACTING
    forwarded, own = robot.answer(np.zeros(2))
    assert not forwarded and (np.abs(own) > 0.9 * np.abs(robot.qd)).all()


def test_a_robot_in_real_time_is_not_one_in_lockstep():
    robot = Robot("velocity")
    robot.run()
    robot.told = dataclasses.replace(robot.told, time=Time.WALL)
    assert "another robot" in robot.beat()
