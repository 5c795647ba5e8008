"""A policy: a trained student, the region it was taught in, and where it comes from. Immutable, saved in one file.

Outside of what it was taught the output of a network is arbitrary. Three scores tell how far an input is outside, each
over a bound of its own, so that 1 is the edge of what was seen in teaching:

    state    |R_x ([q; qd] - mean)|,  R_x^T R_x the inverse covariance of the taught states (Mahalanobis distance), and
             the distance of each coordinate from the middle of its taught range
    target   min_i |R_tau (tau - tau_i)|, the distance to the nearest taught target
    spread   root mean square distance between the goals of several goal networks, which agree only where data were

A policy that was merged from several (merge.py) has the region and the targets of each, for that one's tasks, and takes
the smallest score; one that was taught several tasks has one region for all of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from . import storage
from .dataset import ALMOST_NEGATIVE
from .region import LARGEST_PARAMETER, Taught, taught_arrays, taught_parts
from .student import TARGET_NAMES, Shape, Whitening

KIND = "policy"
LARGEST_POLICY = 64 << 20  # of a file: the largest student of the settings' ranges has 150 MB, one in use 100 kB
POLICY_JOINTS, MOST_MEMBERS, MOST_MASSES, MOST_POLICY_TASKS = 64, 16, 1000, 1000
LATEST_VERSION = 2**53
FORMER_KEYS = {"caution": "inertia_scale", "own": "rotor_inertia"}  # what files of earlier revisions call things


@dataclass(frozen=True, eq=False, slots=True)
class Policy:
    """A trained student.

    Attributes
    ----------
    shape, white, theta : (size,) the student (student.py)
    mu : (count,) [kg] point masses, and rotor_inertia (n,): its inertia (inertia.py)
    precision : (n, n) the teacher's mean Q_uu, capped
    taught : where it was taught: one part, or those of the policies it was merged from
    members : (E, goal parameters) further goal networks
    spread_bound : [rad] their largest spread on taught targets
    about : version, samples, teaching seconds, losses, seed, robot
    """

    shape: Shape
    white: Whitening
    theta: Array
    mu: Array
    rotor_inertia: Array
    precision: Array
    taught: tuple[Taught, ...]
    members: Array
    spread_bound: float
    about: dict[str, Any]

    @property
    def version(self) -> int:
        """The number of the policy among those of its trainer; 0: not numbered."""
        return int(self.about.get("version", 0))

    def save(self, path: str | Path) -> None:
        """Write a file, atomically; OSError if the disk does not take it."""
        storage.save(path, KIND, *_taken_apart(self))

    def to_bytes(self) -> bytes:
        """Return the content of its file."""
        return storage.dumps(KIND, *_taken_apart(self))

    def check(self, robot: Robot) -> None:
        """Raise DataError unless the policy was taught on this kind of robot."""
        for what, taught, present in (
            ("joints", self.shape.joints, robot.joints),
            ("interface", self.shape.interface, robot.interface),
            ("robot", self.about.get("robot"), fingerprint(robot)),
        ):
            if taught != present:
                raise DataError(
                    f"the policy was taught on another robot: its {what}: {taught}, this robot's: {present}"
                )


def load(path: str | Path) -> Policy:
    """Read a policy; DataError if the file is damaged, another kind of file or inconsistent."""
    meta, arrays = storage.load(path, KIND, LARGEST_POLICY)
    return _put_together(meta, arrays, str(path))


def from_bytes(content: bytes) -> Policy:
    """Read a policy from what `to_bytes` returned; DataError like `load`."""
    return _put_together(*storage.loads(content, KIND, LARGEST_POLICY), "policy")


def fingerprint(robot: Robot) -> str:
    """Return a hash of what a policy depends on: geometry, joints, limits, end effector."""
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


def _taken_apart(policy: Policy) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return (meta, arrays) of the policy's file."""
    shape = asdict(policy.shape)
    white, (first, *more) = policy.white, policy.taught
    meta = {
        "shape": {name: value for name, value in shape.items() if name not in _SHAPE_ARRAYS},
        "bounds": [first.states.bound, first.targets.bound, policy.spread_bound],
        **({"parts": [[p.first, p.last, p.states.bound, p.targets.bound] for p in policy.taught]} if more else {}),
        "about": policy.about,
    }
    arrays = {
        **{f"shape.{name}": shape[name] for name in _SHAPE_ARRAYS},
        "white.target_mean": white.target_mean,
        "white.target_deviation": white.target_deviation,
        "white.mean": white.mean,
        "white.deviation": white.deviation,
        **taught_arrays(policy.taught),
        "theta": policy.theta,
        "mu": policy.mu,
        "rotor_inertia": policy.rotor_inertia,
        "precision": policy.precision,
        "members": policy.members,
    }
    return meta, arrays


def _put_together(meta: dict[str, Any], arrays: dict[str, Array], path: str) -> Policy:
    """Return the policy of a file; DataError if it is inconsistent."""
    try:
        given, arrays = _present_keys(meta["shape"]), _present_keys(arrays)
        given["joints"] = tuple(map(str, given["joints"]))
        given.update({name: arrays[f"shape.{name}"] for name in _SHAPE_ARRAYS})
        shape = Shape(**given)
        state_bound, target_bound, spread_bound = map(float, meta["bounds"])
        _check_numbers(shape)
        _check_arrays(shape, arrays)
        parts = meta.get("parts", [[0, shape.tasks, state_bound, target_bound]])
        taught = taught_parts(parts, arrays, 2 * shape.n, shape.nt, shape.tasks)
        if not 0.0 < spread_bound <= LARGEST_PARAMETER:
            raise ValueError(f"bounds must lie in (0, {LARGEST_PARAMETER:g}], got {spread_bound:g}")
        return Policy(
            shape=shape,
            white=Whitening(
                target_mean=arrays["white.target_mean"],
                target_deviation=arrays["white.target_deviation"],
                mean=arrays["white.mean"],
                deviation=arrays["white.deviation"],
            ),
            theta=arrays["theta"],
            mu=arrays["mu"],
            rotor_inertia=arrays["rotor_inertia"],
            precision=arrays["precision"],
            taught=taught,
            members=arrays["members"],
            spread_bound=spread_bound,
            about=_checked_about(meta["about"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise DataError(f"{path}: does not hold a policy: {type(error).__name__}: {str(error)[:200]}") from None


def _present_keys(entries: dict[str, Any]) -> dict[str, Any]:
    """Return `entries` under the names that are written today."""
    return {FORMER_KEYS.get(key, key): value for key, value in entries.items()}


def _checked_about(about: Any) -> dict[str, Any]:
    """Return where a policy comes from; ValueError unless its version is a number."""
    if not isinstance(about, dict):
        raise ValueError("'about' must hold names and values")
    version = about.get("version", 0)
    if type(version) is not int or not 0 <= version <= LATEST_VERSION:
        raise ValueError(f"'about.version' must be a whole number of 0 to {LATEST_VERSION}, got {str(version)[:40]!r}")
    return dict(about)


def _check_numbers(shape: Shape) -> None:
    """Raise ValueError where a size or a scale is out of range."""
    if not 1 <= shape.n <= POLICY_JOINTS or not isinstance(shape.interface, str):
        raise ValueError(f"{shape.n} joints, of 1 to {POLICY_JOINTS}")
    if shape.kind not in TARGET_NAMES:
        raise ValueError(f"unknown kind of target {shape.kind!r}")
    for name, value, most in (
        ("nt", shape.nt, 1000),
        ("tasks", shape.tasks, MOST_POLICY_TASKS),
        ("goal_units", shape.goal_units, 1024),
        ("gain_units", shape.gain_units, 1024),
    ):
        if not (type(value) is int and 1 <= value <= most):
            raise ValueError(f"'{name}' must be a whole number of 1 to {most}, got {value!r}")
    if not (0.0 < shape.window <= 1.0 and 0.0 < shape.inertia_scale <= 1.0):
        raise ValueError(
            f"'window' and 'inertia_scale' must lie in (0, 1], got {shape.window!r}, {shape.inertia_scale!r}"
        )


def _check_arrays(shape: Shape, arrays: dict[str, Array]) -> None:
    """Raise ValueError where an array has the wrong shape or sign."""
    n, nt = shape.n, shape.nt
    sizes = {
        "theta": (shape.size,),
        "rotor_inertia": (n,),
        "precision": (n, n),
        "white.target_mean": (nt,),
        "white.target_deviation": (nt,),
        "white.mean": (3 * n,),
        "white.deviation": (3 * n,),
        **{f"shape.{name}": (n,) for name in _SHAPE_ARRAYS},
    }
    for name, size in sizes.items():
        if arrays[name].shape != size:
            raise ValueError(f"'{name}' has shape {arrays[name].shape}, expected {size}")
    mu, members = arrays["mu"], arrays["members"]
    goal_size = sum(int(np.prod(size)) for size in shape.goal_layout().values())
    if mu.ndim != 1 or members.ndim != 2 or members.shape[1] != goal_size:
        raise ValueError("'mu' or 'members' has the wrong shape")
    for what, count, most in (("members", len(members), MOST_MEMBERS), ("mu", mu.size, MOST_MASSES)):
        if count > most:
            raise ValueError(f"'{what}' holds {count}, at most {most}")
    for name, array in arrays.items():
        if array.size and np.abs(array).max() > LARGEST_PARAMETER:
            raise ValueError(f"'{name[:40]}' holds {np.abs(array).max():g}, more than {LARGEST_PARAMETER:g}")
    for name in ("white.deviation", "white.target_deviation", "shape.velocity", "shape.acceleration"):
        if (arrays[name] <= 0.0).any():
            raise ValueError(f"'{name}' must be positive")
    for low, high in (("shape.lowest", "shape.highest"), ("shape.lower", "shape.upper")):
        if (arrays[high] <= arrays[low]).any():
            raise ValueError(f"'{high}' must be above '{low}'")
    P, trace = arrays["precision"], float(np.trace(arrays["precision"]))
    if not trace > 0.0 or np.linalg.eigvalsh(0.5 * (P + P.T))[0] < -ALMOST_NEGATIVE * trace:
        raise ValueError("'precision' has a negative eigenvalue, or none above 0")
    if (mu < 0.0).any() or (arrays["rotor_inertia"] < 0.0).any():
        raise ValueError("masses and inertias must not be negative")
