"""Memory that a controller shares with the process that plans for it: one problem, and the plan that answers it."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ..types import Array


@dataclass(frozen=True, slots=True)
class Sizes:
    """Horizon H, sizes of x, u, the cost's parameters and the model's parameters theta."""

    H: int
    nx: int
    nu: int
    np: int
    theta: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return {name: shape} of what is shared.

        x0, u_previous, F, f, Sigma, p, theta, u_lower, u_upper: as given to a planner; reset_x, reset_u: where it
        begins anew; request: ticks, whether to begin anew, stages of F, share of the step; X, U: states and commands of
        the answer; answer: its cost, status and iterations.
        """
        H, nx, nu = self.H, self.nx, self.nu
        return {
            "x0": (nx,),
            "u_previous": (nu,),
            "F": (H, nx, nx + nu),
            "f": (H, nx),
            "Sigma": (H, nx, nx),
            "p": (H + 1, self.np),
            "theta": (self.theta,),
            "u_lower": (nu,),
            "u_upper": (nu,),
            "reset_x": (nx,),
            "reset_u": (nu,),
            "request": (4,),
            "X": (H + 1, nx),
            "U": (H, nu),
            "answer": (3,),
        }


def shared_arrays(file: BinaryIO, sizes: Sizes) -> Mapping[str, Array]:
    """Map `file`, which both processes have open, to the arrays of `sizes`; it is made long enough."""
    shapes = sizes.shapes()
    counts = [int(np.prod(shape)) for shape in shapes.values()]
    length = 8 * max(1, sum(counts))
    file.truncate(length)
    whole = np.frombuffer(mmap.mmap(file.fileno(), length), dtype=np.float64)
    parts = np.split(whole[: sum(counts)], np.cumsum(counts)[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
