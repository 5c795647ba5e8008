"""One search: what it is given, what it finds, and who can do it.

The names are those of `struct Search` in kernel.cpp; the compiled search works on these arrays in place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ...types import Array

DEFAULT_LAWS = {"plan": (0.0, 0.0, 0.0), "lqr": (1.0, 1.0, 0.0), "hold": (0.0, 0.0, 1.0)}
BY_POLICY = "policy"  # the default policy that is a discrete policy of the primitives
REPLAYS = {"as planned": (0.0, 0.0, 0.0), "with feedback": (0.0, 1.0, 0.0)}


@dataclasses.dataclass(eq=False, slots=True)
class SearchMemory:
    """Arrays in place: the problem, the plan in hand, the primitives, and the result.

    x0 (nx,), u_previous (nu,); F (H, nx, nx+nu), f (H, nx); p (H+1, np); u_lower, u_upper (nu,); the plan in hand X
    (H+1, nx), U (H+1, nu), which begins with u_{-1}, K (H, nu, nx), K_u (H, nu, nu), k (H, nu). laws (P+1, 3): step,
    gain and hold of every primitive and, last, of the default policy; offsets (D, P, nu) of a primitive at a depth of
    the tree; theta: the parameters of the nonlinear model, which its owner writes to; W1 (h, nx + 2 nu + np), b1 (h,),
    W2 (P, h), b2 (P,): the discrete policy, h = 0 without one. Result: X_new (H+1, nx), U_new
    (H, nu); counts (P,), totals (P,) of the root's children; path (D,).
    """

    x0: Array
    u_previous: Array
    F: Array
    f: Array
    p: Array
    u_lower: Array
    u_upper: Array
    X: Array
    U: Array
    K: Array
    K_u: Array
    k: Array
    laws: Array
    offsets: Array
    theta: Array
    W1: Array
    b1: Array
    W2: Array
    b2: Array
    X_new: Array
    U_new: Array
    counts: Array
    totals: Array
    path: Array

    @classmethod
    def allocate(
        cls,
        nx: int,
        nu: int,
        np_: int,
        horizon: int,
        length: int,
        primitives: int,
        theta: Array | None = None,
        policy: tuple[Array, Array, Array, Array] | None = None,
    ) -> SearchMemory:
        """Make zeros for H = `horizon`, segments of `length` stages and P = `primitives`; hold theta and the policy."""
        H, P, D = horizon, primitives, -(-horizon // length)
        shapes = {
            "x0": (nx,), "u_previous": (nu,), "F": (H, nx, nx + nu), "f": (H, nx), "p": (H + 1, np_),
            "u_lower": (nu,), "u_upper": (nu,), "X": (H + 1, nx), "U": (H + 1, nu), "K": (H, nu, nx),
            "K_u": (H, nu, nu), "k": (H, nu), "laws": (P + 1, 3), "offsets": (D, P, nu), "X_new": (H + 1, nx),
            "U_new": (H, nu), "counts": (P,), "totals": (P,), "path": (D,),
        }  # fmt: skip
        held = np.zeros(0) if theta is None else theta
        m = nx + 2 * nu + np_
        W1, b1, W2, b2 = policy or (np.zeros((0, m)), np.zeros(0), np.zeros((P, 0)), np.zeros(P))
        zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
        return cls(**zeros, theta=held, W1=W1, b1=b1, W2=W2, b2=b2)

    def arrays(self) -> dict[str, Array]:
        """Give {name: array}, the arrays themselves."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


class Numbers(Protocol):
    """Settings and result of a search.

    best_answer: 1 answers with the best plan found, 0 with the most visited one. units: hidden units of the discrete
    policy, 0: there is none; share: of it in the weights of exploration; continues: 1: it is the default policy.
    exploration: C; widening, growth: c and alpha of c N^alpha. best, worst: the costs worth 1 and 0; cost: of the
    answer. simulations_done, out_of_time, path_length: the result.
    """

    horizon: int
    length: int
    primitives: int
    simulations: int
    stages_of_F: int
    best_answer: int
    units: int
    continues: int
    simulations_done: int
    out_of_time: int
    path_length: int
    exploration: float
    widening: float
    growth: float
    share: float
    time_budget: float
    best: float
    worst: float
    cost: float


@dataclasses.dataclass(slots=True, kw_only=True)
class SearchNumbers:
    """`Numbers` of the specification, in the order of the compiled one."""

    horizon: int
    length: int
    primitives: int
    simulations: int
    best_answer: int
    units: int = 0
    continues: int = 0
    exploration: float
    widening: float
    growth: float
    share: float = 0.0
    time_budget: float = 0.0
    stages_of_F: int = 1
    simulations_done: int = 0
    out_of_time: int = 0
    path_length: int = 0
    best: float = np.inf
    worst: float = np.inf
    cost: float = np.nan


class TreeSearch(Protocol):
    """Searches on a `SearchMemory`."""

    @property
    def numbers(self) -> Numbers:
        """Settings and result."""

    def roll(self, path: Sequence[int], law: Sequence[float]) -> float:
        """Roll primitives out, then the default policy `law` (3,), into X_new, U_new; return the cost.

        `law` is kept.
        """

    def search(self) -> None:
        """Build a tree from x0 and roll its answer out."""

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Measure the time budget by this clock [s] instead of the monotonic one."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class RootStatistics:
    """What a search found out about the first segment, and the targets that a discrete policy can be taught with.

    laws (P, 3), offsets (P, nu): the primitives, see primitives.py; counts (P,): simulations that began with each;
    values (P,): mean of their values in [0, 1], 0 where there are none.
    """

    laws: Array
    offsets: Array
    counts: Array
    values: Array
