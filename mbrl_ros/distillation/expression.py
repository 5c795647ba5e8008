"""The student as CasADi expressions, and compiled: goal(target) once per target, act(q, qd, a, w, g) every tick.

For end-effector targets the goal network's posture is refined by Newton steps of damped inverse kinematics, g <-
clip(g + J^T (J J^T + eps I)^-1 e), e = p* - p(g), shortened to IK_REACH at most: the network chooses the posture, and
the end effector reaches its target even where that is unlike those taught.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..codegen.compiler import load_library
from ..codegen.numeric import work_sizes
from ..codegen.symbolic import casadi
from ..codegen.units import Digest
from ..exceptions import CompileError, DataError
from ..robots import Robot
from ..robots.kinematics import tip_position
from ..types import Array
from .inertia import jacobians
from .policy import Policy
from .region import Neighbors, Region
from .student import C_WINDOW, K_MID, KNEE, Shape

NEWTON_STEPS, IK_DAMPING, IK_REACH = 8, 1e-4, 0.2  # IK_DAMPING [m^2], IK_REACH [m]


def goal_function(policy: Policy, robot: Robot) -> casadi.Function:
    """Return (target (nt,), task one-hot (tasks,)) -> (g (n,), scores (2,): target, spread)."""
    shape, white = policy.shape, policy.white
    target, task = casadi.SX.sym("target", shape.nt), casadi.SX.sym("task", shape.tasks)
    x = (target - white.target_mean) / white.target_deviation
    if shape.tasks > 1:
        x = casadi.vertcat(x, task)
    if shape.kind == "joints":
        g, spread = target, casadi.SX(0.0)
    else:
        g = _network(shape, shape.unpack(policy.theta), x)
        spread = casadi.SX(0.0)
        if len(policy.members):
            others = [_network(shape, shape.unpack(theta, shape.goal_layout()), x) for theta in policy.members]
            spread = casadi.sqrt(sum(casadi.sumsqr(o - g) for o in others) / len(others)) / policy.spread_bound
    if shape.kind == "point":
        g = _refined(robot, shape, g, target)
    known = _of_tasks(policy, [_nearest(part.targets, target) for part in policy.taught])
    scores = casadi.vertcat(known[0] if len(policy.taught) == 1 else casadi.dot(task, casadi.vertcat(*known)), spread)
    return casadi.Function(
        "mbrl_policy_goal", [target, task], casadi.cse([g, scores]), ["target", "task"], ["g", "scores"]
    )


def act_function(policy: Policy, robot: Robot) -> casadi.Function:
    """Return (q, qd, a, w, g), each (n,) -> (u (n,), scores of the state (tasks,)). DataError: mu of another robot."""
    shape, white, p = policy.shape, policy.white, policy.shape.unpack(policy.theta)
    q, qd, a, w, g = (casadi.SX.sym(name, shape.n) for name in ("q", "qd", "a", "w", "g"))
    d = g - q
    h = _squash(_dot(p["gain_W"], (casadi.vertcat(q, qd, d) - white.mean) / white.deviation) + p["gain_b"])
    k = K_MID * casadi.exp(_squash(_dot(p["S_k"], h) + p["k0"]))
    c = C_WINDOW / shape.window * casadi.exp(0.5 * _squash(_dot(p["S_c"], h) + p["c0"]))
    V = shape.velocity * (0.55 + 0.45 * p["V"] / np.sqrt(1.0 + p["V"] ** 2))
    A = shape.acceleration * (0.55 + 0.45 * p["A"] / np.sqrt(1.0 + p["A"] ** 2))
    v = V * _shorten(k * d / V)
    y = A * _shorten(c * (v - qd) / A)
    e = y - a
    change = policy.rotor_inertia * e
    points = jacobians(robot, q)
    if len(points) != policy.mu.size:
        raise DataError(f"the policy holds {policy.mu.size} point masses, this robot has {len(points)} moving points")
    for mass, J in zip(policy.mu, points, strict=True):
        if mass > 0.0:
            change += mass * (J.T @ (J @ e))
    u = _box(w + shape.inertia_scale * change, shape.lower, shape.upper)
    x = casadi.vertcat(q, qd)
    score = casadi.vertcat(*_of_tasks(policy, [_outside(part.states, x) for part in policy.taught]))
    return casadi.Function(
        "mbrl_policy_act", [q, qd, a, w, g], casadi.cse([u, score]), ["q", "qd", "a", "w", "g"], ["u", "score"]
    )


def _network(shape: Shape, p: dict[str, Array], x: casadi.SX) -> casadi.SX:
    """Return the goal posture of the network with parameters p at the whitened input x."""
    h = _squash(_dot(p["goal_W1"], x) + p["goal_b1"])
    h = _squash(_dot(p["goal_W2"], h) + p["goal_b2"])
    out = _squash(_dot(p["goal_W3"], h) + p["goal_b3"])
    return casadi.SX(0.5 * (shape.highest + shape.lowest) + 0.5 * (shape.highest - shape.lowest) * out)


def _refined(robot: Robot, shape: Shape, g: casadi.SX, target: casadi.SX) -> casadi.SX:
    """Return g after NEWTON_STEPS of damped inverse kinematics towards `target`."""
    q = casadi.SX.sym("q", shape.n)
    position = tip_position(robot)(q)
    both = casadi.Function("both", [q], [position, casadi.jacobian(position, q)])
    for _ in range(NEWTON_STEPS):
        p, J = both(g)
        D, LT, order = casadi.ldl(J @ J.T + IK_DAMPING * casadi.SX.eye(3))
        e = target - p
        e = e * IK_REACH / casadi.fmax(casadi.norm_2(e), IK_REACH)
        g = casadi.fmin(casadi.fmax(g + J.T @ casadi.ldl_solve(e, D, LT, order), shape.lowest), shape.highest)
    return g


def _dot(W: Array, x: casadi.SX) -> casadi.SX:
    return casadi.DM(W) @ x


def _squash(y: casadi.SX) -> casadi.SX:
    return y / casadi.sqrt(1.0 + y * y)


def _shorten(r: casadi.SX) -> casadi.SX:
    return r / casadi.sqrt(1.0 + casadi.sumsqr(r))


def _box(u: casadi.SX, lower: Array, upper: Array) -> casadi.SX:
    """Return u within KNEE of the middle of [lower, upper], beyond that a smooth approach to its ends."""
    middle, half = 0.5 * (upper + lower), 0.5 * (upper - lower)
    r = (u - middle) / half
    over = casadi.fmax((casadi.fabs(r) - KNEE) / (1.0 - KNEE), 0.0)
    inner = casadi.fmax(casadi.fmin(r, KNEE), -KNEE)
    return casadi.SX(middle + half * (inner + casadi.sign(r) * (1.0 - KNEE) * _squash(over)))


def _of_tasks(policy: Policy, scores: list[casadi.SX]) -> list[casadi.SX]:
    """Return the smallest of the scores of each task's parts."""
    return [
        functools.reduce(
            casadi.fmin, (s for s, part in zip(scores, policy.taught, strict=True) if part.first <= task < part.last)
        )
        for task in range(policy.shape.tasks)
    ]


def _outside(region: Region, x: casadi.SX) -> casadi.SX:
    """Return the score of x (k,); see `Region`."""
    middle, half = 0.5 * (region.low + region.high), 0.5 * (region.high - region.low)
    return casadi.fmax(
        casadi.norm_2(casadi.DM(region.factor) @ (x - region.mean)) / region.bound, casadi.norm_inf((x - middle) / half)
    )


def _nearest(points: Neighbors, x: casadi.SX) -> casadi.SX:
    """Return the score of x (k,); see `Neighbors`."""
    white = casadi.DM(points.points @ points.factor.T) - casadi.repmat(
        (casadi.DM(points.factor) @ x).T, len(points.points), 1
    )
    return casadi.sqrt(casadi.mmin(casadi.sum2(white**2))) / points.bound


class Compiled:
    """A function of vectors, called through pointers fixed once.

    inputs, outputs: its arrays by name; `run()` reads the former and writes the latter. It runs generated C where there
    is a compiler (`compiled`), else CasADi's virtual machine. Not thread-safe.

    Parameters
    ----------
    description
        Of `describe`.
    function
        The CasADi function; without it, CompileError where there is neither a compiler nor a library.
    """

    def __init__(self, description: dict[str, Any], function: casadi.Function | None = None):
        self.description = description
        self.inputs, self.outputs = (
            {name: np.zeros(size) for name, size in description[kind]} for kind in ("inputs", "outputs")
        )
        library = load_library(description["name"], {"policy.cpp": description["source"]})
        self.compiled = library is not None
        self._memory: Any  # what a call reads and writes, kept alive
        self.run: Callable[[], None]
        if library is None:
            if function is None:
                raise CompileError(f"'{description['name']}' cannot be compiled, and there is no CasADi in its place")
            self._memory, self.run = function.buffer()
            for i, array in enumerate(self.inputs.values()):
                self._memory.set_arg(i, array.data)
            for i, array in enumerate(self.outputs.values()):
                self._memory.set_res(i, array.data)
            return
        pointer, sizes = ctypes.POINTER(ctypes.c_double), description["memory"]
        arguments = (pointer * sizes["arg"])(*(a.ctypes.data_as(pointer) for a in self.inputs.values()))
        results = (pointer * sizes["res"])(*(a.ctypes.data_as(pointer) for a in self.outputs.values()))
        whole, real = (ctypes.c_longlong * max(1, sizes["iw"]))(), (ctypes.c_double * max(1, sizes["w"]))()
        call, zero = library[description["name"]], ctypes.c_int(0)
        pointers = [ctypes.cast(x, ctypes.c_void_p) for x in (arguments, results, whole, real)]
        self._memory = arguments, results, whole, real
        self.run = lambda: call(*pointers, zero)


def compiled(robot: Robot, policy: Policy, build: Callable[[Policy, Robot], casadi.Function]) -> Compiled:
    """Return one of the policy's functions, `act_function` or `goal_function`, to be called."""

    def built() -> Compiled:
        function = build(policy, robot)
        return Compiled(_describe(function), function)

    inputs = {"robot": robot, "policy": Digest(policy)}
    return robot.units.kept(build.__name__, inputs, built, lambda function: function.description, Compiled)


def _describe(function: casadi.Function) -> dict[str, Any]:
    """Return all of a function that is needed to call it, as JSON can hold it."""
    generator = casadi.CodeGenerator("policy.cpp", {"cpp": True})
    generator.add(function)
    return {
        "name": function.name(),
        "inputs": [(function.name_in(i), function.nnz_in(i)) for i in range(function.n_in())],
        "outputs": [(function.name_out(i), function.nnz_out(i)) for i in range(function.n_out())],
        "source": generator.dump(),
        "memory": work_sizes(function),
    }
