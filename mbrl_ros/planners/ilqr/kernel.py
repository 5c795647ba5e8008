"""The compiled planner of one problem, and the structure through which it is called."""

from __future__ import annotations

import ctypes
from importlib.resources import files

import numpy as np

from ...codegen.compiler import load_library
from ...types import Array
from .problem import Problem

SOURCES = ("kernel.cpp", "tick.h", "lane.h", "rollout.h", "backward.h", "box_qp.h", "barrier.h", "kl_constraint.h")
POINTERS = (
    "x0",
    "u_previous",
    "F",
    "f",
    "Sigma",
    "p",
    "u_lower",
    "u_upper",
    "x_lower",
    "x_upper",
    "half_range",
    "x_hat",
    "u_hat",
    "K",
    "K_u",
    "k",
    "Q_uu",
    "work",
    "trace",
)


class Tick(ctypes.Structure):
    """Mirrors `struct Tick` of tick.h."""

    _fields_ = (
        [
            (name, ctypes.c_longlong)
            for name in ("horizon", "ticks", "iterations", "step_sizes", "stages_of_F", "status", "iterations_done")
        ]
        + [
            (name, ctypes.c_double)
            for name in (
                "tolerance",
                "time_budget",
                "temperature",
                "eta",
                "limit_penalty",
                "precision",
                "final_precision",
                "mu",
                "delta",
                "cost",
            )
        ]
        + [(name, ctypes.c_void_p) for name in POINTERS]
    )


class Compiled:
    """One planner's memory and its calls: plan() = shift(), solve(), commit(); divergence() after solve()."""

    def __init__(self, library: ctypes.PyDLL, arrays: dict[str, Array], **fields):
        self._library, self._arrays = library, arrays
        self.tick = Tick(**fields)
        self._arrays["work"] = aligned(library.work_size(self.tick.horizon))
        for name, array in self._arrays.items():
            setattr(self.tick, name, array.ctypes.data)
        address = ctypes.c_void_p(ctypes.addressof(self.tick))
        for name in ("plan", "shift", "solve", "commit", "divergence_from_last"):
            setattr(self, f"_{name}", getattr(library, name))
        self._address = address
        self.call = library.plan, address  # for the hot path: function, argument

    def plan(self) -> None:
        self._plan(self._address)

    def shift(self) -> None:
        self._shift(self._address)

    def solve(self) -> None:
        self._solve(self._address)

    def commit(self) -> None:
        self._commit(self._address)

    def divergence(self) -> float:
        return self._divergence_from_last(self._address)

    def trace(self, problem: Problem) -> dict[str, Array]:
        """Have every later backward pass leave Q_u (H, nu, nz), V (H, nz, nz), q, s (H, nz), over z = [x; u; v], here."""
        nu, nz = problem.nu, problem.nx + problem.nu + problem.nv
        rows = np.zeros((self.tick.horizon, nu + nz + 2, nz))
        self._arrays["trace"], self.tick.trace = rows, rows.ctypes.data
        return {"Q_u": rows[:, :nu], "V": rows[:, nu : nu + nz], "q": rows[:, nu + nz], "s": rows[:, nu + nz + 1]}


def load(problem: Problem) -> ctypes.PyDLL | None:
    """The compiled planner of this problem, or None (see `compiler.load_library`)."""
    folder = files(__package__)
    sources = {name: (folder / name).read_text() for name in SOURCES}
    library = load_library("planner", {**sources, "problem.h": problem.header()})
    if library is not None:
        library.work_size.argtypes, library.work_size.restype = [ctypes.c_longlong], ctypes.c_longlong
        for name in ("plan", "shift", "solve", "commit"):
            getattr(library, name).argtypes, getattr(library, name).restype = [ctypes.c_void_p], None
        library.divergence_from_last.argtypes = [ctypes.c_void_p]
        library.divergence_from_last.restype = ctypes.c_double
    return library


def aligned(size: int) -> Array:
    """float64 zeros (size,) that begin on a cache line."""
    raw = np.zeros(size + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + size]
