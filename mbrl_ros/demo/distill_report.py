"""Write the distill scenario as pictures and one page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..console.colors import ACCENT, INK, PALE, WARN
from ..controllers.policy_selection import Mode
from .distill import text
from .environment import TickRecord
from .figures import new_figure
from .report import page
from .verdict import of_distillation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {Mode.TEACH: "#ffffff", Mode.SHADOW: "#e3f2fd", Mode.ACT: "#e8f5e9", Mode.FALLBACK: "#ffebee"}


def write(folder: Path, summary: dict[str, Any], traces: Mapping[str, Sequence[TickRecord]]) -> Path:
    """Write report.html, summary.json and the PNGs into `folder`; return the path of the page.

    `traces`: of the teaching and of an event (environment.TickRecord).
    """
    folder.mkdir(parents=True, exist_ok=True)
    verdict = of_distillation(summary)
    summary = {**summary, "verdict": verdict.to_json()}
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    files = {}
    for name, figure in {
        "errors": _errors(summary["distill"]),
        "teaching": _teaching(traces["teaching"]),
        "event": _event(traces["event"]),
    }.items():
        files[name] = folder / f"{name}.png"
        figure.savefig(files[name], dpi=110)
    path = folder / "report.html"
    path.write_text(
        page(
            f"mbrl_ros distill, seed {summary['distill']['seed']}",
            verdict,
            "A policy learned from the planner" if verdict.passed else "The policy does not meet the requirements",
            "While the planner moved the arm, a neural network learned its commands. Then the network moved the arm "
            "alone: to targets that were not in its training, with and without a payload, and through events that it "
            "had to detect.",
            summary,
            files,
            text(summary),
        ),
        encoding="utf-8",
    )
    return path


def _errors(d: dict[str, Any]) -> Figure:
    """Draw the share of the targets within a distance."""
    figure, (axis,) = new_figure(1, 3.4)
    for name, colour, label in (
        ("unloaded", ACCENT, "alone"),
        ("loaded", INK, f"with {d['loaded']['payload_kg']:g} kg"),
    ):
        errors = np.array([1e3 if e is None else e for e in d[name]["errors_mm"]])
        axis.step(
            np.maximum(errors, 0.1), (1 + np.arange(len(errors))) / len(errors), where="post", color=colour, label=label
        )
    for bound in (10.0, 20.0):
        axis.axvline(bound, color=PALE, ls=":", lw=1.2)
    axis.set(
        xscale="log",
        xlabel="largest distance in the last quarter second of a slot [mm]",
        ylabel="share of unseen targets",
        ylim=(0, 1.02),
        title="Accuracy of the policy (dotted: 1 cm, 2 cm)",
    )
    axis.legend(loc="lower right", frameon=False)
    return figure


def _teaching(trace: Sequence[TickRecord]) -> Figure:
    """Draw the disagreement of each version with the teacher, in shadow."""
    figure, (axis,) = new_figure(1, 3.4)
    times, versions, disagreement = (np.array([row[i] for row in trace], dtype=float) for i in (0, 1, 3))
    axis.semilogy(times[::10], disagreement[::10], color=ACCENT, lw=0.6)
    for version in np.unique(versions[versions > 0]):
        k = (versions == version) & np.isfinite(disagreement)
        axis.axvline(times[versions == version][0], color=WARN, lw=1.0)
        if k.any():
            axis.annotate(
                f"version {version:.0f}\nmedian {np.median(disagreement[k]):.3f}",
                (times[k][0], 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(4, -24),
                textcoords="offset points",
                color=WARN,
                fontsize=8,
            )
    axis.set(
        xlabel="taught [s]",
        ylabel="disagreement\n[of the command range, by Q_uu]",
        title="Student and teacher while the teacher acts",
    )
    return figure


def _event(trace: Sequence[TickRecord]) -> Figure:
    """Draw disagreement and commands in shadow, while the policy acts, and after the planner has taken over."""
    figure, (top, bottom) = new_figure(2, 5.0)
    times, modes, disagreement = (np.array([row[i] for row in trace], dtype=float) for i in (0, 2, 3))
    commands = np.array([row[4] for row in trace])
    edges = np.flatnonzero(np.diff(modes, prepend=modes[0] - 1))
    for first, last in zip(edges, [*edges[1:], len(times) - 1], strict=True):
        mode = Mode(int(modes[first]))
        for axis in (top, bottom):
            axis.axvspan(times[first], times[last], color=COLOURS[mode], zorder=0)
        top.annotate(
            mode.name.lower(),
            (times[first], 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, -12),
            textcoords="offset points",
            color=INK,
        )
    top.semilogy(times, disagreement, color=ACCENT, lw=1.0)
    top.set(ylabel="disagreement", title="In shadow, then acting; the arm is torn away and the planner takes over")
    bottom.plot(times, commands, lw=0.8)
    bottom.set(xlabel="time [s]", ylabel="commands [N m]")
    return figure
