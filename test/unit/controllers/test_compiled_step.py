"""A tick of `mpc` in two compiled calls is the one of its parts, one after the other, to the last bit."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.compiled_step import library, make_step
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.dynamics import CommandHistory
from mbrl_ros.dynamics.velocity_gate import VelocityGate
from mbrl_ros.types import FeatureFrame, Observation
from support.robots import planar_robot

N, DT = 3, 0.005
RUNS = {
    "effort": {},
    "velocity": {"robot": "velocity"},
    "features": {"features.points": 2},
    "no gate": {"dynamics.gate": 0.0},
    "fraction of a delay": {"control.delay": 1.3, "control.exploration_start": 0.1},
    "frozen": {"dynamics.estimator": "frozen", "dynamics.freeze_after": 0.1},
    "offset only": {"dynamics.estimator": "output_error"},
    "known": {"dynamics.estimator": "known"},
}


def controllers(settings):
    """(readable, compiled): both have compiled parts, the second one calls several of them at once."""
    if library() is None:
        pytest.skip("there is no C++ compiler")
    settings = dict(settings)
    robot = planar_robot(N, settings.pop("robot", "effort"), effort=60.0)
    flat = {"control.rate": 1.0 / DT, "planner.horizon": 8, "planner.iterations": 2, **settings}
    readable, compiled = (build_controller(robot, Configuration.from_flat(flat)) for _ in range(2))
    readable.learner.step, readable._in_one_call = None, False
    assert compiled.learner.step is not None and compiled._in_one_call
    return readable, compiled


def states(controller, count, points):
    """Yield (observation, applied command before it) of joints that obey efforts with a load and some noise."""
    rng, stamp = np.random.default_rng(3), 1.0
    q, qd = np.array([0.4, -0.3, 0.2]), np.zeros(N)
    for k in range(count):
        u = yield Observation(stamp, q.copy(), qd + 1e-3 * rng.standard_normal(N), frames(stamp, q, points))
        qdd = 5.0 * (u - 1.0) - 2.0 * qd
        q, qd = q + DT * qd, qd + DT * np.clip(qdd, -30.0, 30.0)
        stamp += 2.0 * DT if k == 60 else DT  # one state is lost
        if k in (45, 80):  # a velocity that nothing confirms
            qd = qd + np.array([0.0, 4.0, 0.0])
        elif k in (46, 81):
            qd = qd - np.array([0.0, 4.0, 0.0])


def frames(stamp, q, points):
    """Return what a camera sees of `points` points, which move with the joints."""
    if not points:
        return ()
    s = np.concatenate([np.sin(q[0] + 0.3 * k) * np.ones(1) for k in range(2 * points)])
    return (FeatureFrame(stamp, s, np.ones(points)),)


def everything(controller, decision):
    """{name: array} of every intermediate of a tick."""
    learner, dynamics, planner = controller.learner, controller.dynamics, controller.planner
    posterior, plan = dynamics.posterior, decision.plan
    stages = {name: getattr(planner.memory, name) for name in ("x0", "u_previous")}
    stages |= {name: getattr(planner.memory, name)[0] for name in ("F", "f")}
    found = dict(u=decision.u, nis=decision.nis, nis_bound=dynamics.nis_bound, admitted=decision.admitted.qd)
    found |= {"innovation": np.zeros(N) if decision.innovation is None else decision.innovation}
    found |= dict(
        W=posterior.W,
        S=posterior.S,
        C=posterior.C,
        Sigma=posterior.Sigma,
        count=posterior.count,
        gain=dynamics.input_gain,
    )
    found |= dict(expected=dynamics.expectation[0], at=dynamics.expectation[1], ratio=dynamics.consistency.ratio)
    found |= dict(x_hat=plan.x_hat, u_hat=plan.u_hat, K=plan.K, k=plan.k, cost=plan.cost, status=int(plan.status))
    if learner.gate is not None:
        found |= dict(residuals=learner.gate._square, seen=learner.gate._seen, refusals=learner.gate.refusals)
    return {name: np.array(value) for name, value in (stages | found).items()}


def run(controller, count, between=lambda k, controller: None, points=0):
    """Yield {name: array} of every tick."""
    stream = states(controller, count, points)
    observation = next(stream)
    controller.reset(observation)
    controller.set_joint_target(np.array([0.6, -0.2, 0.1]), observation.stamp)
    for k in range(count - 1):
        between(k, controller)
        decision = controller.step(observation)
        controller.record(observation.stamp, decision.u)
        yield everything(controller, decision)
        observation = stream.send(decision.u)


def assert_same(settings, count=100, between=lambda k, controller: None):
    readable, compiled = controllers(settings)
    points = settings.get("features.points", 0)
    both = (run(controller, count, between, points) for controller in (readable, compiled))
    for k, (wanted, found) in enumerate(zip(*both, strict=True)):
        assert wanted.keys() == found.keys()
        for name, value in wanted.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"tick {k}: {name}")
    return compiled


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("name", RUNS)
def test_every_intermediate_is_that_of_the_parts(name):
    compiled = assert_same(RUNS[name])
    if compiled.learner.gate is not None and name != "known":
        assert compiled.learner.gate.refusals  # ticks in which the gate was asked


def test_it_is_the_same_while_commands_are_late_and_their_time_is_uncertain():
    def late(k, controller):
        if k in (30, 70):
            controller.adapt_to_lateness(*((1, 0.7, 1e-3) if k == 30 else (0, 1.0, 0.0)))

    assert_same({}, between=late)


def test_it_is_the_same_where_the_evidence_is_of_no_use():
    failed = []

    def spoil(k, controller):
        if k == 40:
            controller.dynamics.posterior.S[:] = np.nan
        failed.append(controller.dynamics.failed)

    assert_same({"dynamics.gate": 0.0}, between=spoil)
    assert any(failed)


def test_it_is_the_same_after_a_motion_was_interrupted():
    def resume(k, controller):
        if k == 50:
            controller.resume(Observation(1.0 + 50 * DT, np.zeros(N), np.zeros(N)), np.zeros(N))

    assert_same({}, between=resume)


@pytest.mark.parametrize(
    "settings", [{"planner.kl_bound": 1.0}, {"planner.backend": "numpy"}, {"control.planner": "lqr"}]
)
def test_a_planner_that_cannot_be_part_of_the_call_is_asked_for_itself(settings):
    robot = planar_robot(N, effort=60.0)
    flat = {"control.rate": 1.0 / DT, "planner.horizon": 4, "planner.iterations": 1, **settings}
    controller = build_controller(robot, Configuration.from_flat(flat))
    assert not controller._in_one_call
    assert len(list(run(controller, 8))) == 7 if settings.keys() != {"control.planner"} else True


def test_what_is_not_compiled_is_asked_for_itself(monkeypatch):
    _, compiled = controllers({})
    dynamics, history, gate = compiled.dynamics, compiled.learner.history, compiled.learner.gate
    assert make_step(dynamics, CommandHistory(N, DT, 1.0), gate) is None
    assert make_step(dynamics, history, VelocityGate(N, DT, 5.0)) is None
    assert make_step(dynamics, history, None) is not None
    monkeypatch.setattr("mbrl_ros.controllers.compiled_step.library", lambda: None)
    assert make_step(dynamics, history, gate) is None
    controller = build_controller(planar_robot(N, effort=60.0), compiled.configuration)
    assert controller.learner.step is None and len(list(run(controller, 8))) == 7
