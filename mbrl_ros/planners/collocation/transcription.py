r"""Multiple shooting: the plan's states and commands as the variables of a sparse nonlinear programme.

    min_{x_1..x_H, u_0..u_{H-1}}  sum_{t<H} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H)
    s.t.  x_{t+1} - phi(x_t, u_t) - F_t [x_t; u_t] - f_t = 0,   limits on u_t and x_t

Every stage is a shooting interval (Bock & Plitt, IFAC World Congress 1984). With y_t = [x_t; u_{t-1}] where a cost
depends on the previous command, else y_t = x_t, the variables are w = [u_0; y_1; u_1; ...; y_{H-1}; u_{H-1}; x_H] and
the constraints are in the order of the stages, with the identity before y_{t+1}: the structure that FATROP factorizes
by a Riccati recursion. x_0, u_{-1}, F, f, p and the parameters theta of phi are numbers given with every solution, so
that nothing is built twice.

With A = [A_0; ...] the Jacobian of the constraints, block bidiagonal, and lambda their multipliers, the Hessian of the
Lagrangian is block diagonal,

    H_t = d^2 l / dz^2 - sum_i lambda_{t,i} d^2 phi_i / dz^2,   z = [y; u],

or without the second term and with Gauss-Newton's expansion of l, which is positive semidefinite.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...codegen.symbolic import casadi
from ..ilqr.problem import Problem

HESSIANS = ("gauss_newton", "exact")


@dataclass(frozen=True, eq=False, slots=True)
class Transcription:
    """The functions of a nonlinear programme over w, with the names that CasADi's solvers look for.

    nlp (x = w, p) -> f, g; grad_f (x, p) -> (f, grad f); jac_g (x, p) -> (g, dg/dw); hess_l (x, p, lam_f, lam_g) ->
    the symmetric Hessian of lam_f f + lam_g^T g. nx, nu (H+1,): its structure for FATROP. layout: sizes of the parts of
    p: x_0, u_{-1}, F (H, nx, nx+nu) and f (H, nx) with their last axis fastest, the cost's parameters (H+1, np), theta.
    """

    nlp: casadi.Function
    grad_f: casadi.Function
    jac_g: casadi.Function
    hess_l: casadi.Function
    nx: tuple[int, ...]
    nu: tuple[int, ...]
    layout: tuple[int, ...]


def multiple_shooting(problem: Problem, H: int, hessian: str) -> Transcription:
    """Transcribe `problem` over H stages; `hessian` is one of HESSIANS."""
    nx, nu, nv = problem.nx, problem.nu, problem.nv
    ny, count = nx + nv, problem.cost.np
    n_theta = 0 if problem.model is None else problem.model.theta.size
    layout = (nx, nu, H * nx * (nx + nu), H * nx, (H + 1) * count, n_theta)
    size = nu + (H - 1) * (ny + nu) + nx
    w, p = casadi.MX.sym("x", size), casadi.MX.sym("p", sum(layout))
    x0, v0, F_T, f, P, theta = casadi.vertsplit(p, _offsets(layout))
    F_T, f, P = casadi.reshape(F_T, nx + nu, nx * H), casadi.reshape(f, nx, H), casadi.reshape(P, count, H + 1)
    inner = casadi.reshape(w[nu : size - nx], ny + nu, H - 1)
    X, X_next = casadi.horzcat(x0, inner[:nx, :]), casadi.horzcat(inner[:nx, :], w[size - nx :])
    U = casadi.horzcat(w[:nu], inner[ny:, :])
    V = casadi.horzcat(v0, inner[nx:ny, :] if nv else U[:, :-1])
    given = X, V, U, P[:, :H]
    stages, last = problem.cost.stage.map(H)(*given), problem.cost.terminal(X_next[:, -1], P[:, H])
    total = casadi.sum2(stages) + last
    gap = X_next - _successor(problem).map("successors", "serial", H, [4], [])(X, U, F_T, f, theta)
    if nv:  # v_{t+1} = u_t; the last stage has none
        gap = casadi.vertcat(casadi.vec(casadi.vertcat(gap, casadi.horzcat(inner[nx:ny, :], U[:, -1]) - U))[:-nv])
    g = casadi.vec(gap)
    end = X_next[:, -1], P[:, H]
    gradient = _gradient(problem, given, end, H)
    jacobian = _jacobian(problem, X, U, F_T, theta, H)
    lam_f, lam_g = casadi.MX.sym("lam_f"), casadi.MX.sym("lam_g", g.numel())
    blocks = _hessian(problem, hessian, given, end, theta, (lam_f, lam_g), H)
    names = ["x", "p"]
    return Transcription(
        casadi.Function("nlp", [w, p], [total, g], names, ["f", "g"]),
        casadi.Function("nlp_grad_f", [w, p], [total, gradient], names, ["f", "grad_f_x"]),
        casadi.Function("nlp_jac_g", [w, p], [g, jacobian], names, ["g", "jac_g_x"]),
        casadi.Function("hess_l", [w, p, lam_f, lam_g], [blocks], [*names, "lam_f", "lam_g"], ["hess_gamma_x_x"]),
        (0, *([ny] * (H - 1)), nx),
        (*([nu] * H), 0),
        layout,
    )


def _offsets(sizes: tuple[int, ...]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes) + 1)]


def _successor(problem: Problem) -> casadi.Function:
    """(x, u, F^T, f, theta) -> x'."""
    nx, nu, model = problem.nx, problem.nu, problem.model
    x, u = casadi.MX.sym("x", nx), casadi.MX.sym("u", nu)
    F_T, f = casadi.MX.sym("F_T", nx + nu, nx), casadi.MX.sym("f", nx)
    theta = casadi.MX.sym("theta", 0 if model is None else model.theta.size)
    following = casadi.mac(F_T.T, casadi.vertcat(x, u), f)
    if model is not None:
        following += model.phi(x, u, theta)
    return casadi.Function("successor", [x, u, F_T, f, theta], [following])


def _gradient(problem: Problem, given: tuple[casadi.MX, ...], last: tuple[casadi.MX, casadi.MX], H: int) -> casadi.MX:
    """Return df/dw."""
    nx, nu, nv, cost = problem.nx, problem.nu, problem.nv, problem.cost
    g, _ = cost.stage_expansion.map(H)(*given)  # over [x; u; v]
    g_last, _ = cost.terminal_expansion(*last)
    ordered = casadi.vertcat(g[:nx, :], g[nx + nu : nx + nu + nv, :], g[nx : nx + nu, :])
    return casadi.vertcat(casadi.vec(ordered)[nx + nv :], g_last)


def _jacobian(problem: Problem, X: casadi.MX, U: casadi.MX, F_T: casadi.MX, theta: casadi.MX, H: int) -> casadi.MX:
    """Return dg/dw, whose nonzeros are those of one stage after the other."""
    nx, nu, nv = problem.nx, problem.nu, problem.nv
    ny = nx + nv
    whole, last = _jacobian_block(problem, nv), _jacobian_block(problem, 0)
    mapped = whole.map("jacobian_blocks", "serial", H - 1, [3], [])
    blocks = mapped(X[:, :-1], U[:, :-1], F_T[:, : nx * (H - 1)], theta)
    end = last(X[:, -1], U[:, -1], F_T[:, nx * (H - 1) :], theta)
    # dense blocks: stage 0 over u_0 only, then over [y; u] with the identity of the gap before it
    rows: list[int] = []
    columns: list[int] = []
    for t in range(H):
        wide, tall = (0 if t == 0 else ny) + nu, nx if t == H - 1 else ny
        top, left = ny * t, 0 if t == 0 else nu + (t - 1) * (ny + nu)
        for j in range(wide):
            if t > 0 and j < ny:
                rows.append(ny * (t - 1) + j)
                columns.append(left + j)
            rows += range(top, top + tall)
            columns += [left + j] * tall
    size = nu + (H - 1) * (ny + nu) + nx
    for j in range(nx):
        rows.append(ny * (H - 1) + j)
        columns.append(size - nx + j)
    sparsity = casadi.Sparsity.triplet(ny * (H - 1) + nx, size, rows, columns)
    first_u = ny * (ny + 1)  # where the columns of u begin in a block
    values = casadi.vertcat(blocks[first_u:, 0], casadi.vec(blocks[:, 1:]), end, casadi.DM.ones(nx))
    return casadi.MX(sparsity, values)


def _jacobian_block(problem: Problem, rows_v: int) -> casadi.Function:
    """(x, u, F^T, theta) -> nonzeros of the columns of y and u: 1 of the gap before, -dy'/dy; -dy'/du."""
    nx, nu, nv, model = problem.nx, problem.nu, problem.nv, problem.model
    x, u, F_T = casadi.MX.sym("x", nx), casadi.MX.sym("u", nu), casadi.MX.sym("F_T", nx + nu, nx)
    theta = casadi.MX.sym("theta", 0 if model is None else model.theta.size)
    F = F_T.T if model is None else F_T.T + model.jacobian(x, u, theta)
    full = casadi.horzcat(F[:, :nx], casadi.DM.zeros(nx, nv), F[:, nx:])
    if rows_v:
        full = casadi.vertcat(full, casadi.horzcat(casadi.DM.zeros(nv, nx + nv), casadi.DM.eye(nv)))
    full = casadi.densify(-full)
    ny = nx + nv
    of_y = casadi.vertcat(casadi.DM.ones(1, ny), full[:, :ny])
    return casadi.Function(
        "jacobian_block", [x, u, F_T, theta], [casadi.vertcat(casadi.vec(of_y), casadi.vec(full[:, ny:]))]
    )


def _hessian(
    problem: Problem,
    kind: str,
    given: tuple[casadi.MX, ...],
    last: tuple[casadi.MX, casadi.MX],
    theta: casadi.MX,
    multipliers: tuple[casadi.MX, casadi.MX],
    H: int,
) -> casadi.MX:
    """Return the Hessian of the Lagrangian over w, block diagonal with dense blocks."""
    lam_f, lam_g = multipliers
    nx, nu, nv = problem.nx, problem.nu, problem.nv
    ny = nx + nv
    padded = casadi.reshape(casadi.vertcat(lam_g, casadi.DM.zeros(nv)), ny, H)[:nx, :]
    stage = _hessian_block(problem, kind).map("hessian_blocks", "serial", H, [4, 6], [])
    blocks = stage(*given, theta, padded, lam_f)
    x, p, s = casadi.SX.sym("x", nx), casadi.SX.sym("p", problem.cost.np), casadi.SX.sym("s")
    if kind == "exact":
        whole = casadi.hessian(problem.cost.terminal(x, p), x)[0]
    else:
        whole = casadi.tril2symm(problem.cost.terminal_expansion(x, p)[1])
    end = casadi.Function("last_block", [x, p, s], [casadi.densify(s * whole)], {"cse": True})(*last, lam_f)
    n = ny + nu
    first = casadi.reshape(blocks[:, 0], n, n)[ny:, ny:]
    sizes = [nu, *([n] * (H - 1)), nx]
    sparsity = casadi.diagcat(*[casadi.Sparsity.dense(k, k) for k in sizes])
    return casadi.MX(sparsity, casadi.vertcat(casadi.vec(first), casadi.vec(blocks[:, 1:]), casadi.vec(end)))


def _hessian_block(problem: Problem, kind: str) -> casadi.Function:
    """(x, v, u, p, theta, lambda, lam_f) -> the block of [y; u], as a vector."""
    nx, nu, nv, cost, model = problem.nx, problem.nu, problem.nv, problem.cost, problem.model
    symbols = {"x": nx, "v": nu, "u": nu, "p": cost.np, "theta": 0 if model is None else model.theta.size}
    x, v, u, p, theta = (casadi.SX.sym(name, count) for name, count in symbols.items())
    multiplier, scale = casadi.SX.sym("multiplier", nx), casadi.SX.sym("scale")
    keep = [*range(nx), *range(nx + nu, nx + nu + nv), *range(nx, nx + nu)]
    if kind == "exact":
        whole = casadi.hessian(cost.stage(x, v, u, p), casadi.vertcat(x, u, v))[0]
    else:
        whole = casadi.tril2symm(cost.stage_expansion(x, v, u, p)[1])
    block = scale * whole[keep, keep]
    if kind == "exact" and model is not None:
        joint = [*range(nx), *range(nx + nv, nx + nv + nu)]
        curvature = casadi.SX(block.size1(), block.size1())
        curvature[joint, joint] = casadi.tril2symm(model.curvature(x, u, theta, -multiplier))
        block += curvature
    return casadi.Function(
        "hessian_block", [x, v, u, p, theta, multiplier, scale], [casadi.vec(casadi.densify(block))], {"cse": True}
    )
