"""Learned dynamics as a file: the regression's evidence (S, C) and the scatter of the innovations.

A checkpoint is taken up only by the robot, interface, rate and kind of regression it was made for, and only if S and
the scatter are covariances (symmetric, no negative eigenvalue): a damaged file must not become a model. The image
Jacobian is left out: a camera is easily moved between two runs, and a second of excitation learns it anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ..data import store
from ..exceptions import DataError
from ..files import read_bytes
from ..robots import Robot
from ..types import Array
from .base import Estimator

KIND = "online_model"
FORMER_STRENGTH = 600.0  # [rad/s^2] by a full effort
NEGATIVE = -1e-9  # an eigenvalue over the largest one that rounding may leave


def save_model(path: str | Path, dynamics: Estimator, robot: Robot, evidence: dict[str, Array] | None = None) -> None:
    """Write what `dynamics` has learned of `robot`, or `evidence` taken from it before.

    Raises DataError or OSError if it cannot be written.
    """
    store.save(
        path,
        KIND,
        store.Owner(robot.joints, robot.interface, dynamics.dt),
        dynamics.evidence() if evidence is None else evidence,
    )


def load_model(path: str | Path, dynamics: Estimator, robot: Robot) -> None:
    """Replace what `dynamics` has learned; DataError, and nothing changed, if the file does not fit."""
    dynamics.restore(read_model(path, dynamics, robot))


def read_model(path: str | Path, dynamics: Estimator, robot: Robot) -> dict[str, Array]:
    """Read what `dynamics` can restore, and change nothing; DataError if the file does not fit."""
    _, owner, arrays = store.load(path, KIND, store.MOST_OF_MODEL)
    store.check_owner(path, owner, store.Owner(robot.joints, robot.interface, dynamics.dt))
    if "prior_gain" not in arrays:  # written before the prior's input gain depended on the pose: it was this then
        # with a strength that was given the gain is what it was
        guessed = robot.interface == "effort" and dynamics.prior.moving
        arrays = {
            **arrays,
            "prior_gain": np.diag(FORMER_STRENGTH * dynamics.dt / robot.command_scale)
            if guessed
            else dynamics.evidence()["prior_gain"],
        }
    if "origin" not in arrays and "S" in arrays:  # written before the evidence had one: it was zero
        arrays = {**arrays, "origin": np.zeros(max(len(arrays["S"]) - 1, 0))}
    if "squares" not in arrays and "count" in arrays:  # written before the weights' squares were summed
        arrays = {**arrays, "squares": arrays["count"]}  # as few degrees of freedom as were taken then
    if "precision" in arrays and arrays["precision"].ndim == 1:  # written when all joints had the same prior
        arrays = {**arrays, "precision": np.tile(arrays["precision"], (len(robot.joints), 1))}
    for name, present in dynamics.evidence().items():
        if name not in arrays or arrays[name].shape != present.shape or arrays[name].dtype.kind not in "fiu":
            given = arrays[name].shape if name in arrays else "nothing"
            raise DataError(
                f"{path}: '{name}' must have shape {present.shape}, got {given}; was the model saved with the "
                "same dynamics.estimator?"
            )
    for name in ("S", "scatter"):
        _check_covariance(path, name, arrays[name])
    for name in ("count", "squares", "precision"):
        if not (arrays[name] > 0.0).all():
            raise DataError(f"{path}: '{name}' must be positive, got {float(arrays[name].min())}")
    return arrays


def content_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file; '' if it cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path, store.MOST_OF_MODEL)).hexdigest()
    except OSError:
        return ""


def _check_covariance(path: str | Path, name: str, matrix: Array) -> None:
    scale = float(np.abs(matrix).max(initial=0.0))
    if not np.allclose(matrix, matrix.T, atol=1e-9 * scale):
        raise DataError(f"{path}: '{name}' is not symmetric")
    if scale > 0.0 and np.linalg.eigvalsh(matrix)[0] < NEGATIVE * scale * len(matrix):
        raise DataError(f"{path}: '{name}' has a negative eigenvalue")
