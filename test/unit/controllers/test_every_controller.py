"""What every controller keeps, those of other packages too: the contract of controllers/base.py."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.config import registry
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.base import Controller, Health
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.exceptions import ConfigurationError, TargetError
from mbrl_ros.replay.observers import PassiveObserver
from mbrl_ros.types import DecisionStatus, Observation
from support.robots import planar_robot

NAMES = registry.names("controller")
RATE, N = 100.0, 2


def configured(name, **settings) -> Configuration:
    return Configuration.from_flat(
        {
            "control.controller": name,
            "control.rate": RATE,
            "planner.horizon": 8,
            "planner.backend": "numpy",
            **settings,
        }
    )


def members_of(protocol) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


class Run:
    """A controller and an arm of unit inertia that moves as commanded, without gravity."""

    def __init__(self, controller, k=0):
        self.controller, self.robot = controller, controller.robot
        self.q, self.qd, self.k, self.decisions = np.array([0.3, -0.2]), np.zeros(N), k, []

    @property
    def observation(self) -> Observation:
        return Observation(self.k / RATE, self.q.copy(), self.qd.copy())

    def ticks(self, count, applied=None):
        for _ in range(count):
            observation = self.observation
            decision = self.controller.step(observation)
            u = decision.u if applied is None else applied
            self.controller.record(observation.stamp, u)
            self.decisions.append(decision)
            self.qd = self.qd + u / RATE
            self.q = self.q + self.qd / RATE
            self.k += 1
        return self.decisions[-1]


@pytest.fixture(params=[*NAMES, "passive observer"])
def run(request):
    robot = planar_robot(N)
    if request.param == "passive observer":
        controller = PassiveObserver(robot, configured("mpc"))
    else:
        controller = build_controller(robot, configured(request.param))
    made = Run(controller)
    controller.reset(made.observation)
    return made


def test_it_has_every_member_of_the_interface(run):
    assert members_of(Controller) - set(dir(run.controller)) == set()
    assert run.controller.dt == pytest.approx(1.0 / RATE)
    assert run.controller.configuration.control.rate == RATE


def test_every_decision_is_finite_inside_the_limits_and_answers_its_observation(run):
    run.ticks(30)
    robot = run.robot
    for k, decision in enumerate(run.decisions):
        assert decision.stamp == k / RATE and isinstance(decision.status, DecisionStatus)
        assert decision.u.shape == (N,) and np.isfinite(decision.u).all()
        assert (decision.u >= robot.command_lower).all() and (decision.u <= robot.command_upper).all()


def test_whatever_is_measured_and_applied_it_raises_nothing(run):
    run.ticks(5)
    run.ticks(5, applied=np.full(N, 15.0))
    run.qd = np.array([50.0, -50.0])
    run.ticks(5)
    run.k += 40  # a gap
    run.ticks(3)
    observation = run.observation
    run.controller.resume(dataclasses.replace(observation, stamp=observation.stamp - 100.0), np.zeros(N))
    run.k -= 10_000
    decision = run.ticks(5)
    assert np.isfinite(decision.u).all() and isinstance(run.controller.health(), Health)


def test_two_of_a_kind_decide_the_same(run):
    if isinstance(run.controller, PassiveObserver):
        other = Run(PassiveObserver(run.robot, run.controller.configuration))
    else:
        other = Run(build_controller(run.robot, run.controller.configuration))
    other.controller.reset(other.observation)
    run.ticks(20), other.ticks(20)
    for ours, theirs in zip(run.decisions, other.decisions, strict=True):
        np.testing.assert_array_equal(ours.u, theirs.u)


def test_targets_are_counted_adopted_refused_and_forgotten(run):
    controller = run.controller
    run.ticks(2)
    if isinstance(controller, PassiveObserver):
        with pytest.raises(TargetError):
            controller.set_joint_target(np.zeros(N))
        assert controller.target is None and np.isnan(controller.reference_end)
        return
    accepted = controller.targets_accepted
    controller.set_joint_target(np.array([0.5, 0.1]))
    assert controller.targets_accepted == accepted + 1 > controller.targets_adopted
    run.ticks(1)
    assert controller.targets_adopted == controller.targets_accepted
    assert controller.target.kind == "joints" and controller.reference_end > run.k / RATE
    assert controller.joint_reference(controller.reference_end + 1.0) == pytest.approx([0.5, 0.1])
    with pytest.raises(TargetError, match="joint1"):
        controller.set_joint_target(np.array([99.0, 0.0]))
    reason = "the supervisor stands still"
    controller.refuse_targets_while(lambda: reason)
    with pytest.raises(TargetError, match="stands still"):
        controller.set_joint_target(np.zeros(N))
    reason = ""
    controller.set_joint_target(np.zeros(N))
    assert controller.targets_accepted == accepted + 2
    run.ticks(3)
    controller.hold(run.observation)
    run.ticks(2)
    end = controller.reference_end + 1.0
    assert np.abs(controller.joint_reference(end) - run.q).max() < 0.2  # rest near where it is, not at the target


def test_settings_and_lateness_may_change_between_two_steps(run):
    run.ticks(3)
    changed = run.controller.configuration.replace(planner__iterations=1, control__exploration_end=0.0)
    run.controller.update_settings(changed)
    assert run.controller.configuration is changed
    run.controller.adapt_to_lateness(1, 0.5, 0.002)
    run.controller.limit_gain(0.2)
    assert np.isfinite(run.ticks(5).u).all()


def test_a_model_that_is_learned_can_be_saved_and_taken_up_again(run):
    run.ticks(20)
    dynamics = run.controller.dynamics
    if dynamics is None:
        assert run.controller.delay is None and np.isnan(run.controller.nis_bound)
        return
    assert np.isfinite(run.controller.nis_bound) and run.controller.delay is not None
    seen = []

    class Recorder:
        def add(self, transition):
            seen.append(transition)

    dynamics.show_transitions_to(Recorder())
    run.ticks(5)
    dynamics.show_transitions_to(None)
    run.ticks(1)
    assert len(seen) == 5 and all(t.x.shape == (2 * N,) and t.u.shape == (N,) for t in seen)
    evidence = {name: array.copy() for name, array in dynamics.evidence().items()}
    dynamics.reset()
    assert np.abs(dynamics.evidence()["S"]).max() == 0.0 < np.abs(evidence["S"]).max()
    dynamics.restore(evidence)
    for name, array in dynamics.evidence().items():
        np.testing.assert_allclose(array, evidence[name], rtol=1e-12, atol=1e-15)


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'mpc'"):
        build_controller(planar_robot(N), configured("mpcc"))
    with pytest.raises(ConfigurationError, match="did you mean 'ilqr'"):
        build_controller(planar_robot(N), configured("mpc", **{"control.planner": "ilq"}))
