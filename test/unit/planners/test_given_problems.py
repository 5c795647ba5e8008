"""What every planner makes of a problem with wrong shapes, or without feedback about its plan."""

import casadi
import numpy as np
import pytest

from mbrl_ros.config import registry
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.exceptions import MbrlError, ShapeError
from mbrl_ros.planners.base import PlannerContext
from mbrl_ros.planners.ilqr.evaluator import Buffered
from mbrl_ros.types import LinearGaussianDynamics
from support.planner_problems import random_case

NX, NU, H = 4, 2, 6
NAMES = registry.names("planner")


@pytest.fixture(scope="module")
def case():
    return random_case(3, NX, NU, H, model=True)


def planner_of(name: str, case):
    anywhere = np.full(NX, np.inf)
    limits = case.u_lower, case.u_upper, -anywhere, anywhere
    common = PlannerSettings(horizon=H, backend="numpy")
    model = (lambda: of_function(case.model)) if name == "ddp" else None
    module = registry.load("planner", name)
    planner = module.build(module.Settings(), PlannerContext(case.cost, common, NX, NU, *limits, model))
    planner.reset(case.x0, case.u_previous)
    return planner


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "F, f",
    (
        ((3, NX, NX + NU), (3, NX)),  # neither one stage nor all
        ((H + 1, NX, NX + NU), (H + 1, NX)),
        ((1, NX, NX), (1, NX)),
        ((H, NX, NX + NU), (1, NX)),
    ),
)
def test_dynamics_of_another_size_are_refused(name, F, f, case):
    planner = planner_of(name, case)
    dynamics = LinearGaussianDynamics(np.zeros(F), np.zeros(f), np.zeros((F[0], NX, NX)))
    with pytest.raises(ShapeError, match="dynamics"):
        planner.plan(case.x0, dynamics, case.parameters, case.u_previous)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("argument", ("x0", "u_previous", "parameters"))
def test_other_arguments_of_another_size_are_refused_by_name(name, argument, case):
    planner = planner_of(name, case)
    given = {"x0": case.x0, "u_previous": case.u_previous, "parameters": case.parameters}
    given[argument] = given[argument][:-1]
    with pytest.raises(ShapeError, match=argument):
        planner.plan(given["x0"], case.dynamics, given["parameters"], given["u_previous"])


def test_a_cost_that_is_not_convex_leaves_the_tree_search_a_plan_without_feedback(case):
    """A plan for which no linear-quadratic regulator exists is a plan: it is acted on, with gains of zero."""
    planner, parameters = planner_of("mcts", case), case.parameters.copy()
    parameters[:, case.cost.layout["command.weight"]] = -1e13
    plan = planner.plan(case.x0, case.dynamics, parameters, case.u_previous)
    assert plan.usable and not plan.K.any() and np.isfinite(plan.u_hat).all()


def twice() -> casadi.Function:
    x = casadi.SX.sym("x", 3)
    return casadi.Function("twice", [x], [2 * x])


@pytest.mark.parametrize(
    "memory",
    (
        np.zeros((3, 2))[:, 0],
        np.zeros(6)[::2],
        np.zeros(3)[::-1],
        np.zeros((3, 2)).T[:, ::2],
        np.broadcast_to(np.zeros(1), (3,)),
        np.frombuffer(bytes(24)),
        np.zeros(3, dtype=np.float32),
        np.zeros(3, dtype=">f8"),
    ),
    ids=("column", "every other", "reversed", "matrix", "repeated", "constant", "single", "big-endian"),
)
def test_memory_that_casadi_would_not_work_on_is_refused(memory):
    """What is not contiguous would be flattened into a copy, which is gone before it is read or written to."""
    for given, results in (([memory], [(3,)]), ([(3,)], [memory])):
        with pytest.raises(MbrlError, match="buffer 0 of twice is not contiguous"):
            Buffered(twice(), given, results)


def test_memory_of_its_own_is_kept_and_arguments_may_lie_anyhow():
    rows, found = np.zeros((2, 3)), np.zeros(3)
    call = Buffered(twice(), [rows[1]], [found])
    whole = np.arange(6.0).reshape(3, 2)
    for argument in (whole[:, 1], whole[::-1, 0], np.float32([1, 2, 3]), 5.0):
        assert call(argument)[0] is found
        np.testing.assert_array_equal(found, 2.0 * np.broadcast_to(argument, (3,)))
        np.testing.assert_array_equal(rows, [np.zeros(3), np.broadcast_to(argument, (3,))])
