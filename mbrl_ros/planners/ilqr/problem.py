"""What one planner is compiled for: sizes, cost, model, and which parts of the algorithm it needs.

`header` writes it down as problem.h for kernel.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi
import numpy as np

from ...codegen import simd
from ...costs import CostModel
from ...exceptions import ConfigurationError, ShapeError
from ...types import Array


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """min sum l + l_H with x' = phi(x, u) + F [x; u] + f.

    cost;
    model: phi as an SX function (x (nx,), u (nu,)) -> x' (nx,), or None; second_order: use phi's second
    derivatives (DDP) and not only its first; limited: (state, side) of each limit, side +1 upper, -1 lower; trust: with
    a KL bound.
    """

    cost: CostModel
    model: casadi.Function | None = None
    second_order: bool = False
    limited: tuple[tuple[int, int], ...] = ()
    trust: bool = False

    @property
    def nx(self) -> int:
        return self.cost.nx

    @property
    def nu(self) -> int:
        return self.cost.nu

    @property
    def nv(self) -> int:
        """Size of the previous command as a state: 0 when neither cost nor trust region knows it."""
        return self.nu if self.cost.uses_u_previous else 0

    def model_functions(self) -> tuple[casadi.Function, casadi.Function, casadi.Function]:
        """phi(x, u), its Jacobian over [x; u], and the Hessian of s^T phi over [x; u] (lower triangle)."""
        x, u, s = casadi.SX.sym("x", self.nx), casadi.SX.sym("u", self.nu), casadi.SX.sym("s", self.nx)
        z, out = casadi.vertcat(x, u), casadi.densify(self.model(x, u))
        options = {"cse": True}
        curvature = casadi.tril(casadi.hessian(casadi.dot(s, out), z)[0])
        return (
            casadi.Function("model", [x, u], [out], options),
            casadi.Function("model_jacobian", [x, u], [casadi.jacobian(out, z)], options),
            casadi.Function("model_curvature", [x, u, s], [curvature], options),
        )

    def check(self) -> None:
        """Raise ShapeError or ConfigurationError for what cannot be planned with."""
        if self.cost.np == 0:
            raise ConfigurationError("there is no cost at all: every weight is 0; give at least one", key="cost")
        for name in ("stage", "terminal"):
            rough = simd.nonsmooth_operation(getattr(self.cost, name))
            if rough:
                raise ConfigurationError(
                    f"the cost uses '{rough}' and is not twice differentiable; use a smooth form "
                    "such as costs._terms.smooth_hinge or sqrt(alpha + x^2)"
                )
        if self.model is not None:
            shapes = (self.model.size1_in(0), self.model.size1_in(1), self.model.size1_out(0))
            if shapes != (self.nx, self.nu, self.nx):
                raise ShapeError("model (x, u) -> x'", (self.nx, self.nu, self.nx), shapes)

    def header(self) -> str:
        cost, nx = self.cost, self.nx
        command, value = self._split(cost.stage_expansion.sparsity_out(1))
        last = list(zip(*cost.terminal_expansion.sparsity_out(1).get_triplet()))
        functions = [
            ("stage_cost", cost.stage),
            ("stage_expansion", cost.stage_expansion),
            ("terminal_cost", cost.terminal),
            ("terminal_expansion", cost.terminal_expansion),
        ]
        jacobian: list[tuple] = []
        bend_command: list[tuple] = []
        bend_value: list[tuple] = []
        entries = 0
        if self.model is not None:
            phi, first, second = self.model_functions()
            functions += [("model", phi), ("model_jacobian", first)]
            jacobian = list(zip(*first.sparsity_out(0).get_triplet()))
            if self.second_order:
                functions.append(("model_curvature", second))
                bend_command, bend_value = self._split(second.sparsity_out(0))
                entries = second.nnz_out(0)
        numbers = {
            "NX": nx,
            "NU": self.nu,
            "NV": self.nv,
            "NP": cost.np,
            "N_STAGE": cost.stage_expansion.nnz_out(1),
            "MODEL": self.model is not None,
            "CURVATURE": entries > 0,
            "N_CURVE": entries,
            "TRUST": self.trust,
        }
        tables = {
            "U_ENTRY": command,
            "V_ENTRY": value,
            "LAST": last,
            "JACOBIAN": jacobian,
            "CU_ENTRY": bend_command,
            "CV_ENTRY": bend_value,
            "LIMIT": list(self.limited),
        }
        counts = {
            "U_ENTRY": "N_U",
            "V_ENTRY": "N_V",
            "LAST": "N_LAST",
            "JACOBIAN": "N_JACOBIAN",
            "CU_ENTRY": "N_CU",
            "CV_ENTRY": "N_CV",
            "LIMIT": "N_LIMIT",
        }
        parts = [f"constexpr int {name} = {int(number)};" for name, number in numbers.items()]
        parts += [f"constexpr int {counts[name]} = {len(rows)};\n{_table(name, rows)}" for name, rows in tables.items()]
        parts += [
            f"[[maybe_unused]] static void {name}(const Lane* const* in, Lane* const* out);"
            for name in ("model", "model_jacobian", "model_curvature")
        ]
        parts += [simd.emit(function, name) for name, function in functions]
        return "\n".join(parts)

    def _split(self, sparsity: casadi.Sparsity) -> tuple[list[tuple], list[tuple]]:
        """Lower-triangle entries over z = [x; u; v] as (row, column, index): those of Q_u. and those of V.

        Rows of u are kept whole, so (v, u) belongs to the row of u and (u, u) is mirrored; V keeps a lower triangle.
        """
        nx, nf = self.nx, self.nx + self.nu
        command, value = [], []
        for n, (row, column) in enumerate(zip(*sparsity.get_triplet())):
            if nx <= row < nf:
                command.append((row - nx, column, n))
                if nx <= column < row:
                    command.append((column - nx, row, n))
            elif nx <= column < nf:
                command.append((column - nx, row, n))
            else:
                value.append((row, column, n))
        return command, value


def _table(name: str, rows: list[tuple]) -> str:
    width = len(rows[0]) if rows else 3
    body = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in rows or [(0,) * width])
    return f"static constexpr int {name}[][{width}] = {{{body}}};"


def limits_of(x_lower: Array, x_upper: Array) -> tuple[tuple[int, int], ...]:
    """(state, side) of every finite limit."""
    return tuple(
        (i, side)
        for i in range(len(x_lower))
        for side, bound in ((1, x_upper[i]), (-1, x_lower[i]))
        if np.isfinite(bound)
    )
