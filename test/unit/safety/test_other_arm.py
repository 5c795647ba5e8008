"""Two arms of one robot keep apart, each knowing only where the other one's joints are measured."""

import numpy as np
import pytest

from mbrl_ros.collision.build import build_scene
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.effective_inertia import EffectiveInertia
from mbrl_ros.safety.factory import make_supervisor
from mbrl_ros.safety.other_arm import OtherArm
from mbrl_ros.safety.state_machine import Reason
from mbrl_ros.types import Decision, DecisionStatus, Observation
from support.robots import two_arms

DT, CLEARANCE, SUBSTEPS, LAG = 0.01, 0.03, 5, 0.015  # [s], [m], -, [s]
SIDES = ("left", "right")
JOINTS = {side: [f"{side}_joint{i}" for i in (1, 2)] for side in SIDES}
PAIRS = [f"left_link{i} right_link{j}" for i in (1, 2) for j in (1, 2)]
APART, TOGETHER = np.array([1.4, 0.6]), np.array([0.1, -0.1])  # the second one would put an arm through the other


def configuration_of(side, interface="velocity", **changes):
    other = JOINTS["right" if side == "left" else "left"]
    return Configuration.from_flat(
        {
            "robot.description": two_arms(2, apart=1.4),
            "robot.joints": JOINTS[side],
            "robot.measured_joints": other,
            "robot.tip": f"{side}_tip",
            "robot.interface": interface,
            "control.rate": 1.0 / DT,
            "collision.rule": "stop",
            "collision.clearance": CLEARANCE,
            "collision.capsules": [f"{arm}_link{i} 0 0 0  0.5 0 0  0.05" for arm in SIDES for i in (1, 2)],
            "collision.pairs": PAIRS,
            "supervisor.ramp_time": 0.0,
            **changes,
        }
    )


class Arm:
    """An arm without friction or gravity that goes straight to `target` at up to `speed` [rad/s]."""

    def __init__(self, side, interface, speed):
        configuration = configuration_of(side, interface)
        self.robot, self.interface, self.speed = load_robot(configuration.robot), interface, speed
        self.supervisor, self.inertia = make_supervisor(self.robot, configuration), EffectiveInertia(self.robot)
        self.q, self.qd, self.target, self.reasons = APART.copy(), np.zeros(2), APART, Reason.NONE
        self.supervisor.reset(Observation(0.0, self.q, self.qd))

    def decide(self, t, others):
        wanted, inertia = np.clip(4.0 * (self.target - self.q), -self.speed, self.speed), None
        if self.interface == "position":
            previous = self.supervisor.limiter.previous
            wanted = previous + np.clip(self.target - previous, -DT * self.speed, DT * self.speed)
        if self.interface == "effort":
            inertia, most = self.inertia(self.q), self.robot.acceleration_limit
            wanted = inertia @ np.clip(20.0 * (wanted - self.qd), -most, most)
        decision = Decision(t, wanted, DecisionStatus.OK, inertia=inertia)
        command = self.supervisor.filter(decision, Observation(t, self.q.copy(), self.qd.copy(), uncontrolled=others))
        self.reasons |= command.reasons
        self.u = command.u

    def move(self):
        h = DT / SUBSTEPS
        for _ in range(SUBSTEPS):
            if self.interface == "effort":
                self.qd = self.qd + h * np.linalg.solve(self.inertia(self.q), self.u)
            else:
                v = self.u if self.interface == "velocity" else (self.u - self.q) / LAG
                self.qd = self.qd + min(1.0, h / LAG) * (v - self.qd)
            self.q = self.q + h * self.qd


class Pair:
    """Both arms; `nearest` [m] is the least distance between them."""

    def __init__(self, interface, speeds):
        self.arms = {side: Arm(side, interface, speed) for side, speed in zip(SIDES, speeds, strict=True)}
        self.scene = build_scene(self.arms["left"].robot, configuration_of("left").collision).scene
        self.t, self.nearest = 0.0, np.inf

    def go(self, seconds, **targets):
        for side, target in targets.items():
            self.arms[side].target = target
        left, right = self.arms.values()
        for _ in range(round(seconds / DT)):
            left.decide(self.t, right.q.copy())
            right.decide(self.t, left.q.copy())
            left.move()
            right.move()
            self.t += DT
            self.scene.place(right.q)
            self.nearest = min(self.nearest, self.scene.values(left.q).min())


@pytest.mark.parametrize(
    "interface, speeds", (("velocity", (2.5, 2.5)), ("position", (2.5, 0.5)), ("effort", (2.5, 2.5)))
)
def test_arms_that_are_sent_into_each_other_stop_apart_and_go_back(interface, speeds):
    pair = Pair(interface, speeds)
    pair.go(1.5, left=TOGETHER, right=TOGETHER)
    assert CLEARANCE - 0.001 < pair.nearest < CLEARANCE + 0.01
    assert all(arm.reasons & Reason.COLLISION for arm in pair.arms.values())
    pair.go(0.5, left=APART, right=APART)
    for arm in pair.arms.values():
        assert arm.q[0] - TOGETHER[0] > 0.2


def test_an_arm_that_takes_the_other_one_to_stand_still_comes_nearer(monkeypatch):
    """What the measured motion is for: without it both brake for half of the way."""
    monkeypatch.setattr(OtherArm, "approach", lambda self, scene, q, d, horizon: 0.0)
    pair = Pair("velocity", (2.5, 2.5))
    pair.go(0.6, left=TOGETHER, right=TOGETHER)
    assert pair.nearest < CLEARANCE - 0.004


def test_an_arm_at_rest_leaves_stopping_to_the_one_that_moves():
    pair = Pair("velocity", (2.5, 2.5))
    pair.arms["right"].q = pair.arms["right"].target = np.array([0.5, -0.2])
    pair.go(1.2, left=TOGETHER)
    assert not pair.arms["right"].reasons & Reason.COLLISION
    assert CLEARANCE - 0.001 < pair.nearest < CLEARANCE + 0.02
    np.testing.assert_allclose(pair.arms["right"].q, pair.arms["right"].target, atol=1e-6)


def test_velocities_are_those_of_the_window_within_the_limits():
    robot = load_robot(configuration_of("left").robot)
    scene = build_scene(robot, configuration_of("left").collision).scene
    other = OtherArm(robot)
    q, r = np.array([1.2, -0.4]), np.array([1.2, -0.4])
    for k in range(10):
        r = r + [-0.01, 0.0]  # 1 rad/s
        scene.place(r)
        other.update(DT * k, r)
    d = scene.values(q)
    scene.place(r + [-0.2, 0.0])
    later = scene.values(q)
    scene.place(r)
    np.testing.assert_allclose(other.approach(scene, q, d, 0.2), np.maximum(d - later, 0.0), atol=1e-9)
    np.testing.assert_array_equal(scene.values(q), d)  # the arm is left where it is
    other.update(DT * 10, r + 50.0)  # no joint moves like that: 3 rad/s at most
    scene.place(r + [0.6, 0.6])
    np.testing.assert_allclose(other.approach(scene, q, d, 0.2), np.maximum(d - scene.values(q), 0.0), atol=0.15)
    other.update(DT * 10 + 1.0, r)
    assert other.approach(scene, q, d, 0.2) == 0.0  # nothing was heard for long
    other.update(DT * 10 + 1.01, np.array([np.nan, np.nan]))
    assert not other.moves


@pytest.mark.parametrize("every", (1, 2, 4))
def test_the_other_arms_velocity_does_not_depend_on_how_often_it_is_reported(every):
    """Periods between two reports; where it rests, it is taken to rest a tenth of a second later."""
    robot = load_robot(configuration_of("left").robot)
    other, speed, dt = OtherArm(robot), np.array([0.8, -0.3]), 0.02
    for k in range(60):
        moved = min(k // every * every, 40) * dt
        other.update(1.0 + k * dt, speed * moved)
        if every < k < 40:
            np.testing.assert_allclose(other._rate, speed, rtol=1e-9)
    assert not other.moves
