"""Plots of an evaluation: how good the prediction is, and whether its own uncertainty fits its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2

from ..data import Recording
from ..types import Array
from .scores import WITHOUT_U, Trace

LEVELS = np.linspace(0.05, 0.99, 40)
STYLES = {"refit": "-", "output_error": "--", "frozen": ":", "known": "-."}
SECONDS_SHOWN = 3.0  # [s] of the time plots


def write_plots(folder: Path, recording: Recording, traces: dict[tuple[str, str], Trace]) -> list[Path]:
    """Write two figures per recording, what was predicted and how calibrated it was; return the files.

    traces : {(estimator, prior): what it predicted}
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False  # a name with $ is no formula
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    stem = recording.name.split(".")[0]
    best = min(traces, key=lambda key: traces[key].scores().nll)
    files = []
    for name, draw in (("prediction", _prediction), ("calibration", _calibration)):
        figure = draw(plt, recording, traces, best)
        files.append(folder / f"{stem}_{name}.png")
        figure.savefig(files[-1], dpi=110)
        plt.close(figure)
    return files


def _prediction(plt: Any, recording: Recording, traces: dict[tuple[str, str], Trace], best: tuple[str, str]) -> Any:
    """Plot the measured and predicted change of velocity of every joint, for the estimator with the best likelihood."""
    trace = traces[best].scored()
    middle = 0.5 * (trace.stamps[0] + trace.stamps[-1])
    part = trace.where(np.abs(trace.stamps - middle) <= 0.5 * SECONDS_SHOWN)
    n = part.change.shape[1]
    figure, axes = plt.subplots(n, 1, figsize=(10, 1.5 * n + 1), sharex=True, squeeze=False, layout="constrained")
    rows = zip(recording.joints, axes[:, 0], part.change.T, part.error.T, part.std.T, strict=True)
    for joint, axis, change, error, std in rows:
        predicted = change - error
        axis.fill_between(
            part.stamps,
            predicted - 1.96 * std,
            predicted + 1.96 * std,
            color="tab:blue",
            alpha=0.2,
            label="95 % predicted",
        )
        axis.plot(part.stamps, predicted, color="tab:blue", lw=1.2, label="predicted")
        axis.plot(part.stamps, change, "k.", ms=3, label="measured")
        axis.set_ylabel(joint, rotation=0, ha="right", fontsize=8)
        axis.margins(x=0.01)
    axes[0, 0].legend(loc="upper right", ncols=3, fontsize=8)
    axes[-1, 0].set_xlabel("time [s]")
    figure.suptitle(
        f"{recording.name}: change of velocity in one tick [rad/s], {best[0]} with the {best[1]} prior, "
        f"nmse {trace.scores(0.0).nmse_1_qd:.3f}",
        fontsize=10,
    )
    return figure


def _calibration(plt: Any, recording: Recording, traces: dict[tuple[str, str], Trace], best: tuple[str, str]) -> Any:
    """Plot coverage at every level, normalised innovation squared (NIS) over time, and the errors of all."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5), layout="constrained")
    left.plot([0, 1], [0, 1], color="0.7", lw=1)
    colors: dict[str, str] = {}
    for (estimator, prior), trace in traces.items():
        if not estimator.endswith(WITHOUT_U):
            left.plot(
                LEVELS,
                coverage(trace.scored(), LEVELS),
                label=f"{estimator}, {prior}",
                lw=1.2,
                color=colors.setdefault(prior, f"C{len(colors)}"),
                ls=STYLES.get(estimator, "-"),
            )
    left.set(
        xlabel="predicted share",
        ylabel="observed share",
        title="coverage of the predicted ellipsoid",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    left.legend(fontsize=7, loc="upper left")
    trace = traces[best].scored()
    middle.semilogy(trace.stamps, trace.nis, ".", ms=3, color="tab:blue", label=f"NIS of {best[0]}, {best[1]}")
    middle.semilogy(trace.stamps, trace.bound, color="tab:red", lw=1, label="95 % bound")
    plain_numbers(middle)
    middle.set(xlabel="time [s]", title="normalised innovation squared")
    middle.legend(fontsize=7)
    names = [f"{estimator}\n{prior}" for estimator, prior in traces]
    values = [t.scores().nmse_1_qd for t in traces.values()]
    right.barh(range(len(names)), np.minimum(values, 2.0), color="tab:blue")
    for i, value in enumerate(values):
        right.text(min(value, 2.0) + 0.02, i, f"{value:.2f}", va="center", fontsize=7)
    right.axvline(1.0, color="0.5", lw=1)
    right.set_yticks(range(len(names)), names, fontsize=6)
    right.set(xlim=(0, 2.4), title="nmse_1_qd (1: no change; cut at 2)")
    right.invert_yaxis()
    figure.suptitle(recording.name)
    return figure


def plain_numbers(axis: Any) -> None:
    """Label a logarithmic y axis with plain numbers: the usual labels are formulas, which are not parsed here."""
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def coverage(trace: Trace, levels: Array) -> Array:
    """Return the observed share of ticks inside the predicted ellipsoid of each of `levels` (L,).

    The covariance is estimated from few ticks at first, which widens every level's bound by the same factor.
    """
    n = trace.change.shape[1]
    widening = trace.bound / chi2.ppf(0.95, n)
    return np.array([(trace.nis <= widening * chi2.ppf(level, n)).mean() for level in levels])
