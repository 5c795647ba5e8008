"""The compiled tree search of one problem, and the structure through which it is called."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from ...codegen import simd
from ...codegen.compiler import lane_source, load_library, sources_of
from ...costs import CostModel
from ...dynamics.priors.nonlinear_model import NonlinearModel
from ..ilqr.kernel import aligned
from .search import Numbers, SearchMemory, SearchNumbers

MOST_PRIMITIVES = 64
SEARCH_NUMBERS = [
    (field.name, ctypes.c_longlong if field.type == "int" else ctypes.c_double)
    for field in dataclasses.fields(SearchNumbers)
]
SEARCH_POINTERS = (*(field.name for field in dataclasses.fields(SearchMemory)), "work", "clock")


class CSearch(ctypes.Structure):
    """Mirrors `struct Search` of kernel.cpp."""

    _fields_ = [*SEARCH_NUMBERS, *((name, ctypes.c_void_p) for name in SEARCH_POINTERS)]


class CompiledSearch:
    """The calls of one compiled search; a `TreeSearch`."""

    def __init__(self, library: ctypes.PyDLL, memory: SearchMemory, numbers: SearchNumbers):
        self._library, self._memory = library, memory
        pointers = {name: array.ctypes.data for name, array in memory.arrays().items()}
        self._work = aligned(library.work_size(numbers.simulations, numbers.primitives))
        self._search = CSearch(**dataclasses.asdict(numbers), **pointers, work=self._work.ctypes.data)
        self.numbers: Numbers = cast(Numbers, self._search)  # which has the fields of SearchNumbers
        self._address = ctypes.c_void_p(ctypes.addressof(self._search))
        self._clock = ctypes.CFUNCTYPE(ctypes.c_double)()

    def use_clock(self, clock: Callable[[], float]) -> None:
        """See `TreeSearch`."""
        self._clock = ctypes.CFUNCTYPE(ctypes.c_double)(clock)
        self._search.clock = ctypes.cast(self._clock, ctypes.c_void_p).value

    def roll(self, path: Sequence[int], law: Sequence[float]) -> float:
        """See `TreeSearch`."""
        self._memory.laws[-1] = law
        self._memory.path[: len(path)], self.numbers.path_length = path, len(path)
        self._library.roll(self._address)
        return self.numbers.cost

    def search(self) -> None:
        """See `TreeSearch`."""
        self._library.search(self._address)


def sources(cost: CostModel, model: NonlinearModel | None = None) -> dict[str, str]:
    """Return {file name: text} of the search of this problem."""
    numbers = {"NX": cost.nx, "NU": cost.nu, "NP": cost.np, "MOST_PRIMITIVES": MOST_PRIMITIVES}
    numbers |= {"MODEL": int(model is not None), "N_THETA": 0 if model is None else model.theta.size}
    parts = [f"constexpr int {name} = {number};" for name, number in numbers.items()]
    parts += [simd.emit(cost.stage, "stage_cost", 3), simd.emit(cost.terminal, "terminal_cost", 1)]
    declaration = "[[maybe_unused]] static void model(const Lane* const* in, Lane* const* out, const double* uniform);"
    parts.append(declaration if model is None else simd.emit(model.phi, "model", 2))
    return {**sources_of(__package__, "kernel.cpp"), **lane_source(), "problem.h": "\n".join(parts)}


def load(cost: CostModel, model: NonlinearModel | None = None) -> ctypes.PyDLL | None:
    """Compile the search of this problem, or return None (see `compiler.load_library`)."""
    return load_sources(sources(cost, model))


def load_sources(sources: Mapping[str, str]) -> ctypes.PyDLL | None:
    """Compile what `sources` returned, or return None."""
    library = load_library("mcts", sources)
    if library is not None:
        library.work_size.argtypes, library.work_size.restype = [ctypes.c_longlong] * 2, ctypes.c_longlong
        for function in (library.roll, library.search):
            function.argtypes, function.restype = [ctypes.c_void_p], None
    return library
