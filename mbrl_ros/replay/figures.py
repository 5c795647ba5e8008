"""The pictures of a replay."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..console.colors import ACCENT, INK, PALE, WARN
from ..types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from . import Replay

POINTS = 20_000  # rows drawn; of longer replays every so many


def figures(replay: Replay) -> dict[str, Callable[[], Figure]]:
    """Return {name: what draws it} of the pictures that the replay has data for."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False  # a name with $ is no formula
    columns = _Columns(replay)
    drawn: dict[str, Callable[[], Figure]] = {"motion": lambda: _motion(columns), "inputs": lambda: _inputs(columns)}
    if np.isfinite(columns["nis"]).any():
        drawn = {"prediction": lambda: _prediction(columns), "calibration": lambda: _calibration(columns), **drawn}
    if replay.setup.plan:
        drawn["commands"] = lambda: _commands(columns)
    if np.isfinite(columns["compute_ms"]).any():
        drawn["ticks"] = lambda: _ticks(columns)
    return drawn


class _Columns:
    """The columns of the table, thinned to what can be drawn, with the time axis of all pictures."""

    def __init__(self, replay: Replay):
        self.replay, self.robot = replay, replay.setup.robot
        self._every = max(1, len(replay.table) // POINTS)
        self._known: dict[str, Array] = {}
        self.arrived, stamp = self["time"], self["stamp"]
        rising = bool((np.diff(stamp) >= 0.0).all())  # a clock that jumps makes no axis
        self.time = stamp - stamp[0] if rising else self.arrived
        self.axis = "time [s]" if rising else "time in the bag [s]"
        self.names = short_names(self.robot.joints)

    def __getitem__(self, name: str) -> Array:
        if name not in self._known:
            self._known[name] = self.replay.table.column(name, self._every)
        return self._known[name]


def short_names(joints: Sequence[str]) -> list[str]:
    """Return the names without the prefix that all share, up to an underscore."""
    prefix = os.path.commonprefix(list(joints))
    cut = prefix.rfind("_") + 1 if len(joints) > 1 else 0
    return [joint[cut:][-14:] for joint in joints]


def _figure(rows: int, height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, height), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.01)
    return figure, axes


def _mark(c: _Columns, axes: Iterable[Any]) -> None:
    """Draw events as thin lines."""
    times = {round(float(np.interp(event.time, c.arrived, c.time)), 1) for event in c.replay.events if event.time > 0.0}
    for time in sorted(times)[:50]:
        for axis in axes:
            axis.axvline(time, color=PALE, lw=0.7, zorder=0)


def _window(c: _Columns) -> int:
    """Return how many ticks half a second has, at least 5."""
    spacing = np.median(np.diff(c.time)) if c.time.size > 1 else 1.0
    return int(np.clip(0.5 / max(spacing, 1e-6), 5, max(5, c.time.size // 4)))


def _mean(values: Array, window: int) -> Array:
    """Return a running mean of the finite values; NaN where there are none."""
    known = np.isfinite(values)
    kernel = np.ones(window)
    total, count = (
        np.convolve(part, kernel, mode="same") for part in (np.where(known, values, 0.0), known.astype(float))
    )
    return np.where(count > 0.5, total / np.maximum(count, 1.0), np.nan)


def _prediction(c: _Columns) -> Figure:
    figure, (near, far) = _figure(2, 5.6)
    window = _window(c)
    error = (c["innovation"] ** 2).sum(axis=1)
    change = np.full(error.size, np.nan)
    change[1:] = (np.diff(c["qd"], axis=0) ** 2).sum(axis=1)
    change[~np.isfinite(error)] = np.nan
    for axis, pairs, unit, title in (
        (near, (change, error), "rad/s", "One tick ahead: velocities"),
        (far, (c["far_change"], c["far_error"]), "rad", "Ten ticks ahead: positions"),
    ):
        for values, colour, label in zip(pairs, (PALE, ACCENT), ('"no change"', "model"), strict=True):
            axis.semilogy(c.time, np.sqrt(np.maximum(_mean(values, window), 1e-16)), color=colour, lw=1.2, label=label)
        axis.set(ylabel=f"error [{unit}], rms", title=title)
        axis.legend(loc="upper right", frameon=False, ncols=2)
    far.set_xlabel(c.axis)
    _mark(c, (near, far))
    return figure


def _calibration(c: _Columns) -> Figure:
    from matplotlib.figure import Figure
    from scipy.stats import chi2

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    over_time, levels = figure.subplots(1, 2, width_ratios=(2.2, 1))
    nis, bound = c["nis"], c["nis_bound"]
    known = np.isfinite(nis)
    inside = np.where(known, (nis <= bound).astype(float), np.nan)
    over_time.plot(c.time, 100.0 * _mean(inside, 4 * _window(c)), color=ACCENT, lw=1.2, label="inside, running mean")
    over_time.axhline(95.0, color=WARN, lw=1, ls=":", label="95 % predicted")
    over_time.set(ylim=(0, 102), ylabel="ticks inside their 95 % ellipsoid [%]", xlabel=c.axis)
    over_time.legend(loc="lower right", frameon=False)
    _mark(c, (over_time,))
    n, wanted = len(c.robot.joints), np.linspace(0.05, 0.99, 40)
    widening = bound[known] / chi2.ppf(0.95, n)
    observed = [(nis[known] <= widening * chi2.ppf(level, n)).mean() for level in wanted]
    levels.plot([0, 1], [0, 1], color=PALE, lw=1)
    levels.plot(wanted, observed, color=ACCENT, lw=1.4)
    levels.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted share", ylabel="observed share", aspect="equal")
    for axis in (over_time, levels):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _motion(c: _Columns) -> Figure:
    figure, (position, velocity) = _figure(2, 5.0)
    for joint in range(len(c.robot.joints)):
        position.plot(c.time, c["q"][:, joint], lw=1, label=c.names[joint])
        velocity.plot(c.time, c["qd"][:, joint], lw=0.8)
    position.set(ylabel="position [rad or m]", title="What the bag says the robot did")
    position.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    velocity.set(ylabel="velocity [per s]", xlabel=c.axis)
    _mark(c, (position, velocity))
    return figure


def _commands(c: _Columns) -> Figure:
    n = len(c.robot.joints)
    compared = bool(np.isfinite(c["difference"]).any())
    figure, axes = _figure(n + compared, 1.2 * n + 1.8 * compared)
    for joint in range(n):
        axis, recorded = axes[joint], c["u_recorded"][:, joint]
        if np.isfinite(recorded).any():
            axis.plot(c.time, recorded, color=WARN, lw=1.6, alpha=0.55, label="recorded")
        axis.plot(c.time, c["u"][:, joint], color=ACCENT, lw=0.7, label="replayed")
        axis.set_ylabel(c.names[joint], fontsize=8)
    axes[0].legend(loc="upper right", frameon=False, ncols=2, fontsize=8)
    axes[0].set_title(f"Commands ({c.robot.interface})")
    if compared:
        if np.nanmax(c["difference"]) > 0.0:
            axes[-1].semilogy(c.time, np.maximum(c["difference"], 1e-17), ".", ms=2, color=INK)
        else:
            axes[-1].text(0.5, 0.5, "the recorded commands, to the last bit", ha="center", transform=axes[-1].transAxes)
            axes[-1].set_yticks([])
        axes[-1].set_ylabel("difference over\ncommand range", fontsize=8)
    axes[-1].set_xlabel(c.axis)
    _mark(c, axes)
    return figure


def _ticks(c: _Columns) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.0), layout="constrained")
    over_time, histogram = figure.subplots(1, 2, width_ratios=(2, 1))
    known = np.isfinite(c["compute_ms"])
    values, period = c["compute_ms"][known], 1e3 / c.replay.setup.configuration.control.rate
    recorded = c["recorded_compute_ms"][known]
    over_time.semilogy(c.time[known], values, ".", ms=2, color=ACCENT, label="in this replay")
    histogram.hist(values, bins=60, range=(values.min(), np.percentile(values, 99.5) + 1e-9), color=ACCENT)
    titles = [f"here: {_quantiles(values)}"]
    if np.isfinite(recorded).any():
        there = recorded[np.isfinite(recorded)]
        over_time.semilogy(c.time[known], recorded, ".", ms=2, color=INK, label="recorded")
        histogram.hist(
            there, bins=60, range=(there.min(), np.percentile(there, 99.5) + 1e-9), color=INK, histtype="step"
        )
        late = c["late"][known] >= 1.0
        titles.append(f"recorded: {_quantiles(there)}; {late.sum()} a period late")
    over_time.axhline(period, color=WARN, lw=1, label=f"period, {period:.3g} ms")
    over_time.set(xlabel=c.axis, ylabel="computing a tick [ms]")
    over_time.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, ncols=3, markerscale=4)
    histogram.set(xlabel="computing a tick [ms]", yscale="log")
    histogram.set_title("\n".join(titles), fontsize=8)
    for axis in (over_time, histogram):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _quantiles(values: Array) -> str:
    return f"p50 {np.median(values):.3g}   p99 {np.percentile(values, 99):.3g}   max {values.max():.3g}"


def _inputs(c: _Columns) -> Figure:
    figure, (spacing, rejected) = _figure(2, 3.8)
    stamps = c["stamp"]
    apart = 1e3 * np.abs(np.diff(stamps))
    usual = float(np.median(apart)) if apart.size else 1.0
    spacing.plot(c.time[1:], apart, ".", ms=2, color=ACCENT)
    if apart.size and apart.max() > 5.0 * usual:
        spacing.set_yscale("log")
    else:
        spacing.set_ylim(0.0, 2.0 * max(usual, float(apart.max(initial=0.0)) / 1.9))
    spacing.set(ylabel="between ticks [ms],\nby their stamps", title="Inputs")
    rejected.step(c.time, c["rejected"], color=WARN, where="post", label="rejected inputs")
    rejected.step(c.time, c["missed"], color=INK, where="post", label="missed ticks")
    rejected.set(ylabel="so far", xlabel=c.axis)
    rejected.set_ylim(0.0, 1.1 * max(1.0, float(np.nanmax(c["rejected"])), float(np.nanmax(c["missed"]))))
    rejected.legend(loc="upper left", frameon=False)
    _mark(c, (spacing, rejected))
    return figure
