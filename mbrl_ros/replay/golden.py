"""A replay to hold later ones against: numbers with tolerances in one .npz, never pickled.

Compared are the ticks by their stamps, every command (as a fraction of its joint's range), the prediction errors of
every tick, the scores and the counts of rejected inputs. The same version on the same machine agrees to the last bit;
another processor or library rounds differently, which is what the tolerance is for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import store
from ..data.store import Owner
from ..exceptions import DataError
from ..types import Array

if TYPE_CHECKING:
    from . import Replay

KIND = "replay"
COMMAND_TOLERANCE = 1e-3  # of a command's range, of the largest prediction error, of a score
DIFFERENCES_SHOWN = 5  # differing ticks that are listed


@dataclass(frozen=True, eq=False)
class Golden:
    """What is compared: stamps (T,) [s], u (T, n) or (T, 0) where nothing was planned, innovation (T, n), span (n,).

    Where there was no innovation it is 0; `span` is the range of the commands.
    """

    owner: Owner
    stamps: Array
    u: Array
    innovation: Array
    span: Array
    scores: dict[str, Any]

    @classmethod
    def of(cls, replay: Replay) -> Golden:
        """Return what is compared of a replay."""
        robot = replay.setup.robot
        made = np.isfinite(replay.table.column("decision_status"))
        u = replay.table.column("u")[made]
        keys = ("messages", "ticks", "rejected", "prediction")
        return cls(
            Owner(robot.joints, robot.interface, 1.0 / replay.setup.configuration.control.rate),
            replay.table.column("stamp")[made],
            u if replay.setup.plan else u[:, :0],
            np.nan_to_num(replay.table.column("innovation")[made]),
            robot.command_upper - robot.command_lower,
            {key: replay.summary[key] for key in keys},
        )

    def save(self, path: Path) -> None:
        """Write it to `path`."""
        store.save(
            path,
            KIND,
            self.owner,
            {
                "stamps": self.stamps,
                "u": self.u,
                "innovation": self.innovation,
                "span": self.span,
                "scores": np.array(json.dumps(self.scores)),
            },
        )

    @classmethod
    def load(cls, path: Path) -> Golden:
        """Read what `save` wrote; DataError if it is another file."""
        _, owner, arrays = store.load(path, KIND)
        try:
            scores = json.loads(str(arrays["scores"]))
            shapes = [arrays[name].shape for name in ("stamps", "u", "innovation", "span")]
            fits = all(key in scores for key in ("messages", "ticks", "rejected")) and scores["prediction"].keys()
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{path} is no golden replay: {type(error).__name__}: {error}") from None
        T, n = shapes[0][0] if shapes[0] else -1, len(owner.joints)
        if not fits or shapes not in ([(T,), (T, width), (T, n), (n,)] for width in (0, n)):
            raise DataError(f"{path} is no golden replay: its arrays have shapes {shapes}")
        return cls(owner, arrays["stamps"], arrays["u"], arrays["innovation"], arrays["span"], scores)


def differences(now: Golden, golden: Golden, tolerance: float = COMMAND_TOLERANCE) -> list[str]:
    """Return what differs by more than `tolerance`, in sentences; empty if nothing does."""
    if now.owner != golden.owner:
        return [
            f"{what}: {getattr(now.owner, what)}, golden {getattr(golden.owner, what)}"
            for what in ("joints", "interface", "dt")
            if getattr(now.owner, what) != getattr(golden.owner, what)
        ]
    lines = [
        f"{key}: {now.scores[key]}, golden {golden.scores[key]}"
        for key in ("messages", "ticks", "rejected")
        if now.scores[key] != golden.scores[key]
    ]
    for key, wanted in golden.scores["prediction"].items():
        found = now.scores["prediction"].get(key)
        if (found is None) != (wanted is None) or found is not None and abs(found - wanted) > tolerance:
            lines.append(f"prediction.{key}: {_number(found)}, golden {_number(wanted)}")
    shared, mine, other = np.intersect1d(now.stamps, golden.stamps, return_indices=True)
    if len(shared) < max(len(now.stamps), len(golden.stamps)):
        lines.append(
            f"{len(now.stamps) - len(shared)} ticks have no counterpart in the golden replay, "
            f"{len(golden.stamps) - len(shared)} of its {len(golden.stamps)} are missing"
        )
    if now.u.shape[1] != golden.u.shape[1]:
        lines.append("commands: one of the two replays was made without planning (--no-plan)")
    else:
        apart = np.abs(now.u[mine] - golden.u[other]) / golden.span[: now.u.shape[1]]
        lines += _worst("command", apart, shared, now, tolerance, "of its range")
    scale = np.abs(golden.innovation).max(initial=1e-12)
    apart = np.abs(now.innovation[mine] - golden.innovation[other]) / scale
    return lines + _worst("prediction error", apart, shared, now, tolerance, "of the largest")


def _worst(what: str, apart: Array, stamps: Array, now: Golden, tolerance: float, unit: str) -> list[str]:
    bad = np.flatnonzero((apart > tolerance).any(axis=1)) if apart.size else np.zeros(0, dtype=int)
    if not bad.size:
        return []
    lines = [
        f"{what}: {bad.size} of {len(stamps)} ticks differ by more than {tolerance:g} {unit}, the first at "
        f"{stamps[bad[0]] - stamps[0]:.3f} s, by up to {apart.max():.3g}"
    ]
    for k in bad[:DIFFERENCES_SHOWN]:
        joint = int(apart[k].argmax())
        lines.append(f"  at {stamps[k] - stamps[0]:9.3f} s: {now.owner.joints[joint]} by {apart[k, joint]:.3g} {unit}")
    return lines


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
