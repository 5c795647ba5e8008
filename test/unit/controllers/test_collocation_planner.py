"""`control.planner: collocation` in the controller: in every interface, with limits of states and through a prior."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.types import DecisionStatus, Observation, PlanStatus
from support.needs import needs
from support.robots import planar_robot

DT, N = 0.01, 2


def decisions(interface="effort", ticks=40, **settings):
    """The decisions and the positions of a run on a plant of its own: unit inertia, gravity-like and quadratic forces.

    Velocities are obeyed within a period, positions within a few.
    """
    flat = {"control.rate": 1.0 / DT, "planner.horizon": 10, "control.planner": "collocation"}
    mpc = MpcController(planar_robot(N, interface), Configuration.from_flat({**flat, **settings}))
    q, qd, found, path = np.array([0.3, -0.4]), np.zeros(N), [], []
    goal = q + 0.1
    for k in range(ticks):
        observation = Observation(k * DT, q.copy(), qd.copy())
        if k == 0:
            mpc.reset(observation)
            mpc.set_joint_target(goal, 0.0)
        decision = mpc.step(observation)
        mpc.record(observation.stamp, decision.u)
        found.append(decision)
        if interface == "effort":
            qd_next = qd + DT * (decision.u - 3.0 * np.sin(q) - 0.5 * qd * np.abs(qd))
        else:
            wanted = decision.u if interface == "velocity" else (decision.u - q) / (5.0 * DT)
            qd_next = 0.2 * qd + 0.8 * wanted
        q, qd = q + 0.5 * DT * (qd + qd_next), qd_next
        path.append(q)
    return found, np.array(path), goal


@pytest.mark.parametrize("solver", ["fatrop", "ipopt"])
@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_it_plans_in_every_interface_and_goes_toward_the_target(interface, solver):
    found, path, goal = decisions(interface, **{"robot.interface": interface, "planner.collocation.solver": solver})
    usable = [PlanStatus.CONVERGED, PlanStatus.NO_IMPROVEMENT, PlanStatus.MAX_ITERATIONS]
    assert all(decision.status is DecisionStatus.OK and decision.plan.status in usable for decision in found)
    assert sum(decision.plan.status is PlanStatus.CONVERGED for decision in found) >= 0.9 * len(found)
    assert np.abs(path[-1] - goal).max() < 0.07


@pytest.mark.parametrize("process", [False, True])
def test_two_runs_agree_to_the_last_bit(process):
    settings = {"planner.process": process, "planner.process_wait": True}
    first, second = ([decision.u for decision in decisions(ticks=15, **settings)[0]] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_in_another_process_it_goes_toward_the_target():
    found, path, goal = decisions(**{"planner.process": True, "planner.process_wait": True})
    assert all(decision.status is DecisionStatus.OK for decision in found)
    assert np.abs(path[-1] - goal).max() < 0.08


@pytest.mark.slow
@needs("adam")
def test_it_plans_through_a_nonlinear_prior():
    settings = {"dynamics.prior": "rigid_body", "prior.rigid_body.armature": (0.1,)}
    found, _, _ = decisions(ticks=8, **settings, **{"planner.collocation.nonlinear": True})
    assert all(decision.plan.status is PlanStatus.CONVERGED for decision in found)


def test_it_refuses_to_plan_through_a_linear_prior():
    with pytest.raises(ConfigurationError, match="planner.collocation.nonlinear"):
        decisions(ticks=1, **{"planner.collocation.nonlinear": True})
