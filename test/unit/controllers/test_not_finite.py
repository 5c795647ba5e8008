"""One value that is not finite, or a call that is wrong, spoils nothing that comes after it."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.dynamics.compiled_posterior import make_posterior
from mbrl_ros.dynamics.posterior import RegressionPosterior
from mbrl_ros.exceptions import CallOrderError, ShapeError, TargetError
from mbrl_ros.types import DecisionStatus, FeatureFrame, Observation, Transition
from support.needs import needs
from support.robots import planar_robot

DT, NAN = 0.005, float("nan")
POINTS = np.array([0.1, -0.1])


def observed(k: int, *, features: bool = False) -> Observation:
    rng = np.random.default_rng(k)
    frames = (FeatureFrame(1.0 + k * DT, POINTS + rng.normal(0.0, 1e-3, 2), np.ones(1)),) if features else ()
    return Observation(1.0 + k * DT, rng.normal(0.0, 1e-4, 2), rng.normal(0.0, 1e-2, 2), frames)


def spoiled(observation: Observation, part: str) -> Observation:
    if part == "frames":
        return dataclasses.replace(observation, frames=(FeatureFrame(observation.stamp, POINTS * NAN, np.ones(1)),))
    return dataclasses.replace(observation, **{part: np.array([0.0, NAN if part != "q" else np.inf])})


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("part", ("q", "qd", "command", "frames"))
@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_the_controller_goes_on_as_if_it_had_not_been(interface, part):
    features = part == "frames"
    robot = planar_robot(2, interface)
    settings = {"planner.horizon": 10, "control.rate": 1.0 / DT, "features.points": int(features)}
    controller = build_controller(robot, Configuration.from_flat(settings))
    controller.reset(observed(0, features=features))
    for k in range(200):
        observation = observed(k, features=features)
        if k == 100 and part != "command":
            observation = spoiled(observation, part)
        decision = controller.step(observation)
        command = np.full(2, NAN) if k == 100 and part == "command" else np.nan_to_num(decision.u)
        controller.record(observation.stamp, command)
        if k > 105:
            assert decision.status is DecisionStatus.OK
            assert np.isfinite(decision.u).all() and (not decision.nis_dof or np.isfinite(decision.nis))
    evidence = controller.dynamics.evidence()
    assert all(np.isfinite(array).all() for array in evidence.values())
    assert np.isfinite(controller.dynamics.features.G).all()
    estimate = controller.delay.estimate
    assert estimate is None or np.isfinite(estimate.ticks)


@needs("adam")
def test_the_pid_keeps_its_integral():
    controller = build_controller(planar_robot(), Configuration.from_flat({"control.controller": "pid"}))
    controller.reset(observed(0))
    assert controller.step(observed(0)).status is DecisionStatus.OK
    assert controller.step(spoiled(observed(1), "qd")).status is DecisionStatus.PLANNER_FAILED
    decision = controller.step(observed(2))
    assert decision.status is DecisionStatus.OK and np.isfinite(decision.u).all()


@needs("adam")
def test_the_pids_integral_stands_still_while_another_command_acts():
    """Two seconds under a safe command, away from the target; then it goes on from the effort that it had."""
    controller = build_controller(planar_robot(), Configuration.from_flat({"control.controller": "pid"}))
    away = [Observation(1.0 + k * DT, np.full(2, 0.005), np.zeros(2)) for k in range(450)]
    controller.reset(Observation(1.0, np.zeros(2), np.zeros(2)))
    efforts = []
    for k, observation in enumerate(away):
        efforts.append(controller.step(observation).u)
        controller.record(observation.stamp, efforts[-1] if k >= 400 else efforts[-1] + 1.0)
    np.testing.assert_allclose(efforts[1:401], efforts[:1] * 400, rtol=1e-12)
    assert np.abs(efforts[-1] - efforts[400]).min() > 0.05 * np.abs(efforts[400]).max() > 0.0


def test_wrong_calls_are_errors_that_name_what_was_wrong():
    controller = build_controller(planar_robot(), Configuration.from_flat({"planner.horizon": 5}))
    with pytest.raises(CallOrderError, match=r"step\(\) before reset\(\)"):
        controller.step(observed(0))
    controller.reset(observed(0))
    with pytest.raises(ShapeError, match=r"observation.qd must have shape \(2,\), got \(3,\)"):
        controller.step(Observation(1.0, np.zeros(2), np.zeros(3)))
    with pytest.raises(ShapeError, match=r"transition.u must have shape \(2,\), got \(1,\)"):
        controller.dynamics.update(Transition(1.0, np.zeros(4), np.zeros(1), np.zeros(4)))
    with pytest.raises(TargetError, match="stamp"):
        controller.set_joint_target(np.zeros(2), NAN)


def test_a_factorisation_that_fails_is_a_status_and_the_model_begins_again():
    controller = build_controller(planar_robot(), Configuration.from_flat({"planner.horizon": 5}))
    controller.reset(observed(0))
    for k in range(20):
        if k == 10:
            controller.dynamics.posterior.S[:] = -1e12  # no evidence is like that
        decision = controller.step(observed(k))
        controller.record(decision.stamp, decision.u)
        assert (decision.status is DecisionStatus.PLANNER_FAILED) == (k == 10)
        assert np.isfinite(decision.u).all()


def test_numpy_tells_of_a_failed_factorisation_too():
    posterior = RegressionPosterior(np.ones(3), np.ones(2))
    before = posterior.condition(np.zeros(2)).copy()
    posterior.S[:] = -1e12
    assert (posterior.condition(np.ones(2)) == before).all() and posterior.failed
    posterior.reset()
    assert not posterior.failed


@pytest.mark.parametrize("kind", [RegressionPosterior, make_posterior])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_innovation_of_what_is_not_finite_is_none_compiled_or_not(kind, bad):
    posterior, good = kind(np.ones(3), np.ones(2)), np.array([0.1, 0.2, 1.0])
    posterior.condition(np.zeros(2))
    with np.errstate(invalid="ignore"):
        assert np.isnan(posterior.predict(good, np.array([bad, 0.0])))
        assert np.isnan(posterior.predict(np.array([bad, 0.2, 1.0]), np.zeros(2)))
    assert np.isfinite(posterior.predict(good, np.zeros(2)))
