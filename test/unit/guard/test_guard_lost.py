"""A guard killed in mid-motion: mpc_node brakes the arm from where the robot was left, on a clock of its own."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from mbrl_ros.bench.node.falls import BEYOND, FallJudge
from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.guard.command_bytes import GUARD_LABEL, PAST_GUARD
from mbrl_ros.guard.guard import Guard
from mbrl_ros.guard.messages import GuardStatus, Mode
from mbrl_ros.guard.settings import GuardSettings
from mbrl_ros.nodes.guard_watch import GuardWatch
from mbrl_ros.nodes.heard_commands import HEARD_COMMANDS, HeardCommands
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.safety.state_machine import Request, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Decision, DecisionStatus, Observation
from support.guards import parameters
from support.robots import planar_robot

DT = 0.005
SPEED = np.array([1.0, 0.4])  # [rad/s]
LOAD = np.array([-3.0, -1.0])  # [N m]


def serialized(u) -> bytes:
    """std_msgs/Float64MultiArray without labels."""
    return b"\x00\x01\x00\x00" + struct.pack(f"<IIIxxxx{len(u)}d", 0, 0, len(u), *u)


class Arm:
    """Two links, mpc_node's supervisor and its watch over the guard; `alive`: the guard passes commands on."""

    def __init__(self, interface, fastest):
        self.fastest = fastest
        self.robot = planar_robot(2, interface, effort=100.0)
        self.supervisor = Supervisor(self.robot, SupervisorSettings(), DT)
        self.heard = HeardCommands(DT, timed=True)
        self.now, self.alive, self.past, self.lost = 50.0, True, False, 0
        self.q = self.wanted = np.array([0.1, 0.2])
        self.qd = self.speed = np.zeros(2)
        self.u = {"effort": -LOAD, "velocity": np.zeros(2), "position": self.q}[interface]  # what the robot has
        self.watch = GuardWatch(DT, 0.5, np.ones(2), override=self._override, request=lambda request: None)
        self.watch.begin()
        for mode in (Mode.WAITING, Mode.FORWARDING):
            u = None if mode is Mode.WAITING else self.u
            self.watch.take_status(GuardStatus(mode.name, "", "", int(mode), 7, True, 0.0, 0, 0, 0, 0, u), self.now)
        self.supervisor.reset(self.observation)

    @property
    def observation(self):
        return Observation(self.now, self.q, self.qd)

    def _override(self, guard, command):
        last = self.heard.last(2) if self.watch.past_guard and not self.past else None
        self.supervisor.override(guard, *(last or (command, None)))
        self.past = self.watch.past_guard

    def tick(self, watched=True):
        """One period: the controller goes on along its motion, whatever becomes of its commands."""
        interface = self.robot.interface
        if watched:
            self.watch.before_tick(self.now)
        if self.supervisor.resuming:  # the control cycle lets the controller begin again from the measured state
            self.speed, self.wanted = self.qd, self.q
        acceleration = np.clip((self.fastest - self.speed) / DT, 0.0, 4.0)
        self.speed = self.speed + DT * acceleration
        self.wanted = self.wanted + DT * self.speed
        effort = self.supervisor.safe.arrest.inertia(self.q) @ acceleration - LOAD if interface == "effort" else None
        wanted = {"effort": effort, "velocity": self.speed, "position": self.wanted}[interface]
        u = self.supervisor.filter(Decision(self.now, wanted, DecisionStatus.OK), self.observation).u
        self._send(u)
        if watched and self.watch.after_tick(self.now):
            self.lost += 1
        self._move()
        self.now += DT

    def _send(self, u):
        if self.alive or self.past:
            self.u = u
        if self.alive:
            self.watch.heard(self.now, f"1.0{PAST_GUARD}" if self.past else "1.0")
            self.heard.put(serialized(u), self.now)

    def _move(self):
        if self.robot.interface == "position":
            self.qd, self.q = (self.u - self.q) / DT, self.u
        elif self.robot.interface == "velocity":
            self.qd, self.q = self.u, self.q + DT * self.u
        else:
            qdd = np.linalg.solve(self.supervisor.safe.arrest.inertia(self.q), self.u + LOAD)
            self.q, self.qd = self.q + DT * self.qd + 0.5 * DT**2 * qdd, self.qd + DT * qdd


@pytest.mark.parametrize(
    "interface, noticed, share",
    (
        ("effort", 0, 1.0),
        ("effort", 5, 0.8),
        ("velocity", 0, 1.0),
        ("velocity", 5, 1.0),
        ("position", 0, 1.0),
        ("position", 20, 1.0),
        ("position", 40, 1.0),
    ),
)
def test_a_guard_killed_in_mid_motion_leaves_the_arm_near(interface, noticed, share):
    """`noticed`: periods for which mpc_node gets no processor to notice it, while its commands go on.

    With a velocity or an effort the arm goes on until it is noticed.
    """
    arm, fastest = Arm(interface, share * SPEED), share * SPEED
    for _ in range(150):
        arm.tick()
    assert arm.supervisor.state is State.ACTIVE and not arm.lost
    np.testing.assert_allclose(arm.qd, fastest, atol=0.02)
    judge, tip, sent = FallJudge(arm.robot), Kinematics(arm.robot), arm.u
    judge.begin(arm.q, arm.qd)
    arm.alive = False
    for k in range(300):
        u = arm.u
        arm.tick(watched=k >= noticed)
        assert not judge.fell(tip.position(arm.q))
        if interface != "effort" and arm.past:  # no step: the last command goes on, ever slower
            change = arm.u - u if interface == "position" else DT * arm.u
            assert (np.abs(change) <= DT * fastest + 1e-6).all() and (change >= -1e-9).all()
    assert arm.lost == 1 and arm.supervisor.state is State.FAULT
    assert judge.largest < (0.005 if interface == "position" else BEYOND)
    assert np.abs(arm.qd).max() < 5e-3
    if interface == "position":
        np.testing.assert_allclose(arm.q, sent + 0.5 * fastest**2 / arm.robot.acceleration_limit, atol=0.005)


class PausedGuardArm(Arm):
    """... with a real guard, which may be stopped: what waits in its queue then is old when it goes on."""

    def __init__(self, interface, fastest):
        self.guard = Guard(GuardSettings(), lambda message: message, epoch=7)
        self.waiting, self.counter, self.writes = [], 0, []
        super().__init__(interface, fastest)
        self.told = parameters(
            2,
            interface,
            velocity=self.robot.velocity_limit,
            acceleration=self.robot.acceleration_limit,
            lower=self.robot.command_lower,
            upper=self.robot.command_upper,
            largest_step=self.robot.command_upper - self.robot.command_lower,
        )
        self.guard.take_parameters(self._told(), self.now)

    def _told(self):
        self.counter += 1
        return replace(self.told, counter=self.counter, epoch=self.watch.epoch)

    def _send(self, u):
        label = f"{self.now}{PAST_GUARD if self.past else ''}"
        if self.past:
            self._write(u, f"{self.now}")
        self.waiting = [*self.waiting, (u, label)][:60]  # then the queue is full
        if not self.alive:
            return
        self.guard.take_parameters(self._told(), self.now)
        waiting, self.waiting = self.waiting, []
        for command in [*waiting[:-1:9], waiting[-1]]:  # while the queue is read, newer ones replace some
            if self.guard.take_command(command[0].tolist(), command[1], self.now):
                self._write(*command)
        if self.guard.due() <= self.now:
            own = self.guard.act(self.now)
            if own is not None:
                self._write(own, GUARD_LABEL)
        if not self.guard.was_paused(self.now):
            self.watch.take_status(self.guard.status(self.now), self.now)

    def _write(self, u, label):
        """A command on the robot's topic."""
        self.writes.append((self.now, u))
        self.u = u
        self.watch.heard(self.now, label)
        self.heard.put(serialized(u), self.now)


@pytest.mark.parametrize("interface", ("velocity", "position"))
@pytest.mark.parametrize(
    "pause, ends", ((0.01, State.ACTIVE), (0.04, State.ACTIVE), (0.08, State.ACTIVE), (1.0, State.FAULT))
)
def test_a_guard_that_is_stopped_and_goes_on_makes_no_step(interface, pause, ends):
    """Two who command the arm do so in one motion: no joint accelerates by more than twice the limit."""
    arm = PausedGuardArm(interface, 0.8 * SPEED)
    for _ in range(150):
        arm.tick()
    assert arm.guard.mode is Mode.FORWARDING and arm.supervisor.state is State.ACTIVE
    arm.alive, speeds = False, []
    for _ in range(round(pause / DT)):
        arm.tick()
        speeds.append(arm.qd)
    arm.alive = True
    for _ in range(200):
        arm.tick()
        speeds.append(arm.qd)
    assert arm.supervisor.state is ends and arm.guard.mode is Mode.FORWARDING and not arm.past
    assert not arm.guard.counts["interventions"]
    if interface == "velocity":
        accelerations = np.abs(np.diff(speeds, axis=0)) / DT
        assert (accelerations <= 2.0 * arm.robot.acceleration_limit + 1e-6).all()
    else:
        speeds = np.array(speeds)
        assert (speeds >= -1e-9).all()
    if ends is State.ACTIVE:
        np.testing.assert_allclose(arm.qd, 0.8 * SPEED, atol=0.02)
    else:
        assert np.abs(arm.qd).max() < 1e-6
        assert arm.supervisor.request(Request.CLEAR, arm.observation)


def test_the_last_command_and_its_speed():
    heard, rng = HeardCommands(DT, timed=True), np.random.default_rng(1)
    assert heard.last(2) is None
    heard.put(serialized([0.3, 0.1]), 5.0)
    u, speed = heard.last(2)
    assert u.tolist() == [0.3, 0.1] and not speed.any()
    for k in range(50):  # every third is missed, and they come up to half a period late
        if k % 3:
            heard.put(serialized(0.1 * np.ones(2) + k * DT * SPEED), 6.0 + DT * (k + rng.uniform(0.0, 0.5)))
    u, speed = heard.last(2)
    np.testing.assert_allclose(u, 0.1 + 49 * DT * SPEED)
    np.testing.assert_allclose(speed, SPEED, rtol=0.15)
    for k in range(HEARD_COMMANDS):  # a burst
        heard.put(serialized(k * DT * SPEED), 7.0)
    np.testing.assert_allclose(heard.last(2)[1], SPEED)
    heard.put(serialized([np.nan, 0.0]), 7.1)
    heard.put(serialized([1.0]), 7.1)
    heard.put(b"junk", 7.1)
    np.testing.assert_allclose(heard.last(2)[0], (HEARD_COMMANDS - 1) * DT * SPEED)
    heard.clear()
    assert heard.last(2) is None
