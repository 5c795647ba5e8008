"""The compiled planner of one problem: kernel.cpp with this problem's sizes and its cost written out over lanes."""

from __future__ import annotations

import ctypes
from importlib.resources import files

import numpy as np

from ..costs import CostModel
from ..types import Array
from . import lanes
from .compiler import load_library


class Tick(ctypes.Structure):
    """Mirrors `struct Tick` of kernel.cpp."""

    _fields_ = ([(name, ctypes.c_longlong) for name in
                 ("horizon", "shift", "iterations", "step_sizes", "stages_of_F", "status", "iterations_done")]
                + [(name, ctypes.c_double) for name in ("tolerance", "time_budget", "mu", "delta", "cost")]
                + [(name, ctypes.c_void_p) for name in
                   ("x0", "u_previous", "F", "f", "p", "u_lower", "u_upper",
                    "x_hat", "u_hat", "K", "K_u", "k", "Q_uu", "work")])


def problem_header(cost: CostModel) -> str:
    """problem.h: sizes, tables of the cost's Hessian entries, and the cost's functions."""
    nx, nf = cost.nx, cost.nx + cost.nu
    entries = list(zip(*cost.stage_expansion.sparsity_out(1).get_triplet(), range(10**6)))
    # Rows of u are kept whole, of x and v as a lower triangle; so (v, u) belongs to the row of u, and (u, u) is mirrored.
    rows_u, rows_v = [], []
    for row, column, n in entries:
        if nx <= row < nf:
            rows_u.append((row - nx, column, n))
            if nx <= column < row:
                rows_u.append((column - nx, row, n))
        elif nx <= column < nf:
            rows_u.append((column - nx, row, n))
        else:
            rows_v.append((row, column, n))
    last = list(zip(*cost.terminal_expansion.sparsity_out(1).get_triplet()))
    sizes = {"NX": nx, "NU": cost.nu, "NV": cost.nu if cost.uses_u_previous else 0, "NP": cost.np,
             "N_STAGE": len(entries), "N_LAST": len(last), "N_U": len(rows_u), "N_V": len(rows_v)}
    parts = [f"constexpr int {name} = {value};" for name, value in sizes.items()]
    parts += [_table("U_ENTRY", 3, rows_u), _table("V_ENTRY", 3, rows_v), _table("LAST", 2, last)]
    for name in ("stage", "terminal"):
        parts.append(lanes.emit(getattr(cost, name), f"{name}_cost"))
        parts.append(lanes.emit(getattr(cost, f"{name}_expansion"), f"{name}_expansion"))
    return "\n".join(parts)


def _table(name: str, width: int, rows: list[tuple]) -> str:
    body = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in rows or [(0,) * width])
    return f"static const int {name}[][{width}] = {{{body}}};"


def load(cost: CostModel) -> ctypes.PyDLL | None:
    """The compiled planner of this cost, or None (see `compiler.load_library`)."""
    folder = files(__package__)
    sources = {name: (folder / name).read_text() for name in ("kernel.cpp", "lane.h")}
    library = load_library("planner", {**sources, "problem.h": problem_header(cost)},
                           libraries=(("-DLIBMVEC", "-lmvec", "-lm"), ("-lm",)))
    if library is not None:
        library.work_size.argtypes, library.work_size.restype = [ctypes.c_longlong], ctypes.c_longlong
        library.plan.argtypes, library.plan.restype = [ctypes.c_void_p], None
    return library


def aligned(size: int) -> Array:
    """float64 zeros (size,) that begin on a cache line."""
    raw = np.zeros(size + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start: start + size]
