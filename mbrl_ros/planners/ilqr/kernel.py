"""The compiled planner of one problem, and the structure through which it is called."""

from __future__ import annotations

import ctypes
import dataclasses
import time
from collections.abc import Callable

import numpy as np

from ...codegen.compiler import lane_source, load_library, sources_of
from ...types import Array
from .memory import Memory, Numbers
from .problem import Problem

KERNEL_SOURCES = (
    "kernel.cpp",
    "search.h",
    "multiple_shooting.h",
    "tick.h",
    "rollout.h",
    "line.h",
    "single.h",
    "samples.h",
    "backward.h",
    "products.h",
    "rows.h",
    "known_products.h",
    "known_rows.h",
    "box_qp.h",
    "barrier.h",
    "kl_constraint.h",
)
INTEGERS = (
    "horizon",
    "ticks",
    "iterations",
    "step_sizes",
    "stages_of_F",
    "stages_of_limits",
    "status",
    "iterations_done",
    "clamp_at_limits",
)
REALS = (
    "tolerance",
    "time_budget",
    "temperature",
    "eta",
    "limit_penalty",
    "barrier",
    "knee",
    "wall",
    "scale",
    "final_precision",
    "mu",
    "delta",
    "cost",
)
POINTERS = (*(field.name for field in dataclasses.fields(Memory)), "work", "trace", "clock")


class CTick(ctypes.Structure):
    """Mirrors `struct Tick` of tick.h."""

    horizon: int
    ticks: int
    iterations: int
    step_sizes: int
    stages_of_F: int
    stages_of_limits: int
    status: int
    iterations_done: int
    clamp_at_limits: int
    tolerance: float
    time_budget: float
    temperature: float
    eta: float
    limit_penalty: float
    barrier: float
    knee: float
    wall: float
    scale: float
    final_precision: float
    mu: float
    delta: float
    cost: float
    F: int
    f: int
    p: int
    work: int
    trace: int
    clock: int | None
    _fields_ = (
        [(name, ctypes.c_longlong) for name in INTEGERS]
        + [(name, ctypes.c_double) for name in REALS]
        + [(name, ctypes.c_void_p) for name in POINTERS]
    )


class CompiledIlqr:
    """The calls of one planner's compiled kernel; a `Solver`."""

    def __init__(self, library: ctypes.PyDLL, memory: Memory, numbers: Numbers):
        self._library, self._memory = library, memory
        pointers = {name: array.ctypes.data for name, array in memory.arrays().items()}
        self.tick = CTick(**dataclasses.asdict(numbers), **pointers)
        self._work = aligned(library.work_size(numbers.horizon))
        self.tick.work = self._work.ctypes.data
        self.address = ctypes.addressof(self.tick)  # of the structure
        self._address = ctypes.c_void_p(self.address)
        self._trace, self._F, self._f, self._p = np.zeros((0, 0, 0)), memory.F, memory.f, memory.p
        self._clock, self._now = ctypes.CFUNCTYPE(ctypes.c_double)(), time.perf_counter
        self._found = self._work[library.plan_offset(numbers.horizon) :]  # the trajectory and the gains
        self._kept = self._found.copy()

    def function(self, name: str) -> int | None:
        """Return where the compiled function `name` is."""
        return ctypes.cast(self._library[name], ctypes.c_void_p).value

    def read_own_dynamics(self) -> None:
        """Use what is in the memory's F and f for the next plan."""
        if self._F is not self._memory.F:
            self._read(self._memory.F, self._memory.f)

    def take_dynamics(self, F: Array, f: Array) -> None:
        """Use F (S, nx, nx+nu), f (S, nx) for the next plan; those of many stages are read where they lie."""
        memory = self._memory
        if F is self._F and f is self._f:  # where they lay for the last plan
            return
        if len(F) > 1 and _readable(F) and _readable(f):
            self._read(F, f)
        else:
            memory.take_dynamics(F, f)
            self.read_own_dynamics()

    def _read(self, F: Array, f: Array) -> None:
        tick = self.tick
        self._F, tick.F = F, F.__array_interface__["data"][0]
        self._f, tick.f = f, f.__array_interface__["data"][0]

    def take_parameters(self, p: Array) -> None:
        """Use p (H+1, np) for the next plan; it is read where it lies, often the same array in every tick."""
        if p is self._p:
            return
        if not _readable(p):
            self._memory.take_parameters(p)
            p = self._memory.p
        self._p, self.tick.p = p, p.__array_interface__["data"][0]

    def plan(self) -> None:
        """See `Solver`."""
        self._library.plan(self._address)

    def shift(self) -> None:
        """See `Solver`."""
        self._library.shift(self._address)

    def solve(self) -> None:
        """See `Solver`."""
        self._library.solve(self._address)

    def commit(self) -> None:
        """See `Solver`."""
        self._library.commit(self._address)

    def stay(self) -> None:
        """See `Solver`."""
        self._library.stay(self._address)

    def gains(self) -> None:
        """Do as gains.py, the specification."""
        self._library.gains(self._address)

    def begin_samples(self) -> bool:
        """Take the problem for `sample`; tell whether all of it is finite."""
        return bool(self._library.begin_samples(self._address))

    def sample(self, U: Array, costs: Array, X: Array | None, threads: int) -> None:
        """Write the costs (S,) of the commands U (S, H, nu), contiguous, and their states X (S, H+1, nx) if wanted."""
        states = None if X is None else X.ctypes.data
        self._library.sample(self._address, len(U), U.ctypes.data, costs.ctypes.data, states, threads)

    def disturb(self, mixing: Array, white: Array, factor: Array, mean: Array, deviation: Array, U: Array) -> None:
        """Write U (S, H, nu) = mean + factor deviation (mixing white) within the first stage's limits; contiguous."""
        arrays = mixing, white, factor, mean, deviation, U
        self._library.disturb(self._address, len(U), *(array.ctypes.data for array in arrays))

    def has_known_rows(self) -> bool:
        """Return whether all followed from the rows of the velocities in the last problem; see known_rows.h."""
        return bool(self._library.has_known_rows(self._address))

    def replay(self, U: Array) -> float:
        """Write the cheaper replay's commands (H, nu) of the last plan, with or without its feedback; its cost."""
        return float(self._library.replay(self._address, U.ctypes.data))

    def keep(self) -> None:
        """See `Solver`."""
        self._kept[:] = self._found

    def restore(self) -> None:
        """See `Solver`."""
        self._found[:] = self._kept

    def now(self) -> float:
        """See `Solver`."""
        return self._now()

    def divergence(self) -> float:
        """See `Solver`."""
        return float(self._library.divergence_from_last(self._address))

    def use_clock(self, clock: Callable[[], float]) -> None:
        """See `Solver`."""
        self._now = clock
        self._clock = ctypes.CFUNCTYPE(ctypes.c_double)(clock)
        self.tick.clock = ctypes.cast(self._clock, ctypes.c_void_p).value

    def trace(self, problem: Problem) -> dict[str, Array]:
        """Have every later backward pass leave its matrices here, over z = [x; u; v].

        They are Q_u (H, nu, nz), V (H, nz, nz), q and s (H, nz).
        """
        nu, nz = problem.nu, problem.nx + problem.nu + problem.nv
        rows = self._trace = np.zeros((self.tick.horizon, nu + nz + 2, nz))
        self.tick.trace = rows.ctypes.data
        return {"Q_u": rows[:, :nu], "V": rows[:, nu : nu + nz], "q": rows[:, nu + nz], "s": rows[:, nu + nz + 1]}


def load(problem: Problem) -> ctypes.PyDLL | None:
    """Compile the planner of this problem, or return None (see `compiler.load_library`)."""
    sources = {**sources_of(__package__, *KERNEL_SOURCES), **lane_source()}
    library = load_library("planner", {**sources, "problem.h": problem.header()}, ("-pthread",))
    if library is not None:
        for size in (library.work_size, library.plan_offset):
            size.argtypes, size.restype = [ctypes.c_longlong], ctypes.c_longlong
        for function in (library.plan, library.shift, library.solve, library.commit, library.stay, library.gains):
            function.argtypes, function.restype = [ctypes.c_void_p], None
        for question in (library.begin_samples, library.has_known_rows):
            question.argtypes, question.restype = [ctypes.c_void_p], ctypes.c_longlong
        library.replay.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        library.replay.restype = ctypes.c_double
        library.disturb.argtypes = [ctypes.c_void_p, ctypes.c_longlong, *(6 * [ctypes.c_void_p])]
        library.disturb.restype = None
        library.sample.restype = None
        library.sample.argtypes = [
            ctypes.c_void_p,
            ctypes.c_longlong,
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_longlong,
        ]
        library.divergence_from_last.argtypes = [ctypes.c_void_p]
        library.divergence_from_last.restype = ctypes.c_double
    return library


def _readable(array: Array) -> bool:
    """Return whether compiled code can read the array where it lies."""
    flags = array.flags
    return bool(array.dtype == np.float64 and flags.c_contiguous and flags.aligned)


def aligned(size: int) -> Array:
    """Return float64 zeros (size,) that begin on a cache line."""
    raw = np.zeros(size + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + size]
