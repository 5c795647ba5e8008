"""Before contact the arm slows down and stops with a clearance; motion away goes on, for each kind of command."""

import numpy as np
import pytest

from mbrl_ros.collision.build import build_scene
from mbrl_ros.collision.obstacles import Box, Plane
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.effective_inertia import EffectiveInertia
from mbrl_ros.safety.factory import make_supervisor
from mbrl_ros.safety.state_machine import Reason, State
from mbrl_ros.types import Decision, DecisionStatus, Observation, Plan, PlanStatus
from support.robots import planar_arm

DT, CLEARANCE, SUBSTEPS = 0.01, 0.02, 5
LAG = 0.015  # [s] with which a servo follows
SETTINGS = {
    "robot.description": planar_arm(3, effort=60.0),
    "control.rate": 1.0 / DT,
    "collision.rule": "stop",
    "collision.clearance": CLEARANCE,
    "collision.capsules": [f"link{i} 0 0 0  0.5 0 0  0.05" for i in (1, 2, 3)],
    "supervisor.ramp_time": 0.0,
}
FLOOR = {"collision.planes": ["floor 0 0 1 -0.4"]}
CRATE = {"collision.boxes": ["crate 0.9 0 -0.6  0 0.4 0  0.4 0.6 0.3"]}
HIGH, LOW = np.array([0.3, 0.4, 0.4]), np.array([-0.9, -0.3, -0.2])
FOLDED = np.array([1.0, 2.3, 2.3])  # the third link through the first one


class Arm:
    """An arm without friction or gravity that a controller drives to `target`, through whatever is in the way."""

    def __init__(self, interface, start=HIGH, speed=2.5, **settings):
        self.configuration = Configuration.from_flat({**SETTINGS, "robot.interface": interface, **settings})
        self.robot = load_robot(self.configuration.robot)
        self.supervisor = make_supervisor(self.robot, self.configuration)
        self.scene = build_scene(self.robot, self.configuration.collision).scene
        self.inertia = EffectiveInertia(self.robot)
        self.q, self.qd, self.target = np.array(start), np.zeros(3), np.array(start)
        self.interface, self.speed, self.t = interface, speed, 0.0
        self.nearest, self.reasons, self.commands = np.inf, Reason.NONE, []
        self.supervisor.reset(self.state())

    def state(self):
        return Observation(self.t, self.q.copy(), self.qd.copy())

    def go(self, target, seconds):
        self.target = np.array(target)
        for _ in range(round(seconds / DT)):
            u, inertia = self.wanted(), self.inertia(self.q) if self.interface == "effort" else None
            decision = Decision(self.t, u, DecisionStatus.OK, plan=self.plan(), inertia=inertia)
            self.command = self.supervisor.filter(decision, self.state())
            self.reasons |= self.command.reasons
            self.commands.append(self.command.u)
            self.move(self.command.u)
            self.nearest = min(self.nearest, self.scene.values(self.q).min())
        return self

    def velocity(self):
        return np.clip(4.0 * (self.target - self.q), -self.speed, self.speed)

    def wanted(self):
        if self.interface == "velocity":
            return self.velocity()
        if self.interface == "position":
            previous = self.supervisor.limiter.previous
            return previous + np.clip(self.target - previous, -DT * self.speed, DT * self.speed)
        most = self.robot.acceleration_limit
        return self.inertia(self.q) @ np.clip(20.0 * (self.velocity() - self.qd), -most, most)

    def plan(self):
        return None

    def move(self, u):
        h = DT / SUBSTEPS
        for _ in range(SUBSTEPS):
            if self.interface == "effort":
                self.qd = self.qd + h * np.linalg.solve(self.inertia(self.q), u)
            else:
                v = u if self.interface == "velocity" else (u - self.q) / LAG
                self.qd = self.qd + min(1.0, h / LAG) * (v - self.qd)
            self.q = self.q + h * self.qd
        self.t += DT


class PlannedArm(Arm):
    """Its controller gives a plan, which says where it wants to go."""

    def plan(self):
        x = np.array([np.concatenate((self.q, self.qd)), np.concatenate((self.q + 0.15 * self.velocity(), self.qd))])
        u, square = np.zeros((1, 3)), np.zeros((1, 3, 3))
        return Plan(x, u, np.zeros((1, 3, 6)), square, u, square, 0.0, PlanStatus.CONVERGED, 1)


INTERFACES = pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
WAYS = pytest.mark.parametrize("room, start, target", ((FLOOR, HIGH, LOW), (CRATE, HIGH, LOW), ({}, HIGH, FOLDED)))


@INTERFACES
@WAYS
def test_without_the_rule_the_arm_collides(interface, room, start, target):
    arm = Arm(interface, start, **{**room, "collision.rule": "none"}).go(target, 1.5)
    assert arm.supervisor.collisions is None
    assert arm.nearest < -0.03


@pytest.mark.slow(but=4)
@INTERFACES
@WAYS
def test_the_arm_stops_before_contact_and_may_move_away(interface, room, start, target):
    arm = Arm(interface, start, **room).go(target, 2.5)
    assert arm.nearest > 0.5 * CLEARANCE
    assert np.abs(arm.qd).max() < 0.05  # at rest
    assert arm.scene.values(arm.q).min() < CLEARANCE + 0.03  # and not long before
    assert arm.reasons & Reason.COLLISION
    assert arm.supervisor.collisions.acting
    assert " - " in arm.supervisor.collisions.text
    arm.go(start, 2.0)
    assert np.abs(arm.q - start).max() < 0.05
    assert arm.nearest > 0.5 * CLEARANCE
    assert arm.command.state is State.ACTIVE
    assert not arm.supervisor.collisions.acting


def test_a_controller_with_a_plan_is_released_by_what_it_plans():
    arm = PlannedArm("effort", HIGH, **FLOOR).go(LOW, 2.5)
    assert arm.nearest > 0.5 * CLEARANCE
    assert arm.command.state is State.DEGRADED
    assert arm.supervisor.cause is Reason.COLLISION
    arm.go(HIGH, 2.0)
    assert np.abs(arm.q - HIGH).max() < 0.05
    assert arm.command.state is State.ACTIVE


@INTERFACES
def test_a_motion_that_keeps_its_distance_is_not_changed(interface):
    free = Arm(interface, HIGH, **{"collision.rule": "none"}).go([0.9, 0.2, -0.3], 1.5)
    kept = Arm(interface, HIGH, **FLOOR).go([0.9, 0.2, -0.3], 1.5)
    assert not kept.reasons & Reason.COLLISION
    assert np.array_equal(free.commands, kept.commands)


@pytest.mark.parametrize("interface", ("velocity", "position"))
def test_the_command_brakes_no_harder_than_allowed(interface):
    arm = Arm(interface, HIGH, **FLOOR).go(LOW, 2.5)
    change = np.diff(arm.commands, axis=0)
    change = change if interface == "velocity" else np.diff(change, axis=0) / DT
    limit = arm.configuration.supervisor.acceleration * arm.robot.acceleration_limit * DT
    assert (np.abs(change) <= limit + 1e-9).all()
    assert np.sort(np.abs(change).max(axis=1))[-10] < 2.0 * arm.robot.acceleration_limit[0] * DT  # in fact softly


@INTERFACES
def test_random_targets_with_everything_in_the_way(interface):
    rng = np.random.default_rng(0)
    arm = Arm(interface, HIGH, **FLOOR, **CRATE)
    for _ in range(6):
        arm.go(rng.uniform(-2.4, 2.4, 3), 1.0)
    assert arm.nearest > 0.25 * CLEARANCE


@INTERFACES
def test_an_obstacle_that_appears_on_the_arm_holds_it_until_it_is_gone(interface):
    arm = Arm(interface, HIGH).go(HIGH, 0.2)
    rule = arm.supervisor.collisions
    rule.set_obstacles([Box("crate", np.array([0.5, 0.0, 0.2]), np.eye(3), np.full(3, 0.1))])
    arm.go(HIGH + 0.5, 0.5)
    assert arm.command.reasons & Reason.OBSTACLE
    assert arm.command.state is State.DEGRADED
    assert np.abs(arm.q - HIGH).max() < 0.02
    assert "crate" in rule.text
    rule.set_obstacles([])
    arm.go(HIGH + 0.5, 1.5)
    assert not arm.command.reasons & Reason.OBSTACLE
    assert np.abs(arm.q - HIGH - 0.5).max() < 0.05


@INTERFACES
def test_an_obstacle_that_appears_in_the_way_stops_the_arm(interface):
    arm = Arm(interface, HIGH).go(LOW, 0.15)
    arm.supervisor.collisions.set_obstacles([Plane("floor", np.array([0.0, 0.0, 1.0]), -0.4)])
    arm.scene.set_obstacles([Plane("floor", np.array([0.0, 0.0, 1.0]), -0.4)])
    arm.go(LOW, 2.0)
    assert arm.nearest > 0.5 * CLEARANCE


def test_the_rule_for_efforts_needs_a_safe_command_that_carries_the_arm():
    with pytest.raises(ConfigurationError, match="arrest"):
        Arm("effort", **{"supervisor.safe_effort": "zero"})


def test_a_state_that_is_not_finite_moves_nothing_out_of_its_limits():
    arm = Arm("velocity", HIGH, **FLOOR)
    u = np.array([np.nan, 1.0, np.inf])
    command = arm.supervisor.filter(Decision(0.0, u, DecisionStatus.OK), arm.state())
    assert np.isfinite(command.u).all()


SLOW = {"supervisor.acceleration": 0.1}


@pytest.mark.parametrize(
    "interface, limits, room",
    (
        ("velocity", SLOW, FLOOR),
        ("velocity", {"supervisor.command_rate": [0.002]}, CRATE),
        ("position", SLOW, FLOOR),
        ("effort", {"supervisor.command_rate": [0.4]}, FLOOR),
    ),
)
def test_commands_that_may_change_only_slowly_are_slowed_down_the_sooner(interface, limits, room):
    arm = Arm(interface, HIGH, **room, **limits).go(LOW, 4.0)
    assert arm.nearest > 0.5 * CLEARANCE
    assert arm.reasons & Reason.COLLISION
    assert arm.nearest < CLEARANCE + 0.03  # it came that near


@pytest.mark.parametrize("interface", ("velocity", "position"))
def test_random_targets_with_commands_that_change_slowly(interface):
    rng = np.random.default_rng(1)
    arm = Arm(interface, HIGH, **FLOOR, **CRATE, **SLOW)
    for _ in range(6):
        arm.go(rng.uniform(-2.4, 2.4, 3), 1.5)
    assert arm.nearest > 0.25 * CLEARANCE


def test_the_delay_that_the_controller_is_told_of_counts():
    slow = Arm("velocity", HIGH, **FLOOR, **{"control.delay": 20.0}).go(LOW, 2.0).commands
    usual = Arm("velocity", HIGH, **FLOOR).go(LOW, 2.0).commands
    late = next(k for k, (a, b) in enumerate(zip(slow, usual, strict=True)) if not np.array_equal(a, b))
    assert np.abs(slow[late]).max() < np.abs(usual[late]).max()


def test_efforts_that_change_too_slowly_to_brake_are_refused():
    with pytest.raises(ConfigurationError, match=r"command_rate to at least 0\.4"):
        Arm("effort", **{"supervisor.command_rate": [0.2]})
