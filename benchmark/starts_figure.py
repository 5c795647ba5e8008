r"""The figure of doc/benchmarks.md: the first second of the hardest starts, with several controllers.

    python benchmark/starts_figure.py doc/starts.png [--seed 41]

Cells of `mbrl bench robots`, as the bench runs them: half a second at rest, then a motion to the first target. Left,
how far the tip is from where the reference has it; right, the fastest joint over its speed limit. A line that ends is
an arm that was lost, and the mark is where the controller first said that something was wrong.
"""

from __future__ import annotations

import argparse

import numpy as np
from matplotlib.figure import Figure

from mbrl_ros.bench.robots.arms import ARMS
from mbrl_ros.bench.robots.case import prepare
from mbrl_ros.bench.robots.conditions import CONDITIONS
from mbrl_ros.bench.robots.controllers import build
from mbrl_ros.bench.robots.loop import Loop
from mbrl_ros.bench.robots.targets import HOLD_TIME
from mbrl_ros.console.colors import ACCENT, INK, WARN

CELLS = (
    ("panda", "lag20"),
    ("kinova", "lag20"),
    ("ur10", "mass2"),
    ("ur3", "arm0delay+1"),
    ("so100", "arm0delay+1"),
    ("xarm7", "elastic5"),
)
CONTROLLERS = {"mpc": ACCENT, "pid": WARN, "ekf": INK}
END = 1.0  # [s]
LARGEST = 100.0  # [mm] that is drawn


def run(arm: str, condition: str, controller: str, seed: int) -> Loop:
    """Return the loop of one cell after END seconds."""
    case = prepare(ARMS[arm], CONDITIONS[condition], seed, 1)
    made = build(controller, case.robot, case.configuration, case.plant.settings)
    loop = Loop(case.plant, made, case.configuration, lost_states=CONDITIONS[condition].lost_states)
    loop.until(HOLD_TIME)
    loop.go_to(case.course.targets[0])
    loop.until(END)
    return loop


def main() -> None:
    """Draw the figure into the file of the command line, and print what it shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=41, help="of postures and targets (default: 41)")
    args = parser.parse_args()
    figure = Figure(figsize=(9, 1.75 * len(CELLS)), layout="constrained")
    axes = figure.subplots(len(CELLS), 2, sharex=True, squeeze=False)
    for (arm, condition), (left, right) in zip(CELLS, axes, strict=True):
        for controller, color in CONTROLLERS.items():
            loop = run(arm, condition, controller, args.seed)
            rows = loop.rows if loop.lost_at is None else loop.rows[: round(loop.lost_at / loop.dt) + 1]
            t = loop.dt * np.arange(len(rows))
            away = 1e3 * np.array([row.away for row in rows])
            speed = np.array([row.speed.max() for row in rows])
            for axis, values in ((left, away), (right, speed)):
                axis.plot(t, values, color=color, linewidth=1.2, label=controller)
                spoke = loop.spoke()
                if spoke is not None and spoke < len(rows):
                    axis.plot(t[spoke], values[spoke], "o", color=color, markersize=4)
                if loop.lost_at is not None:
                    axis.plot(t[-1], values[-1], "x", color=color, markersize=6)
            lost = "" if loop.lost_at is None else f", lost at {loop.lost_at:.3f} s: {loop.cause}"
            print(f"{arm} {condition} {controller}: {away.max():.1f} mm, {speed.max():.2f} of the speed limit{lost}")
        left.set_title(f"{arm}: {CONDITIONS[condition].meaning}", loc="left", fontsize=9)
        left.set_yscale("symlog", linthresh=1.0)
        left.set_ylim(0.0, LARGEST)
        left.set_yticks([0.0, 1.0, 10.0, 100.0], ["0", "1", "10", "100"])
        left.set_ylabel("from the reference [mm]", fontsize=8)
        right.set_ylim(0.0, 1.2)
        right.axhline(1.0, color=INK, linewidth=0.6, linestyle=":")
        right.set_ylabel("fastest joint [of its limit]", fontsize=8)
        for axis in (left, right):
            axis.axvline(HOLD_TIME, color=INK, linewidth=0.6, linestyle=":")
            axis.tick_params(labelsize=8)
    axes[0][1].legend(fontsize=8, loc="upper left")
    for axis in axes[-1]:
        axis.set_xlabel("time from the first command [s]; a target comes at the dotted line", fontsize=8)
    figure.savefig(args.file, dpi=110)


if __name__ == "__main__":
    main()
