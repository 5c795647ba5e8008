"""The policy as a controller: shadow, promotion, acting, fallback, never a step in the command."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.controllers.policy import PolicyController
from mbrl_ros.controllers.policy_selection import Mode
from mbrl_ros.distillation.compiled_policy import CompiledPolicy
from mbrl_ros.distillation.fit import fit
from mbrl_ros.exceptions import DataError
from mbrl_ros.types import Observation
from support.robots import planar_robot
from support.teaching import SETTINGS, taught_samples

DT = 0.005


@pytest.fixture(scope="module")
def robot():
    return planar_robot(3)


@pytest.fixture(scope="module")
def policy(robot):
    return fit(taught_samples(robot), robot, "point", SETTINGS)[0]


class World:
    """An arm whose state we set: q, qd (n,) stay as they are put."""

    def __init__(self, robot, policy=None, teaching=False, **settings):
        c = Configuration.from_flat(
            {
                "control.rate": 1.0 / DT,
                "planner.horizon": 10,
                "planner.backend": "casadi",
                **{f"distillation.{name}": value for name, value in settings.items()},
            }
        )
        self.controller = PolicyController(robot, c, MpcController(robot, c), teaching=teaching)
        self.q, self.qd, self.stamp, self.commands = np.array([0.2, -0.3, 0.2]), np.zeros(3), 1.0, []
        self.controller.reset(self.observation)
        if policy is not None:
            self.controller.use(CompiledPolicy(policy, robot))

    @property
    def observation(self):
        return Observation(self.stamp, self.q, self.qd)

    def run(self, ticks, published=None):
        for _ in range(ticks):
            decision = self.controller.step(self.observation)
            self.commands.append(decision.u)
            self.controller.record(self.stamp, decision.u if published is None else published)
            self.stamp += DT
        return decision


def taught_target(world):
    """A target the arm can reach, near those the policy knows."""
    return world.controller.target_manager.kinematics.position(np.array([1.4, -2.2, 0.2]))


def acting(robot, policy, **settings):
    world = World(robot, policy, fall_back_disagreement=99.0, **settings)
    world.controller.set_point_target(taught_target(world))
    world.run(5)
    assert world.controller.promote(force=True) == "" and world.controller.acting
    return world


def test_a_policy_waits_in_shadow_until_it_has_shown_itself(robot, policy):
    world = World(robot, policy, promote_after=0.1, promote_disagreement=1e9)
    world.controller.set_point_target(taught_target(world))
    assert "in shadow for" in world.controller.promote()
    world.run(25)
    assert world.controller.mode is Mode.SHADOW and np.isfinite(world.controller.disagreement)
    assert world.controller.promote() == "" and world.controller.acting


def test_promotion_is_refused_on_disagreement_and_without_a_policy(robot, policy):
    world = World(robot, policy, promote_after=0.0, promote_disagreement=0.0)
    world.controller.set_point_target(taught_target(world))
    world.run(5)
    assert "disagrees with the planner" in world.controller.promote()
    assert World(robot).controller.promote() == "there is no policy"
    assert "taught" in World(robot, policy, teaching=True).controller.promote(force=True)


def test_the_rule_promotes_without_being_asked(robot, policy):
    world = World(
        robot, policy, promote="rule", promote_after=0.05, promote_disagreement=1e9, fall_back_disagreement=99.0
    )
    world.controller.set_point_target(taught_target(world))
    world.run(20)
    assert world.controller.acting


def test_an_acting_policy_requests_the_command_of_the_student(robot, policy):
    world = acting(robot, policy, blend=0.0)
    decision = world.run(12)
    student = CompiledPolicy(policy, robot)
    student.set_target(taught_target(world))
    # at rest, so a = 0 and w is the mean of the last eight commands, each in effect one period after it was published
    w = np.mean(world.commands[-10:-2], axis=0)
    assert decision.plan is None
    assert decision.u == pytest.approx(student.act(world.q, world.qd, np.zeros(3), w), abs=1e-9)


@pytest.mark.parametrize("event", ["target", "speed", "position", "leap", "supervisor", "kind", "loop", "demoted"])
def test_it_falls_back_at_once_and_without_a_step(robot, policy, event):
    world = acting(robot, policy)
    world.run(20)
    published = None
    if event == "target":  # a policy that knows only targets far from this one
        (part,) = policy.taught
        far = dataclasses.replace(part, targets=dataclasses.replace(part.targets, points=part.targets.points + 5.0))
        world.controller.use(CompiledPolicy(dataclasses.replace(policy, taught=(far,)), robot))
        world.controller.promote(force=True)
    elif event == "speed":
        world.qd = np.array([30.0, 0.0, 0.0])
    elif event == "position":
        world.q = np.array([40.0, 0.0, 0.0])
    elif event == "leap":  # to where it might be, but not so soon
        world.q = world.q + np.array([0.1, 0.0, 0.0])
    elif event == "supervisor":
        published = np.array([5.0, 5.0, 5.0])
    elif event == "kind":
        world.controller.set_joint_target(np.zeros(3))
    elif event == "loop":
        world.controller.limit_gain(0.2)
    else:
        world.controller.demote()
    last = world.commands[-1]
    world.run(22 if event == "supervisor" else 1, published)
    assert world.controller.mode is Mode.FALLBACK and world.controller.reason
    assert (event == "leap") == ("jumped" in world.controller.reason) or event == "position"
    if event != "supervisor":
        assert world.commands[-1] == pytest.approx(last, abs=1e-9)


def test_the_command_changes_smoothly_both_ways(robot, policy):
    world = acting(robot, policy, blend=0.1)
    world.run(60)
    world.controller.demote()
    world.run(60)
    steps = np.abs(np.diff(world.commands, axis=0)) / (robot.command_upper - robot.command_lower)
    # an arm that does not move, whatever is commanded, makes the planner insist in the end: only the changes are judged
    assert steps[4:14].max() < 0.06 and steps[63:73].max() < 0.06


def test_a_policy_in_fallback_stays_there_until_promoted_again(robot, policy):
    world = acting(robot, policy)
    world.controller.demote("for a reason")
    world.run(50)
    assert world.controller.mode is Mode.FALLBACK and world.controller.reason == "for a reason"
    assert world.controller.promote(force=True) == "" and world.controller.acting


def test_an_acting_policy_goes_on_while_a_newer_one_shows_itself_in_shadow(robot, policy):
    world = acting(robot, policy, promote_after=0.1, promote_disagreement=1e9)
    world.run(20)
    world.controller.use(CompiledPolicy(dataclasses.replace(policy, rotor_inertia=0.9 * policy.rotor_inertia), robot))
    assert "in shadow for" in world.controller.promote()
    world.run(30)
    assert (
        world.controller.acting and world.controller.version == 1 and np.isfinite(world.controller.newer.disagreement)
    )
    last = world.commands[-1]
    assert world.controller.promote() == "" and world.controller.version == 2 and world.controller.newer is None
    world.run(1)
    assert world.controller.acting and world.commands[-1] == pytest.approx(last, abs=1e-9)


def test_a_newer_policy_stays_in_shadow_when_the_acting_one_is_demoted(robot, policy):
    world = acting(robot, policy)
    world.controller.use(CompiledPolicy(policy, robot))
    world.controller.demote("for a reason")
    assert (world.controller.mode, world.controller.version, world.controller.reason) == (
        Mode.SHADOW,
        2,
        "for a reason",
    )


def test_the_rule_promotes_a_newer_policy_too(robot, policy):
    world = acting(robot, policy, promote="rule", promote_after=0.05, promote_disagreement=1e9)
    world.controller.use(CompiledPolicy(policy, robot))
    world.run(20)
    assert world.controller.acting and world.controller.version == 2


def test_samples_hold_state_command_precision_and_target(robot):
    world = World(robot, teaching=True, method="clone")
    world.controller.set_point_target(taught_target(world))
    world.run(20)
    sample = world.controller.sample
    assert sample.kind == "point" and sample.target == pytest.approx(taught_target(world))
    assert sample.q == pytest.approx(world.q) and sample.a == pytest.approx(np.zeros(3))
    assert sample.w == pytest.approx(np.mean(world.commands[-10:-2], axis=0))
    assert np.linalg.eigvalsh(sample.P).min() > 0.0


@pytest.mark.parametrize("teaching", (True, False))
def test_what_the_planner_admits_and_knows_of_the_inertia_reaches_the_supervisor(robot, teaching):
    """A velocity sample off by 100 rad/s is no overspeed, whoever teaches; and the safe command learns the inertia."""
    world = World(robot, teaching=teaching)
    world.run(30)
    world.qd = np.array([100.0, 0.0, 0.0])
    decision = world.run(1)
    assert decision.inertia is not None and decision.admitted is not None
    assert np.abs(decision.admitted.qd).max() < 1.0 and decision.admitted.stamp == decision.stamp


def test_a_policy_with_another_window_is_refused(robot, policy):
    with pytest.raises(DataError, match="distillation.window"):
        World(robot, policy, window=0.1)
