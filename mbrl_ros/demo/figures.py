"""The pictures of one run: tracking, commands, prediction, ticks and image targets over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..console.colors import ACCENT, INK, PALE, WARN
from ..references.jogging import JOGS
from ..robots import Robot
from ..robots.pose_kinematics import PoseKinematics
from ..scenarios.proportions import length
from ..scenarios.scenario import Scenario
from ..types import Array
from .metrics import Log, tip_error
from .pose_metrics import pose_error, posture_error
from .verdict import POSE_DEG, POSTURE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THINNED = 4  # every so many ticks are drawn where each takes a kinematics

Draw = Callable[[Scenario, Robot, Log, Log], "Figure"]


def figures_of(scenario: Scenario) -> dict[str, Draw]:
    """Return {name: function that draws the picture} for a scenario; it is given scenario, robot, truth and control."""
    found: dict[str, Draw] = {
        "tracking": _tracking,
        "commands": _commands,
        "prediction": _prediction,
        "ticks": _ticks,
    }
    if scenario.slots_of("pose"):
        found["poses"] = _poses
    if any(slot.kind in JOGS for slot in scenario.slots):
        found["jog"] = _jog
    return {**found, "images": _images} if scenario.slots_of("features") else found


def new_figure(rows: int, height: float, **options: Any) -> tuple[Figure, Any]:
    """Make a figure of `rows` axes over the same abscissa, `height` [inches] high; return it and its axes (rows,)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, height), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, 1, sharex=True, **options))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=INK)
    return figure, axes


def _mark(axis: Any, scenario: Scenario, *, label: bool = False) -> None:
    """Mark the beginnings of the slots, and the payload."""
    for slot in scenario.slots:
        axis.axvline(slot.start, color=PALE, lw=0.7, zorder=0)
    if scenario.payload_time is not None:
        axis.axvline(scenario.payload_time, color=WARN, lw=1.4)
        if label:
            axis.annotate(
                f"+{scenario.payload_kg:g} kg",
                (scenario.payload_time, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(4, -10),
                textcoords="offset points",
                color=WARN,
            )


def _tracking(scenario: Scenario, robot: Robot, truth: Log, control: Log) -> Figure:
    images = scenario.slots_of("features")
    figure, axes = new_figure(3 if images else 2, 7.5 if images else 6, height_ratios=(2, 1.2, 1) if images else (2, 1))
    error, speed = axes[0], axes[-1]
    for slot in scenario.slots_of("point") + scenario.slots_of("pose"):
        stamps, distance = tip_error(slot, truth)
        if not len(stamps):
            continue  # the run ended before
        error.semilogy(stamps, 1e3 * np.maximum(distance, 1e-5), color=ACCENT, lw=1.2)
    most = 1e3 * scenario.tolerance
    error.axhline(most, color=INK, ls=":", lw=1, label=length(most))
    error.axhline(1.0, color=INK, ls="--", lw=0.7, label="1 mm")
    error.set(ylabel="end effector to target [mm]", title="Distance to the targets, true position")
    error.legend(loc="upper right", frameon=False)
    if images:
        for slot in images:
            during = (truth["stamp"] >= slot.start) & (truth["stamp"] < slot.end)
            distance = 50.0 * np.linalg.norm(truth["features"][during] - slot.value, axis=1)
            axes[1].semilogy(truth["stamp"][during], np.maximum(distance, 1e-3), color=ACCENT, lw=1.2)
        axes[1].axhline(2.0, color=INK, ls=":", lw=1)
        axes[1].set_ylabel("marker to target\n[% of image width]")
    speed.plot(truth["stamp"], np.abs(truth["qd"] / robot.velocity_limit).max(axis=1), color=INK, lw=0.8)
    speed.axhline(0.95, color=WARN, ls=":", lw=1)
    speed.set(ylabel="fastest joint\nover its limit", xlabel="time [s]", ylim=(0, 1.05))
    for axis in axes:
        _mark(axis, scenario, label=axis is error)
    return figure


def _poses(scenario: Scenario, robot: Robot, truth: Log, control: Log) -> Figure:
    figure, (turn, posture) = new_figure(2, 5)
    kinematics = PoseKinematics(robot)
    for slot in scenario.slots_of("pose"):
        during = (truth["stamp"] >= slot.start) & (truth["stamp"] < slot.end)
        stamps, q = truth["stamp"][during][::THINNED], truth["q"][during][::THINNED]
        if not len(stamps):
            continue  # the run ended before
        angles = pose_error(slot, kinematics, q)[1]
        turn.semilogy(stamps, np.degrees(np.maximum(angles, 1e-5)), color=ACCENT, lw=1.2)
        posture.semilogy(stamps, np.maximum(posture_error(stamps, q, control), 1e-5), color=INK, lw=0.9)
    turn.axhline(POSE_DEG, color=INK, ls=":", lw=1, label=f"{POSE_DEG:g} degrees")
    turn.set(
        ylabel="tool to target [degrees]",
        title="Rotation to the targets, and the joints' distance from their reference",
    )
    turn.legend(loc="upper right", frameon=False)
    posture.axhline(POSTURE, color=WARN, ls=":", lw=1)
    posture.set(ylabel="farthest joint from\nits reference [rad]", xlabel="time [s]")
    for axis in (turn, posture):
        _mark(axis, scenario, label=axis is turn)
    return figure


def _jog(scenario: Scenario, robot: Robot, truth: Log, control: Log) -> Figure:
    figure, axes = new_figure(len(robot.joints), 1.1 * len(robot.joints))
    stamps, period = control["stamp"], float(np.median(np.diff(control["stamp"])))
    asked = np.gradient(control["reference_q"], period, axis=0)
    for i, axis in enumerate(axes):
        axis.plot(truth["stamp"], truth["qd"][:, i], color=ACCENT, lw=1.1, label="true")
        axis.plot(stamps, asked[:, i], color=INK, lw=0.8, ls="--", label="reference")
        axis.set_ylabel(robot.joints[i].replace("panda_", ""), fontsize=8)
        _mark(axis, scenario)
    axes[0].set_title("Velocities of the joints [rad/s or m/s]; lines mark where a stream begins or turns back")
    axes[0].legend(loc="upper right", frameon=False, ncols=2)
    axes[-1].set_xlabel("time [s]")
    return figure


def _commands(scenario: Scenario, robot: Robot, truth: Log, control: Log) -> Figure:
    figure, axes = new_figure(len(robot.joints), 1.3 * len(robot.joints))
    for i, axis in enumerate(axes):
        axis.plot(control["stamp"], control["u"][:, i], color=ACCENT, lw=0.7)
        for bound in (robot.command_lower[i], robot.command_upper[i]):
            axis.axhline(bound, color=WARN, lw=0.8)
        axis.set_ylabel(robot.joints[i].replace("panda_", ""), fontsize=8)
        _mark(axis, scenario, label=i == 0)
    axes[0].set_title(f"Commands ({robot.interface}) and their limits")
    axes[-1].set_xlabel("time [s]")
    return figure


def _prediction(scenario: Scenario, robot: Robot, truth: Log, control: Log) -> Figure:
    figure, (error, nis) = new_figure(2, 5)
    stamps, known = control["stamp"], np.isfinite(control["nis"])
    size = np.where(known, np.linalg.norm(np.nan_to_num(control["innovation"]), axis=1), 0.0)
    change = np.linalg.norm(np.diff(control["qd"], axis=0, prepend=control["qd"][:1]), axis=1)
    for values, color, label in ((change, PALE, '"no change"'), (size, ACCENT, "learned model")):
        error.semilogy(stamps, np.maximum(_root_mean_square(values), 1e-5), color=color, lw=1.1, label=label)
    error.set(ylabel="one-step error of qd [rad/s],\nrms over 0.1 s", title="Prediction")
    error.legend(loc="upper right", frameon=False, ncols=2)
    nis.semilogy(control["stamp"], np.maximum(control["nis"], 1e-2), ".", ms=1.5, color=INK)
    nis.plot(control["stamp"], control["nis_bound"], color=WARN, lw=1, label="95 % bound")
    nis.set(ylabel="normalised innovation\nsquared (NIS)", xlabel="time [s]")
    nis.set_ylim(0.3, 3e3)
    nis.legend(loc="upper right", frameon=False)
    for axis in (error, nis):
        _mark(axis, scenario, label=axis is error)
    return figure


def _root_mean_square(values: Array, window: int = 20) -> Array:
    return np.sqrt(np.convolve(values**2, np.full(window, 1.0 / window), mode="same"))


def _ticks(scenario: Scenario, robot: Robot, truth: Log, control: Log) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axis, (name, label) in zip(
        figure.subplots(1, 3),
        (
            ("compute_ms", "computing a tick [ms]"),
            ("latency_ms", "state received to command sent [ms]"),
            ("period_us", "period [us]"),
        ),
        strict=True,
    ):
        values = control[name][np.isfinite(control[name])]
        axis.spines[["top", "right"]].set_visible(False)
        axis.set(xlabel=label, yscale="log")
        if values.size:
            axis.hist(values, bins=60, range=(values.min(), np.percentile(values, 99.8) + 1e-9), color=ACCENT)
            axis.set_title(
                f"p50 {np.median(values):.3g}   p99 {np.percentile(values, 99):.3g}   max {values.max():.3g}",
                fontsize=9,
            )
        else:
            axis.text(0.5, 0.5, "not timed", ha="center", transform=axis.transAxes)
    return figure


def _images(scenario: Scenario, robot: Robot, truth: Log, control: Log) -> Figure:
    from matplotlib.figure import Figure

    slots = scenario.slots_of("features")
    figure = Figure(figsize=(11, 2.9), layout="constrained")
    for k, (axis, slot) in enumerate(zip(figure.subplots(1, len(slots), squeeze=False)[0], slots, strict=True)):
        during = (truth["stamp"] >= slot.start) & (truth["stamp"] < slot.end)
        path = truth["features"][during]
        axis.set(xlim=(-1, 1), ylim=(1, -1), aspect="equal", xticks=[], yticks=[], title=f"camera {k + 1}")
        if not len(path):
            continue
        axis.plot(path[:, 0], path[:, 1], color=ACCENT, lw=1)
        axis.plot(*path[0], "o", color=INK, ms=4)
        axis.plot(*slot.value, "x", color=WARN, ms=9, mew=2)
    return figure
