"""Table and plot of the planner's bench."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .problems import make

Results = dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]  # problem, horizon, solver, mode, quantile
REFERENCE = "crocoddyl_box"


def table(results: Results) -> str:
    """Format one line per problem, horizon and solver; `ratio` compares hot medians with Crocoddyl's BoxFDDP."""
    lines = [
        "| problem | H | solver | hot p50 / p99 / max [us] | paced p50 / p99 / max [us] | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for problem, horizons in results.items():
        for horizon, solvers in horizons.items():
            reference = solvers.get(REFERENCE, {}).get("hot", {}).get("p50_us")
            for solver, modes in solvers.items():
                cells = [
                    " / ".join(
                        f"{modes[mode][key]:.0f}" if modes[mode][key] >= 20 else f"{modes[mode][key]:.1f}"
                        for key in ("p50_us", "p99_us", "max_us")
                    )
                    if mode in modes
                    else ""
                    for mode in ("hot", "paced")
                ]
                ratio = f"{modes['hot']['p50_us'] / reference:.2f}" if reference and "hot" in modes else ""
                lines.append(f"| {problem} | {horizon} | {solver} | {cells[0]} | {cells[1]} | {ratio} |")
    return "\n".join(lines)


def plot(results: Results, path: Path) -> None:
    """Plot hot medians over the horizon for every problem, and over nx at the most common horizon, as PNG to `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    solvers = list(dict.fromkeys(s for horizons in results.values() for by in horizons.values() for s in by))
    colours = {solver: f"C{i}" for i, solver in enumerate(solvers)}
    figure, axes = pyplot.subplots(1, len(results) + 1, figsize=(4.2 * (len(results) + 1), 4.6), sharey=True)
    for axis, (problem, horizons) in zip(axes, results.items(), strict=False):
        for solver in solvers:
            points = [(int(h), by[solver]["hot"]["p50_us"]) for h, by in horizons.items() if solver in by]
            _draw(axis, points, colours[solver], solver)
        axis.set(title=problem, xlabel="horizon H [ticks]")
    every_horizon = list(dict.fromkeys(h for by in results.values() for h in by))
    common = max(every_horizon, key=lambda h: (sum(h in by for by in results.values()), h == "30"))
    for solver in solvers:
        points = sorted(
            (make(problem, 2).nx, by[common][solver]["hot"]["p50_us"])
            for problem, by in results.items()
            if solver in by.get(common, {})
        )
        _draw(axes[-1], points, colours[solver], solver)
    axes[-1].set(title=f"H = {common}", xlabel="state size nx")
    axes[0].set(ylabel="one iteration, median [us]", yscale="log")
    for axis in axes:
        axis.grid(True, which="both", alpha=0.3)
    handles = [Line2D([], [], marker="o", color=colours[solver], label=solver) for solver in solvers]
    figure.tight_layout(rect=(0.0, 0.08, 1.0, 1.0))
    figure.legend(handles=handles, loc="lower center", ncol=len(solvers))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw(axis: Any, points: Sequence[tuple[int, float]], colour: str, label: str) -> None:
    if points:
        x, y = zip(*points, strict=True)
        axis.plot(x, y, marker="o", color=colour, label=label)
