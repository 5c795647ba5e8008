"""Two replays side by side: which commands they would have sent, and how well each predicted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..console.colors import ACCENT, WARN
from ..console.web_page import spelled
from ..exceptions import DataError
from ..files import MEGABYTE, read_text
from ..types import Array
from .figures import short_names
from .table import read_csv

if TYPE_CHECKING:
    from . import Replay


Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two: `columns` {name: (T,)} of its table, the joints of its commands, and its summary."""

    label: str
    joints: tuple[str, ...]
    columns: dict[str, Array]
    summary: dict[str, Any]

    @classmethod
    def of(cls, label: str, replay: Replay) -> Side:
        """Return a replay as a side."""
        rows = [block.copy() for block in replay.table.blocks()]
        columns = np.concatenate(rows) if rows else np.zeros((0, len(replay.table.names)))
        return cls(
            label, replay.setup.robot.joints, dict(zip(replay.table.names, columns.T, strict=True)), replay.summary
        )

    @classmethod
    def load(cls, folder: Path) -> Side:
        """Read the folder that an earlier replay wrote with --output and a CSV table."""
        try:
            summary = json.loads(read_text(folder / "summary.json", 16 * MEGABYTE))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{folder} is no output of a replay: {error}") from None
        columns = read_csv(folder / "ticks.csv")
        return cls(str(folder), tuple(name[2:] for name in columns if name.startswith("u.")), columns, summary)

    def commands(self) -> Array:
        """Return the commands (T, n)."""
        return np.column_stack([self.columns[f"u.{joint}"] for joint in self.joints])


def comparison(a: Side, b: Side) -> dict[str, Any]:
    """Return the ticks in common, the difference of their commands as a fraction of the range used, and both scores."""
    if a.joints != b.joints:
        raise DataError(f"the replays belong to different robots: {list(a.joints)} and {list(b.joints)}")
    stamps, in_a, in_b = _common(a, b)
    result: dict[str, Any] = {
        "a": a.label,
        "b": b.label,
        "ticks_in_common": int(stamps.size),
        "ticks": {"a": a.summary["ticks"], "b": b.summary["ticks"]},
        "prediction": {"a": a.summary["prediction"], "b": b.summary["prediction"]},
        "same_commands": a.summary["commands_sha256"] == b.summary["commands_sha256"]
        if a.summary["commands_sha256"]
        else None,
        "commands": None,
    }
    ua, ub = a.commands()[in_a], b.commands()[in_b]
    known = np.isfinite(ua).all(axis=1) & np.isfinite(ub).all(axis=1)
    if known.any():
        ua, ub, stamps = ua[known], ub[known], stamps[known]
        apart = np.abs(ua - ub)
        span = np.maximum(np.ptp(np.vstack([ua, ub]), axis=0), 1e-12)
        differing = np.flatnonzero(apart.max(axis=1) > 0.0)
        result["commands"] = {
            "first_difference_s": float(stamps[differing[0]] - stamps[0]) if differing.size else None,
            "per_joint": {
                joint: {
                    "rms": float(np.sqrt((apart[:, i] ** 2).mean())),
                    "max": float(apart[:, i].max()),
                    "max_fraction": float(apart[:, i].max() / span[i]),
                }
                for i, joint in enumerate(a.joints)
            },
        }
    return result


def text(result: dict[str, Any]) -> str:
    """Return the comparison as a table."""
    lines = [
        f"A: {result['a']}",
        f"B: {result['b']}",
        f"{result['ticks_in_common']} ticks in common (A {result['ticks']['a']}, B {result['ticks']['b']})",
        f"{'':<18}{'A':>12}{'B':>12}",
    ]
    for key in result["prediction"]["a"]:
        lines.append(
            f"{key:<18}{spelled(result['prediction']['a'][key]):>12}{spelled(result['prediction']['b'][key]):>12}"
        )
    if result["commands"] is None:
        return "\n".join(lines)
    first = result["commands"]["first_difference_s"]
    lines.append("commands agree to the last bit" if first is None else f"commands differ from {first:.3f} s on")
    if first is not None:
        lines.append(f"{'joint':<24}{'rms':>12}{'max':>12}{'max / range':>13}")
        lines += [
            f"{joint:<24}{d['rms']:>12.4g}{d['max']:>12.4g}{d['max_fraction']:>13.4g}"
            for joint, d in result["commands"]["per_joint"].items()
        ]
    return "\n".join(lines)


def draw(a: Side, b: Side, path: Path) -> Path:
    """Draw both sides' commands and prediction errors over time; return `path`."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False  # a name with $ is no formula
    from matplotlib.figure import Figure

    planned = np.isfinite(a.commands()).any() and np.isfinite(b.commands()).any()
    rows = (len(a.joints) if planned else 0) + 1
    figure = Figure(figsize=(11, 1.3 * rows + 1.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    for side, colour in ((a, WARN), (b, ACCENT)):
        time = side.columns["stamp"] - side.columns["stamp"][0]
        for axis, joint, name in zip(axes[:-1], a.joints, short_names(a.joints), strict=True):
            axis.plot(time, side.columns[f"u.{joint}"], color=colour, lw=0.9, alpha=0.8, label=side.label)
            axis.set_ylabel(name, fontsize=8)
        error = np.sqrt(sum(side.columns[f"innovation.{joint}"] ** 2 for joint in side.joints))
        axes[-1].semilogy(time, np.maximum(error, 1e-9), ".", ms=2, color=colour, alpha=0.6, label=side.label)
    axes[-1].set(ylabel="one-step\nerror of qd", xlabel="time [s]")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.01)
    axes[0].legend(loc="upper right", frameon=False, fontsize=8, ncols=2)
    figure.savefig(path, dpi=110)
    return path


def _common(a: Side, b: Side) -> tuple[Array, Rows, Rows]:
    """Return the stamps of the ticks both made, and their rows in both; a stamp that was answered twice counts once."""
    keys = [np.where(np.isfinite(side.columns["decision_status"]), side.columns["stamp"], np.nan) for side in (a, b)]
    finite = [np.flatnonzero(np.isfinite(key)) for key in keys]
    stamps, i, j = np.intersect1d(keys[0][finite[0]], keys[1][finite[1]], return_indices=True)
    return stamps, finite[0][i], finite[1][j]
