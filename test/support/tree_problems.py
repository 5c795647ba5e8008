"""Searches over few primitives whose best sequence is known, because all sequences are tried."""

from __future__ import annotations

import itertools

import casadi
import numpy as np

from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, TargetSettings, Term
from mbrl_ros.planners.mcts import kernel
from mbrl_ros.planners.mcts.numpy_search import NumpySearch
from mbrl_ros.planners.mcts.search import SearchMemory, SearchNumbers
from mbrl_ros.types import LinearGaussianDynamics
from support.planner_problems import Case

PLAN = (0.0, 0.0, 0.0)


def searcher(
    cost,
    horizon,
    length,
    offsets,
    backend,
    *,
    x0=0.0,
    simulations=100,
    exploration=0.3,
    widening=1e3,
    growth=0.5,
    best=False,
):
    """A tree search for x' = x + u whose primitives are the commands `offsets` (D, P, 1); the plan in hand is zero."""
    memory = SearchMemory.allocate(1, 1, cost.np, horizon, length, offsets.shape[1])
    memory.F[:], memory.p[:], memory.offsets[:], memory.x0[:] = 1.0, cost.parameters(horizon), offsets, x0
    memory.u_lower[:], memory.u_upper[:] = -10.0, 10.0
    numbers = SearchNumbers(
        horizon=horizon,
        length=length,
        primitives=offsets.shape[1],
        simulations=simulations,
        best_answer=int(best),
        exploration=exploration,
        widening=widening,
        growth=growth,
    )
    if backend == "numpy":
        return memory, NumpySearch(cost, memory, numbers)
    return memory, kernel.CompiledSearch(kernel.load(cost), memory, numbers)


def landscape(horizon):
    """The cost sin(3 x + p_t) of states over p_t, a parameter of each stage."""
    x, u, v, p = (casadi.SX.sym(name) for name in "xuvp")
    term = Term(casadi.sin(3.0 * x + p), StateCostSettings(terminal=1.0), {"phase": (p, 0.0)})
    return CostModel(x, u, v, [("landscape", term)])


def random_landscape(seed, backend, horizon=8, length=2, **settings):
    """A landscape with random phases and four commands."""
    cost, rng = landscape(horizon), np.random.default_rng(seed)
    depths = -(-horizon // length)
    offsets = np.tile(np.array([-0.5, 0.0, 0.2, 0.6])[:, None], (depths, 1, 1))
    memory, search = searcher(cost, horizon, length, offsets, backend, **settings)
    memory.p[:, cost.layout["landscape.phase"]] = rng.uniform(0.0, 2.0 * np.pi, (horizon + 1, 1))
    return memory, search


def barrier():
    """The cost of being away from x = 2, and of a hill about x = 1 between that and the start."""
    x, u, v = casadi.SX.sym("x"), casadi.SX.sym("u"), casadi.SX.sym("v")
    goal = Term(2.0 - x, StateCostSettings(weight=0.5, terminal=1.0))
    hill = Term(casadi.exp(-4.0 * (x - 1.0) ** 2), TargetSettings(weight=6.0, terminal=1.0))
    return CostModel(x, u, v, [("goal", goal), ("hill", hill), ("effort", Term(u, CostSettings(weight=1e-3)))])


def all_costs(memory, search):
    """{path: cost} of every sequence of at least one primitive, of any length."""
    depths, primitives = memory.offsets.shape[:2]
    paths = (path for d in range(1, depths + 1) for path in itertools.product(range(primitives), repeat=d))
    return {path: search.roll(path, PLAN) for path in paths}


def greedy(memory, search):
    """The path of a search that takes the best next primitive at every depth."""
    path = ()
    for _ in range(len(memory.path)):
        path = min(((*path, i) for i in range(memory.offsets.shape[1])), key=lambda p: search.roll(p, PLAN))
    return path


def cliff():
    """The cost sqrt(1 - x), which falls towards x = 1 and does not exist beyond."""
    x, u, v = casadi.SX.sym("x"), casadi.SX.sym("u"), casadi.SX.sym("v")
    return CostModel(x, u, v, [("cliff", Term(casadi.sqrt(1.0 - x) + 1.0, StateCostSettings(terminal=1.0)))])


def hills(seed):
    """A double integrator in the plane that is to pass six hills of the cost at random places.

    The places are parameters of the cost: the compiled planner of one problem is that of all.
    """
    rng, n, dt, horizon = np.random.default_rng(seed), 2, 0.1, 30
    x, u, v = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("v", n)
    terms = [
        ("goal", Term(x[:n] - 2.0, StateCostSettings(weight=0.3, terminal=10.0))),
        ("speed", Term(x[n:], StateCostSettings(weight=1e-2, terminal=10.0))),
        ("effort", Term(u, CostSettings(weight=1e-2))),
    ]
    for i in range(6):
        place = casadi.SX.sym("place", n)
        bump = casadi.exp(-6.0 * casadi.sumsqr(x[:n] - place))
        places = {"place": (place, rng.uniform(0.3, 1.7, n))}
        terms.append((f"hill{i}", Term(bump, TargetSettings(weight=8.0, terminal=1.0), places)))
    eye, none, high = np.eye(n), np.zeros((n, n)), np.full(n, 4.0)
    F = np.block([[eye, dt * eye, dt**2 / 2.0 * eye], [none, eye, dt * eye]])[None]
    dynamics = LinearGaussianDynamics(F, np.zeros((1, 2 * n)), np.zeros((1, 2 * n, 2 * n)))
    return Case(CostModel(x, u, v, terms), dynamics, np.zeros(2 * n), np.zeros(n), -high, high, horizon)
