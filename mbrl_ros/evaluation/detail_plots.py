"""Plots of the details of an evaluation: calibration of the intervals, the input gain, and the changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data import Recording
from ..types import Array
from .details import Details
from .horizons import INTERVAL_LEVEL, INTERVAL_LEVELS
from .plots import plain_numbers

RATIO_SHOWN = 10.0  # of a gain to its standard deviation
ERROR_SHOWN = 1e-2  # times the root mean square
ERRORS_AVERAGED = 20  # ticks of the plotted errors


def write_details(folder: Path, recording: Recording, key: tuple[str, str], details: Details) -> Path:
    """Write the figure of the details of (estimator, prior) `key` into `folder`; return the file."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False  # a name with $ is no formula
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    figure = plt.figure(figsize=(14, 11), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=(1.5, 1.0, 1.0))
    _calibration(figure.add_subplot(grid[0, 0]), details, 0, "positions")
    _calibration(figure.add_subplot(grid[0, 1]), details, 1, "velocities")
    _gain(figure.add_subplot(grid[1, :]), recording, details)
    _errors(figure.add_subplot(grid[2, :]), recording, details)
    figure.suptitle(f"{recording.name}: {key[0]} with the {key[1]} prior")
    file = folder / f"{recording.name.split('.')[0]}_details.png"
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file


def _calibration(axis: Any, details: Details, index: int, what: str) -> None:
    """Plot the nominal against the observed share of outcomes inside the intervals, for every horizon."""
    axis.plot([0, 1], [0, 1], color="0.7", lw=1)
    axis.axvline(INTERVAL_LEVEL, color="0.85", lw=1)
    for i, horizon in enumerate(details.horizons):
        at = horizon.coverage()[index]
        steps = f"{horizon.steps} step{'s' if horizon.steps > 1 else ''}"
        for learned, style, label in ((True, ".-", f"{steps}: {at:.3f} at {INTERVAL_LEVEL:g}"), (False, ":", None)):
            observed = [horizon.coverage(level, learned=learned)[index] for level in INTERVAL_LEVELS]
            axis.plot(INTERVAL_LEVELS, observed, style, color=f"C{i}", lw=1.4, label=label)
    axis.plot([], [], color="0.3", ls=":", label="by the model alone")
    axis.set(
        xlabel="nominal share",
        ylabel="observed share",
        title=f"intervals of {what}",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )
    axis.legend(fontsize=8, loc="upper left")


def _gain(axis: Any, recording: Recording, details: Details) -> None:
    """Plot the posterior mean of the input gains over its standard deviation."""
    axis.set(title="input gain over its standard deviation; its sign is certain to 95 % outside of the gray band")
    if details.gain is None:
        axis.text(0.5, 0.5, "nothing is learned of it here", ha="center", va="center", transform=axis.transAxes)
        return
    gain = details.gain
    band = gain.half_width()[:, 0] / gain.std[:, 0]
    axis.fill_between(gain.stamps, -band, band, color="0.85", lw=0)
    for joint, ratio in zip(recording.joints, (gain.mean / gain.std).T, strict=True):
        axis.plot(gain.stamps, ratio.clip(-RATIO_SHOWN, RATIO_SHOWN), lw=0.9, label=joint)
    axis.set_ylim(-1.05 * RATIO_SHOWN, 1.5 * RATIO_SHOWN)
    axis.margins(x=0.01)
    axis.legend(fontsize=7, ncols=len(recording.joints), loc="upper center")


def _errors(axis: Any, recording: Recording, details: Details) -> None:
    """Plot the one-step errors over their root mean square, and where changes are."""
    trace = details.trace
    scale = np.sqrt((trace.error**2).mean(axis=0)) + 1e-300
    r = ((trace.error / scale) ** 2).mean(axis=1)
    axis.semilogy(trace.stamps, np.sqrt(_averaged(r)).clip(ERROR_SHOWN), lw=0.8, color="tab:blue")
    axis.set_ylim(0.8 * ERROR_SHOWN, 3e2)
    plain_numbers(axis)
    for change in details.changes:
        axis.axvline(change.stamp, color="tab:red", lw=1)
        after = "not again" if change.ticks is None else f"after {change.ticks} ticks"
        axis.annotate(
            f"{change.stamp:.2f} s\nas good\n{after}",
            (change.stamp, 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            va="top",
            fontsize=7,
            color="tab:red",
        )
    axis.margins(x=0.01)
    axis.set(
        xlabel="time [s]",
        title=f"one-step error over its root mean square, over {ERRORS_AVERAGED} ticks; red: largest changes, and "
        "when the prediction is as good as before",
    )


def _averaged(r: Array) -> Array:
    """Return the mean of the last ERRORS_AVERAGED values at each tick."""
    total = np.concatenate([np.zeros(1), np.cumsum(r)])
    k = np.arange(1, len(total))
    begin = np.maximum(k - ERRORS_AVERAGED, 0)
    mean: Array = (total[k] - total[begin]) / (k - begin)
    return mean
