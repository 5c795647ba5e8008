"""Nonlinear optima against Crocoddyl's, on the same cost and dynamics."""

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from support.needs import needs, present
from support.planner_problems import random_case

if present("crocoddyl"):
    import crocoddyl
    from crocoddyl import ActionModelAbstract
else:
    ActionModelAbstract = object

pytestmark = needs("crocoddyl")


class Stage(ActionModelAbstract):
    """One stage of a Case, or its last (t = H), with exact derivatives of the dynamics and our expansion of thecost."""

    def __init__(self, case, t):
        super().__init__(crocoddyl.StateVector(case.cost.nx), case.cost.nu, 1)
        self.case, self.t, self.v = case, t, np.zeros(case.cost.nu)
        self.jacobian = case.model.jacobian() if case.model else None
        if t < case.horizon:
            self.u_lb, self.u_ub = case.u_lower, case.u_upper

    def calc(self, data, x, u=None):
        case = self.case
        if u is None or self.t == case.horizon:
            data.cost, data.xnext = float(case.cost.terminal(x, case.parameters[-1])), x
            return
        data.cost = float(case.cost.stage(x, self.v, u, case.parameters[self.t]))
        data.xnext = case.dynamics.predict(x, u, self.t) + case.model(x, u).full().ravel()

    def calcDiff(self, data, x, u=None):
        import casadi

        case, nx, nu = self.case, self.case.cost.nx, self.case.cost.nu
        if u is None or self.t == case.horizon:
            g, G = case.cost.terminal_expansion(x, case.parameters[-1])
            data.Lx, data.Lxx = g.full().ravel(), casadi.tril2symm(G).full()
            return
        g, G = case.cost.stage_expansion(x, self.v, u, case.parameters[self.t])
        g, G = g.full().ravel(), casadi.tril2symm(G).full()
        data.Lx, data.Lu = g[:nx], g[nx : nx + nu]
        data.Lxx, data.Luu, data.Lxu = G[:nx, :nx], G[nx : nx + nu, nx : nx + nu], G[:nx, nx : nx + nu]
        F = case.dynamics.at(self.t)[0]
        by_x, by_u = self.jacobian(x, u, casadi.DM(nx, 1))
        data.Fx, data.Fu = F[:, :nx] + by_x.full(), F[:, nx:] + by_u.full()


@pytest.mark.parametrize("solver, bound", [("SolverFDDP", 100.0), ("SolverBoxFDDP", 0.5)])
@pytest.mark.parametrize("seed", range(3))
def test_nonlinear_optimum_equals_crocoddyls(solver, bound, seed):
    case = random_case(seed, 4, 2, 12, nonlinear=True, model=True, bound=bound)
    plan = case.plan(case.planner("compiled" if find_compiler() else "casadi", iterations=300))
    stages = [Stage(case, t) for t in range(case.horizon + 1)]
    made = getattr(crocoddyl, solver)(crocoddyl.ShootingProblem(case.x0, stages[:-1], stages[-1]))
    made.th_stop = 1e-12
    # from near our answer: both are then in the basin of the same local optimum, if ours is one
    nudged = plan.u_hat * (1.0 + 0.01 * np.random.default_rng(seed).standard_normal(plan.u_hat.shape))
    nudged = np.clip(nudged, case.u_lower, case.u_upper)
    assert made.solve(list(case.rollout(nudged)[0]), list(nudged), 500, True)
    assert plan.cost == pytest.approx(made.cost, rel=1e-8)
