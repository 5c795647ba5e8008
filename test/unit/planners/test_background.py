"""A planner in another process: what it answers and when, and what happens when it ends, hangs or is late."""

import gc
import os
import signal
import time

import casadi
import numpy as np
import pytest

from mbrl_ros.config import registry
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.planners import background_process
from mbrl_ros.planners.base import PlannerContext, build_planner
from mbrl_ros.types import USABLE, PlanStatus
from support.planner_problems import random_case

PATIENCE = 60.0  # [s] for another process to start


def built(case, name="collocation", model=None, *, process=True, **settings):
    """A planner for a case, begun from its start; in another process that is waited for, unless asked otherwise."""
    nx, nu = case.cost.nx, case.cost.nu
    given = {"horizon": case.horizon, "process": process, "process_ticks": 3, "process_wait": True, **settings}
    limits = case.u_lower, case.u_upper, np.full(nx, -np.inf), np.full(nx, np.inf)
    context = PlannerContext(case.cost, PlannerSettings(**given), nx, nu, *limits, model)
    planner = build_planner(Configuration.from_flat({"control.planner": name}), context)
    planner.reset(case.x0, case.u_previous)
    return planner


def regulator():
    """A linear problem with binding limits, whose stages are all the same, from a state far from the goal."""
    return random_case(1, 4, 2, 12, stages=1, bound=0.5)


def drive(case, planner, ticks, disturb=0.0):
    """Act on the plans for so many ticks; (statuses, commands, states)."""
    rng, x, u = np.random.default_rng(0), case.x0.copy(), case.u_previous
    statuses, commands, states = [], [], []
    for _ in range(ticks):
        plan = planner.plan(x, case.dynamics, case.parameters, u)
        u = plan.u_hat[0].copy()
        statuses.append(plan.status)
        commands.append(u)
        states.append(x)
        x = case.dynamics.predict(x, u) + disturb * rng.standard_normal(x.size)
    return statuses, np.array(commands), np.array(states)


def until(case, planner, condition):
    """Plan on from the start until `condition(plan)`; that plan."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        plan = case.plan(planner)
        if condition(plan):
            return plan
        time.sleep(0.01)
    raise AssertionError("in vain")


def test_an_answer_is_used_a_fixed_number_of_ticks_later_and_runs_repeat():
    case = regulator()
    first, second = (drive(case, built(case), 14, disturb=0.01) for _ in range(2))
    assert first[0] == second[0]
    for one, other in zip(first[1:], second[1:], strict=True):
        np.testing.assert_array_equal(one, other)
    assert [k for k, status in enumerate(first[0]) if status is PlanStatus.CONVERGED] == [3, 6, 9, 12]
    assert {status for status in first[0] if status is not PlanStatus.CONVERGED} == {PlanStatus.NO_IMPROVEMENT}


@pytest.mark.parametrize("name", ["collocation", "ilqr"])
def test_the_answer_is_the_plan_that_the_planner_makes_here(name):
    case = regulator()
    here, there = built(case, name, process=False, iterations=4), built(case, name, iterations=4)
    expected = here.plan(case.x0, case.dynamics, case.parameters, case.u_previous).u_hat.copy()
    case.plan(there)
    assert there.process.take(wait=True)
    np.testing.assert_array_equal(there.process.shared["U"], expected)


def test_it_regulates_nearly_as_well_as_without_a_delay():
    case = regulator()

    def cost(planner):
        _, commands, states = drive(case, planner, 30, disturb=0.02)
        v = np.vstack((case.u_previous, commands[:-1]))
        stages = zip(states, v, commands, strict=True)
        return sum(float(case.cost.stage(x, before, u, case.parameters[0])) for x, before, u in stages)

    delayed, direct = cost(built(case)), cost(built(case, process=False))
    held = sum(float(case.cost.stage(x, u, u, case.parameters[0])) for x, u in coasting(case, 30))
    assert direct < delayed < direct + 0.3 * (held - direct)


def coasting(case, ticks):
    """States with the command held."""
    x = case.x0
    for _ in range(ticks):
        yield x, case.u_previous
        x = case.dynamics.predict(x, case.u_previous)


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_started_again_and_the_plan_goes_on(how, monkeypatch):
    monkeypatch.setattr(background_process, "RESTART_PAUSE", 0.0)
    case = regulator()
    planner = built(case, process_wait=False, process_timeout=0.3, process_oldest=10000)
    until(case, planner, lambda plan: plan.status is PlanStatus.CONVERGED)
    os.kill(planner.process.pid, how)
    statuses = {case.plan(planner).status for _ in range(3)}
    assert all(status in (PlanStatus.NO_IMPROVEMENT, PlanStatus.CONVERGED) for status in statuses)
    until(case, planner, lambda _: planner.restarts == 1)
    plan = until(case, planner, lambda plan: plan.status is PlanStatus.CONVERGED and not planner.process.fresh)
    assert plan.usable


@pytest.mark.slow
def test_settings_that_change_while_running_are_those_of_the_planner_there_also_after_a_restart(monkeypatch):
    monkeypatch.setattr(background_process, "RESTART_PAUSE", 0.0)
    case = random_case(1, 4, 2, 12, stages=1, nonlinear=True)
    planner = built(case, "ilqr", process_wait=False, process_oldest=10000, iterations=1, tolerance=0.0)
    planner.update_settings(PlannerSettings(iterations=3, tolerance=0.0))
    until(case, planner, lambda plan: plan.iterations == 3)
    os.kill(planner.process.pid, signal.SIGKILL)
    until(case, planner, lambda _: planner.restarts == 1)
    assert until(case, planner, lambda plan: plan.iterations > 0).iterations == 3


def test_a_tick_that_waits_for_a_process_that_hangs_ends():
    case = regulator()
    planner = built(case, process_timeout=0.2)
    drive(case, planner, 4)
    os.kill(planner.process.pid, signal.SIGSTOP)
    statuses, _, _ = drive(case, planner, 6)
    assert PlanStatus.CONVERGED not in statuses[3:]  # what is due at 2 may have been answered before it hung


def test_a_plan_that_is_too_old_is_not_usable():
    case = regulator()
    planner = built(case, process_wait=False, process_oldest=5, process_timeout=1000.0)
    os.kill(planner.process.pid, signal.SIGSTOP)
    statuses, _, _ = drive(case, planner, 8)
    assert statuses[:5] == [PlanStatus.NO_IMPROVEMENT] * 5
    assert statuses[5:] == [PlanStatus.STALE] * 3
    os.kill(planner.process.pid, signal.SIGCONT)
    assert until(case, planner, lambda plan: plan.status is PlanStatus.CONVERGED).usable


def test_after_a_reset_no_answer_to_an_earlier_problem_is_used():
    case = regulator()
    planner = built(case)
    drive(case, planner, 5)
    far = case.x0 + 1.0
    planner.reset(far, case.u_previous)
    fresh = built(case)
    fresh.reset(far, case.u_previous)
    for _ in range(5):
        one, other = (case.plan(p, x0=far) for p in (planner, fresh))
        assert one.status is other.status
        np.testing.assert_array_equal(one.u_hat, other.u_hat)


def test_limits_of_commands_hold_at_once():
    case = regulator()
    planner = built(case)
    drive(case, planner, 5)
    planner.limit_commands(np.full(2, -0.01), np.full(2, 0.01))
    assert np.abs(case.plan(planner).u_hat).max() <= 0.01


def test_what_is_not_finite_or_crosses_has_its_status():
    case = regulator()
    planner = built(case)
    assert case.plan(planner, x0=np.full(4, np.nan)).status is PlanStatus.NOT_FINITE
    planner.limit_commands(np.full(2, 1.0), np.full(2, -1.0))
    assert case.plan(planner).status is PlanStatus.INFEASIBLE_BOX


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("name", registry.names("planner"))
def test_every_planner_runs_there(name):
    """`ddp` through a nonlinear model, whose parameters go there with every problem."""
    x, u = casadi.SX.sym("x", 4), casadi.SX.sym("u", 2)
    model = of_function(casadi.Function("phi", [x, u], [0.1 * casadi.sin(x)]))
    case = regulator()
    planner = built(case, name, lambda: model)
    assert (planner.model is model) == (name == "ddp")
    statuses, commands, _ = drive(case, planner, 8)
    assert set(statuses) <= set(USABLE)
    assert np.ptp(commands) > 0.1 and np.abs(commands).max() <= case.u_upper.max()


def test_what_the_planner_refuses_is_told_where_it_is_built():
    case = regulator()

    def refuse():
        raise ConfigurationError("the prior is linear", key="control.planner", value="ddp")

    with pytest.raises(ConfigurationError, match="the prior is linear"):
        built(case, "ddp", refuse)


def test_no_process_is_left_behind():
    case = regulator()
    planner = built(case)
    pid = planner.process.pid
    drive(case, planner, 1)
    del planner
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
