"""A policy: a trained student, the region it was taught in, and where it comes from. Immutable, saved in one file.

Outside of what it was taught nobody knows what a network says. Three scores tell how far an input is outside, each over
its own bound, so that 1 is the edge of what was seen in teaching:

    state    |R_x ([q; qd] - mean)|,  R_x^T R_x the inverse covariance of the taught states (Mahalanobis distance), and
             the distance of each coordinate from the middle of its taught range
    target   min_i |R_tau (tau - tau_i)|, the distance to the nearest taught target
    spread   root mean square distance between the goals of several goal networks, which agree only where there were data
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from . import storage
from .region import Neighbors, Region
from .student import TARGETS, Shape, Whitening

KIND = "policy"
FORMER_KEYS = {"caution": "inertia_scale", "own": "rotor_inertia"}  # what files of earlier revisions call things
SCORES = ("state", "target", "spread")


@dataclass(frozen=True, eq=False, slots=True)
class Policy:
    """theta (size,); mu (count,) [kg] and rotor_inertia (n,): inertia.py; precision (n, n): the teacher's mean Q_uu, capped;
    states, targets: where it was taught; members (E, goal parameters): further goal networks, spread_bound [rad]: their
    largest spread on taught targets; about: version, samples, teaching seconds, losses, seed, robot.
    """

    shape: Shape
    white: Whitening
    theta: Array
    mu: Array
    rotor_inertia: Array
    precision: Array
    states: Region
    targets: Neighbors
    members: Array
    spread_bound: float
    about: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Atomically; OSError if the disk does not take it."""
        storage.save(path, KIND, *_taken_apart(self))

    def to_bytes(self) -> bytes:
        """The content of its file."""
        return storage.dumps(KIND, *_taken_apart(self))

    def check(self, robot: Robot) -> None:
        """DataError unless the policy was taught on this kind of robot."""
        for what, mine, its in (
            ("joints", self.shape.joints, robot.joints),
            ("interface", self.shape.interface, robot.interface),
            ("robot", self.about.get("robot"), fingerprint(robot)),
        ):
            if mine != its:
                raise DataError(f"the policy was taught on another robot: its {what}: {mine}, this robot's: {its}")


def load(path: str | Path) -> Policy:
    """DataError if the file is damaged, foreign or does not hold together."""
    meta, arrays = storage.load(path, KIND)
    return _put_together(meta, arrays, str(path))


def from_bytes(content: bytes) -> Policy:
    """Like `load`, from what `to_bytes` gave."""
    return _put_together(*storage.loads(content, KIND), "policy")


def fingerprint(robot: Robot) -> str:
    """What a policy depends on: geometry, joints, limits, end effector."""
    numbers = (
        robot.position_lower,
        robot.position_upper,
        robot.velocity_limit,
        robot.command_lower,
        robot.command_upper,
        robot.tip_offset,
    )
    text = repr((robot.joints, robot.interface, robot.root, robot.tip)) + robot.urdf
    return hashlib.sha256(text.encode() + b"".join(np.asarray(a).tobytes() for a in numbers)).hexdigest()[:16]


_SHAPE_ARRAYS = ("lowest", "highest", "velocity", "acceleration", "lower", "upper")


def _taken_apart(policy: Policy) -> tuple[dict, dict[str, Array]]:
    shape = policy.shape
    meta = {
        "shape": {f.name: getattr(shape, f.name) for f in fields(shape) if f.name not in _SHAPE_ARRAYS},
        "bounds": [policy.states.bound, policy.targets.bound, policy.spread_bound],
        "about": policy.about,
    }
    arrays = {f"shape.{name}": getattr(shape, name) for name in _SHAPE_ARRAYS}
    arrays.update({f"white.{f.name}": getattr(policy.white, f.name) for f in fields(Whitening)})
    arrays.update(
        {
            "states.mean": policy.states.mean,
            "states.factor": policy.states.factor,
            "states.low": policy.states.low,
            "states.high": policy.states.high,
            "targets.points": policy.targets.points,
            "targets.factor": policy.targets.factor,
        }
    )
    arrays.update({name: getattr(policy, name) for name in ("theta", "mu", "rotor_inertia", "precision", "members")})
    return meta, arrays


def _put_together(meta: dict, arrays: dict[str, Array], path: str) -> Policy:
    try:
        given = _present_keys(meta["shape"])
        arrays = _present_keys(arrays)
        given["joints"] = tuple(map(str, given["joints"]))
        shape = Shape(**given, **{name: arrays[f"shape.{name}"] for name in _SHAPE_ARRAYS})
        _check_numbers(shape)
        n, nt = shape.n, shape.nt
        goal_size = sum(int(np.prod(s)) for s in shape.goal_layout().values())
        sizes = {
            "theta": (shape.size,),
            "rotor_inertia": (n,),
            "precision": (n, n),
            **{f"states.{key}": (2 * n,) for key in ("mean", "low", "high")},
            "states.factor": (2 * n, 2 * n),
            "targets.factor": (nt, nt),
            "white.target_mean": (nt,),
            "white.target_deviation": (nt,),
            "white.mean": (3 * n,),
            "white.deviation": (3 * n,),
            **{f"shape.{name}": (n,) for name in _SHAPE_ARRAYS},
        }
        for name, size in sizes.items():
            if arrays[name].shape != size:
                raise ValueError(f"'{name}' has shape {arrays[name].shape}, expected {size}")
        if (
            arrays["targets.points"].ndim != 2
            or arrays["targets.points"].shape[1] != nt
            or not arrays["targets.points"].size
        ):
            raise ValueError("'targets.points' has the wrong shape")
        if arrays["mu"].ndim != 1 or arrays["members"].ndim != 2 or arrays["members"].shape[1] != goal_size:
            raise ValueError("'mu' or 'members' has the wrong shape")
        for name in ("white.deviation", "white.target_deviation", "shape.velocity", "shape.acceleration"):
            if (arrays[name] <= 0.0).any():
                raise ValueError(f"'{name}' must be positive")
        if (arrays["states.high"] <= arrays["states.low"]).any() or min(map(float, meta["bounds"])) <= 0.0:
            raise ValueError("the taught region is empty")
        if (arrays["mu"] < 0.0).any() or (arrays["rotor_inertia"] < 0.0).any():
            raise ValueError("masses and inertias must not be negative")
        state_bound, target_bound, spread_bound = map(float, meta["bounds"])
        return Policy(
            shape,
            Whitening(*(arrays[f"white.{f.name}"] for f in fields(Whitening))),
            arrays["theta"],
            arrays["mu"],
            arrays["rotor_inertia"],
            arrays["precision"],
            Region(*(arrays[f"states.{key}"] for key in ("mean", "factor", "low", "high")), state_bound),
            Neighbors(arrays["targets.points"], arrays["targets.factor"], target_bound),
            arrays["members"],
            spread_bound,
            dict(meta["about"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: does not hold a policy: {type(error).__name__}: {error}") from None


def _present_keys(entries: dict[str, Any]) -> dict[str, Any]:
    """`entries` under the names that are written today."""
    return {FORMER_KEYS.get(key, key): value for key, value in entries.items()}


def _check_numbers(shape: Shape) -> None:
    if shape.kind not in TARGETS:
        raise ValueError(f"unknown kind of target {shape.kind!r}")
    for name, most in (("nt", 1000), ("tasks", 1000), ("goal_units", 1024), ("gain_units", 1024)):
        value = getattr(shape, name)
        if not (isinstance(value, int) and 1 <= value <= most):
            raise ValueError(f"'{name}' must be a whole number of 1 to {most}, got {value!r}")
    if not (0.0 < shape.window <= 1.0 and 0.0 < shape.inertia_scale <= 1.0):
        raise ValueError(
            f"'window' and 'inertia_scale' must lie in (0, 1], got {shape.window!r}, {shape.inertia_scale!r}"
        )
