"""What one planner is compiled for: sizes, cost, model, and which parts of the algorithm it needs.

`header` writes it down as problem.h for kernel.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ...codegen import simd
from ...codegen.symbolic import casadi
from ...costs import CostModel
from ...dynamics.priors.nonlinear_model import NonlinearModel
from ...exceptions import ConfigurationError, ShapeError
from ...types import Array

Entries: TypeAlias = list[tuple[int, ...]]  # rows of a table of integers


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """min sum l + l_H with x' = phi(x, u) + F [x; u] + f.

    cost: l and l_H; model: phi, or None; second_order: use phi's second derivatives (DDP) and not only its first;
    limited: (state, side) of each limit, side +1 upper, -1 lower; kl_constrained: with a bound on the KL divergence
    from the last plan's controller; multiple_shooting: states are variables beside the commands.
    """

    cost: CostModel
    model: NonlinearModel | None = None
    second_order: bool = False
    limited: tuple[tuple[int, int], ...] = ()
    kl_constrained: bool = False
    multiple_shooting: bool = False

    @property
    def nx(self) -> int:
        """The size of x."""
        return self.cost.nx

    @property
    def nu(self) -> int:
        """The size of u."""
        return self.cost.nu

    @property
    def nv(self) -> int:
        """The size of the previous command as a state: 0 where no cost depends on it."""
        return self.nu if self.cost.uses_u_previous else 0

    def check(self) -> None:
        """Raise ShapeError or ConfigurationError for what cannot be planned with."""
        if self.cost.np == 0:
            raise ConfigurationError("there is no cost at all: every weight is 0; give at least one", key="cost")
        for function in () if self.cost.described else self.cost.derived:
            rough = simd.nonsmooth_operation(function)
            if rough:
                raise ConfigurationError(
                    f"the cost uses '{rough}' and is not twice differentiable; use a smooth form "
                    "such as costs.base.smooth_hinge or sqrt(alpha + x^2)"
                )
        if self.multiple_shooting and (self.limited or self.kl_constrained):
            raise ConfigurationError(
                "planner.multiple_shooting goes neither with planner.state_limits nor with planner.kl_bound",
                key="planner.multiple_shooting",
            )
        if self.model is not None:
            phi = self.model.phi
            shapes = (phi.size1_in(0), phi.size1_in(1), phi.size1_out(0))
            if shapes != (self.nx, self.nu, self.nx):
                raise ShapeError("model (x, u) -> x'", (self.nx, self.nu, self.nx), shapes)

    def header(self) -> str:
        """Return problem.h: sizes, tables of entries, and the functions of cost and model over SIMD lanes."""
        if self.model is not None:  # which brings its own functions
            return self._written()
        names = ("second_order", "limited", "kl_constrained", "multiple_shooting")
        inputs = {"cost": self.cost.origin, **{name: getattr(self, name) for name in names}}
        return self.cost.units.kept("planner", inputs, self._written, str, str)

    def _written(self) -> str:
        cost, nx = self.cost, self.nx
        command, value = self._split(cost.stage_expansion.sparsity_out(1))
        tables: dict[str, tuple[str, Entries]] = {  # {table: (its count, its rows)}
            "U_ENTRY": ("N_U", command),
            "V_ENTRY": ("N_V", value),
            "LAST": ("N_LAST", _entries(cost.terminal_expansion.sparsity_out(1))),
            "JACOBIAN": ("N_JACOBIAN", []),
            "CU_ENTRY": ("N_CU", []),
            "CV_ENTRY": ("N_CV", []),
            "LIMIT": ("N_LIMIT", list(self.limited)),
        }
        functions = [  # the last entry: the input that is the same in all SIMD lanes
            ("stage_cost", cost.stage, 3),
            ("stage_expansion", cost.stage_expansion, None),
            ("terminal_cost", cost.terminal, 1),
            ("terminal_expansion", cost.terminal_expansion, 1),
        ]
        curvature_entries = 0
        if self.model is not None:
            first, second = self.model.jacobian, self.model.curvature
            functions += [("model", self.model.phi, 2), ("model_jacobian", first, 2)]
            tables["JACOBIAN"] = "N_JACOBIAN", _entries(first.sparsity_out(0))
            if self.second_order:
                functions.append(("model_curvature", second, 2))
                of_command, of_value = self._split(second.sparsity_out(0))
                tables["CU_ENTRY"], tables["CV_ENTRY"] = ("N_CU", of_command), ("N_CV", of_value)
                curvature_entries = second.nnz_out(0)
        numbers = {
            "NX": nx,
            "NU": self.nu,
            "NV": self.nv,
            "NP": cost.np,
            "N_STAGE": cost.stage_expansion.nnz_out(1),
            "MODEL": self.model is not None,
            "N_THETA": 0 if self.model is None else self.model.theta.size,
            "CURVATURE": curvature_entries > 0,
            "N_CURVE": curvature_entries,
            "KL_CONSTRAINED": self.kl_constrained,
            "GAPS": self.multiple_shooting,
        }
        parts = [f"constexpr int {name} = {int(number)};" for name, number in numbers.items()]
        for name, (count, rows) in tables.items():
            parts.append(f"constexpr int {count} = {len(rows)};\n{_table(name, rows)}")
        parts += [
            f"[[maybe_unused]] static void {name}(const Lane* const* in, Lane* const* out, const double* uniform);"
            for name in ("model", "model_jacobian", "model_curvature")
        ]
        parts += [simd.emit(function, name, uniform) for name, function, uniform in functions]
        return "\n".join(parts)

    def _split(self, sparsity: casadi.Sparsity) -> tuple[Entries, Entries]:
        """Split lower-triangle entries over z = [x; u; v], (row, column, index), into those of Q_u. and those of V.

        Rows of u are kept whole, so (v, u) belongs to the row of u and (u, u) is mirrored; V keeps a lower triangle.
        """
        nx, nf = self.nx, self.nx + self.nu
        command: Entries = []
        value: Entries = []
        for n, (row, column) in enumerate(_entries(sparsity)):
            if nx <= row < nf:
                command.append((row - nx, column, n))
                if nx <= column < row:
                    command.append((column - nx, row, n))
            elif nx <= column < nf:
                command.append((column - nx, row, n))
            else:
                value.append((row, column, n))
        return command, value


def _entries(sparsity: casadi.Sparsity) -> Entries:
    """List (row, column) of the entries."""
    return list(zip(*sparsity.get_triplet(), strict=True))


def _table(name: str, rows: Entries) -> str:
    """Write a table of integers; C++ has none without rows, so that an empty one gets a row of zeros."""
    width = len(rows[0]) if rows else 3
    body = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in rows or [(0,) * width])
    return f"static constexpr int {name}[][{width}] = {{{body}}};"


def limits_of(x_lower: Array, x_upper: Array) -> tuple[tuple[int, int], ...]:
    """List (state, side) of every finite limit."""
    return tuple(
        (i, side)
        for i in range(len(x_lower))
        for side, bound in ((1, x_upper[i]), (-1, x_lower[i]))
        if np.isfinite(bound)
    )
