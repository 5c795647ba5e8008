r"""Root parallelization: R trees from the same root, each with steps drawn for it, and one answer.

    N_i = mean over the trees that have primitive i of their visits of it

Those called `fixed` are the same in all trees, a step belongs to the tree it was drawn for: a mean, so that what R
trees share does not outvote what one of them found. Each tree answers as a search of its own does. Of these answers the
one whose first primitive has the largest N_i is taken (the cheaper of two that begin alike), or with
`planner.mcts.answer: best` the cheapest.

A tree is a job (console/jobs.py): it depends on what it is given, so that the plan is the same whether the trees are
searched one after the other or in workers. Chaslot, Winands & van den Herik, Parallel Monte-Carlo tree search, 2008.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from ...codegen.symbolic import casadi
from ...console.jobs import run_jobs, worker_count
from ...costs import CostModel
from ...dynamics.priors.nonlinear_model import NonlinearModel
from ...exceptions import CompileError
from ...types import Array
from . import kernel
from .numpy_search import NumpySearch
from .search import RootStatistics, SearchMemory, SearchNumbers, TreeSearch

OWN_OF_A_TREE = ("laws", "offsets", "X_new", "U_new", "counts", "totals", "path")  # the other arrays are shared


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Stages:
    """What the search in Python needs of a cost, and what can be sent to a worker: see CostModel."""

    stage: casadi.Function
    terminal: casadi.Function
    nx: int
    nu: int
    np: int


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Recipe:
    """How a worker gets its search: the sources of the compiled one, or, without them, cost and model."""

    sources: tuple[tuple[str, str], ...]
    cost: Stages | None = None
    model: NonlinearModel | None = None

    def search(self, memory: SearchMemory, numbers: SearchNumbers) -> TreeSearch:
        """Return the search on `memory`; CompileError where a worker cannot compile what its caller could."""
        if self.cost is not None:
            return NumpySearch(cast(CostModel, self.cost), memory, numbers, self.model)
        return kernel.CompiledSearch(_library(self.sources), memory, numbers)


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Tree:
    """What one search found.

    cost, X (H+1, nx), U (H, nu), first: its answer, and the answer's first primitive (-1: none); counts (P,), totals
    (P,): of the primitives at its root, in costs between best and worst.
    """

    cost: float
    X: Array
    U: Array
    first: int
    counts: Array
    totals: Array
    best: float
    worst: float
    simulations_done: int
    out_of_time: bool

    @property
    def values(self) -> Array:
        """The means (P,) of the values in [0, 1], 0 where there are none."""
        width = self.worst - self.best
        means = (self.worst - self.totals / np.maximum(self.counts, 1.0)) / width if 0.0 < width < np.inf else 0.0
        return np.where(self.counts > 0.0, np.clip(means, 0.0, 1.0), 0.0)


@functools.lru_cache(maxsize=4)
def _library(sources: tuple[tuple[str, str], ...]) -> Any:
    library = kernel.load_sources(dict(sources))
    if library is None:
        raise CompileError("a worker could not compile the tree search that its caller did: its log has the reason")
    return library


def recipe_of(cost: CostModel, model: NonlinearModel | None, compiled: bool) -> Recipe:
    """Return how the search of this problem is made elsewhere."""
    if compiled:
        return Recipe(tuple(kernel.sources(cost, model).items()))
    return Recipe((), Stages(cost.stage, cost.terminal, cost.nx, cost.nu, cost.np), model)


def memories(first: SearchMemory, roots: int) -> list[SearchMemory]:
    """Return `first`, and `roots` - 1 more with steps and results of their own; what is given to them is shared."""
    own = [{name: getattr(first, name).copy() for name in OWN_OF_A_TREE} for _ in range(roots - 1)]
    return [first, *(dataclasses.replace(first, **arrays) for arrays in own)]


def search_trees(
    recipe: Recipe, trees: Sequence[SearchMemory], numbers: SearchNumbers, clock: Callable[[], float] | None
) -> list[Tree]:
    """Search every tree, as jobs; numbers.time_budget is for all of them. Workers have the monotonic clock."""
    side_by_side = min(worker_count(), len(trees))
    numbers = dataclasses.replace(numbers, time_budget=numbers.time_budget * side_by_side / len(trees))
    here = (clock,) if side_by_side == 1 else ()
    return run_jobs(search_tree, [(recipe, memory, numbers, *here) for memory in trees])


def search_tree(
    recipe: Recipe, memory: SearchMemory, numbers: SearchNumbers, clock: Callable[[], float] | None = None
) -> Tree:
    """Search one tree."""
    search = recipe.search(memory, dataclasses.replace(numbers))
    if clock is not None:
        search.use_clock(clock)
    search.search()
    n, length = search.numbers, search.numbers.path_length
    return Tree(
        n.cost,
        memory.X_new.copy(),
        memory.U_new.copy(),
        int(memory.path[0]) if length else -1,
        memory.counts.copy(),
        memory.totals.copy(),
        n.best,
        n.worst,
        n.simulations_done,
        bool(n.out_of_time),
    )


def answer(trees: Sequence[Tree], fixed: int, cheapest: bool) -> Tree:
    """Return the tree whose answer is taken; the first `fixed` primitives are the same in all trees."""
    shared = np.mean([tree.counts[:fixed] for tree in trees], axis=0)

    def visits(tree: Tree) -> float:
        if tree.first < 0:
            return 0.0
        return float(shared[tree.first] if tree.first < fixed else tree.counts[tree.first])

    usable = [tree for tree in trees if np.isfinite(tree.cost)] or list(trees)
    return min(usable, key=lambda tree: tree.cost if cheapest else (-visits(tree), tree.cost))


def merged(memories: Sequence[SearchMemory], trees: Sequence[Tree], fixed: int) -> RootStatistics:
    """Return what all trees found out: sums of visits, and means over these of the values.

    The primitives are the `fixed` ones, then the steps of one tree after the other.
    """
    counts = np.array([tree.counts for tree in trees])
    gained = counts * np.array([tree.values for tree in trees])
    total, gain = (np.concatenate([a[:, :fixed].sum(axis=0), a[:, fixed:].ravel()]) for a in (counts, gained))
    laws = np.concatenate([memories[0].laws[:fixed], *(memory.laws[fixed:-1] for memory in memories)])
    offsets = np.concatenate([memories[0].offsets[0, :fixed], *(memory.offsets[0, fixed:] for memory in memories)])
    return RootStatistics(laws, offsets, total, gain / np.maximum(total, 1.0))
