"""What priors fitted to past data have in common: their file, and how far they may be wrong.

Away from the data a learned model is as wrong as no model; the widest belief is therefore that of a robot of which
nothing but scales is known (WIDE, in physical units per second, so that it holds at any rate). `mbrl fit-prior` finds
the fraction of it that predicts held-out data best (empirical Bayes) and stores it with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ...data import store
from ...data.store import Owner
from ...exceptions import ConfigurationError, DataError
from ...robots import Robot
from ...types import Array, CommandVector, JointVector

Progress: TypeAlias = Callable[[range], Iterable[int]]  # wraps the steps of a fit, as tqdm does

# d qdd/d q [1/s^2], d qdd/d qd [1/s] (dry friction about zero velocity is steep), qdd by a full command and the offset
# [rad/s^2]
WIDE = (60.0, 15.0, 60.0, 60.0)


def wide_spread(n: int, dt: float, scale: float = 1.0) -> Array:
    """Return the spread (3n+1,) of a prior that knows nothing, times `scale`."""
    stiffness, damping, strength, offset = (scale * dt * value for value in WIDE)
    return np.concatenate([np.full(n, stiffness), np.full(n, damping), np.full(n, strength), [offset]])


def spread_of(arrays: dict[str, Array], n: int, dt: float, scale: float) -> Array:
    """Return the spread (3n+1,) of a fitted prior: `scale` times what was found, and as much as its data left open.

    The array "untold" (3n+1,) of the second is in files of `mbrl fit-prior` since it judges what the data tell.
    """
    spread = wide_spread(n, dt, scale * float(arrays["spread_scale"]))
    if "untold" not in arrays:
        return spread
    require("prior", arrays, {"untold": (3 * n + 1,)})
    if not np.isfinite(arrays["untold"]).all():
        raise DataError("prior: 'untold' must be finite")
    return np.maximum(spread, arrays["untold"])


def widened(spread: Array, variance: JointVector) -> Array:
    """Return `spread` (3n+1,) with the mean of the `variance` (n,) of delta at the query added to its constant part."""
    wider: Array = spread.copy()
    wider[-1] = np.sqrt(spread[-1] ** 2 + variance.mean())
    return wider


def owner_of(robot: Robot, dt: float) -> Owner:
    """Return what a prior of `robot` for a period dt [s] belongs to."""
    return Owner(tuple(robot.joints), robot.interface, dt)


def load_model(kind: str, file: str, robot: Robot, dt: float) -> dict[str, Array]:
    """Read the arrays of a saved prior.

    Raises ConfigurationError if no file is named, DataError if it is not this robot's.
    """
    if not file:
        raise ConfigurationError(
            f"the {kind} prior needs a file: fit one with 'mbrl fit-prior BAG... --kind {kind} "
            f"-o prior.npz' and set prior.{kind}.file",
            key=f"prior.{kind}.file",
            value=file,
        )
    _, owner, arrays = store.load(Path(file), kind, store.MOST_OF_MODEL)
    store.check_owner(file, owner, owner_of(robot, dt))
    return arrays


def require(file: str, arrays: dict[str, Array], shapes: dict[str, tuple[int | None, ...]]) -> None:
    """Raise DataError if an array is missing or misshapen; None in a shape: any length."""
    for name, shape in shapes.items():
        if name not in arrays:
            raise DataError(f"{file}: '{name}' is missing")
        given = arrays[name].shape
        if arrays[name].dtype.kind not in "fiu":
            raise DataError(f"{file}: '{name}' holds {arrays[name].dtype}, expected numbers")
        if len(given) != len(shape) or any(w is not None and w != g for w, g in zip(shape, given, strict=True)):
            raise DataError(f"{file}: '{name}' has shape {given}, expected {shape}")


def require_positive(file: str, arrays: dict[str, Array], *names: str) -> None:
    """Raise DataError if an array that others are divided by, or that counts, is not positive throughout."""
    for name in names:
        if not (arrays[name] > 0.0).all():
            raise DataError(f"{file}: '{name}' must be positive, got {float(arrays[name].min(initial=0.0)):g}")


def length_of(arrays: dict[str, Array], name: str) -> int:
    """Return the length of an array's first axis; 0 if the array is missing or a single number."""
    return arrays[name].shape[0] if name in arrays and arrays[name].ndim else 0


def require_at_most(file: str, most: int, count: int, what: str) -> None:
    """Raise DataError unless a model has one to `most` of `what`: it is evaluated in every tick."""
    if not 1 <= count <= most:
        raise DataError(f"{file}: {count} {what}, of 1 to {most}")


def regressors(X: Array, U: Array, u_scale: CommandVector) -> Array:
    """Return [q, qd, u/u_scale, 1] (N, 3n+1)."""
    return np.hstack([X, U / u_scale, np.ones((len(X), 1))])
