"""Tables and plot of the planner's bench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .compare import Results
from .problems import make

STAR_NOTE = "* a QP solver: hot and paced are a whole solution to 1e-6\n"
SOLVER_MEANINGS = {
    "H": "horizon [control periods]",
    "hot p50 / p99 / max": "time of one iteration, called again at once: median, 99th percentile, largest [us]",
    "paced p50 / p99 / max": "the same, called at the control rate, when caches have gone cold [us]",
    "thousand instructions": "that the processor retires in one iteration; they do not depend on its speed or load",
    "solved to 1e-6": "the whole solution from the first guess: its median time [us], iterations, instructions",
    "time, instructions": "of this package's planner, as a share of that of the solver beside 'over'; below 1: less",
    "claim: the worse": "the larger of both shares",
}
SHOWN_QUANTILES = ("p50_us", "p99_us", "max_us")


def table(results: Results) -> str:
    """Format one line per problem, horizon and solver; of a QP solver hot and paced are a whole solution (*)."""
    lines = [
        "| problem | H | solver | instruction set | hot p50 / p99 / max [us] | paced p50 / p99 / max [us] "
        "| thousand instructions | solved to 1e-6: p50 [us] | iterations | thousand instructions |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for problem, horizons in results.items():
        for horizon, solvers in horizons.items():
            for solver, row in solvers.items():
                exact = row["to_1e6"] or {}
                star = " *" if row["whole_solution"] else ""
                cells = [
                    problem,
                    horizon,
                    f"{solver}{star}",
                    row["instruction_set"] or "",
                    _times(row.get("hot")),
                    _times(row.get("paced")),
                    _thousand(row.get("instructions")),
                    _number(exact.get("p50_us")),
                    str(exact.get("iterations", "")),
                    _thousand(exact.get("instructions")),
                ]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def claims(results: Results) -> str:
    """Format what this package's planner takes of every other solver's time and instructions, and the claim."""
    lines = [
        "| problem | H | row | over | view | time | instructions | claim: the worse |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for problem, horizons in results.items():
        for horizon, solvers in horizons.items():
            for solver, row in solvers.items():
                for ours, views in row.get("ratios", {}).items():
                    for view, ratio in views.items():
                        cells = [f"{ratio[key]:.2f}" if ratio[key] else "" for key in ("time", "instructions", "claim")]
                        shown = "one iteration" if view == "iteration" else "solved to 1e-6"
                        lines.append(f"| {problem} | {horizon} | {ours} | {solver} | {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def notes(results: Results) -> list[str]:
    """Return why numbers are missing, and with which instruction set those of the instructions were counted."""
    found: dict[str, None] = {}
    for problem, horizons in results.items():
        for horizon, solvers in horizons.items():
            for solver, row in solvers.items():
                if row["note"]:
                    found[f"{solver}, {problem} H={horizon}: {row['note']}"] = None
                if row["to_1e6_reason"]:
                    found[f"{solver}: no solution to 1e-6 ({row['to_1e6_reason']})"] = None
                if row.get("instructions_reason"):
                    found[f"{solver}: no instructions ({row['instructions_reason']})"] = None
                counted = row.get("counted_set")
                if counted and counted != row["instruction_set"]:
                    text = f"{solver}: instructions counted of its {counted} binary, which {row['counted_by']} can run"
                    found[text] = None
    return list(found)


def _times(quantiles: Mapping[str, float] | None) -> str:
    return " / ".join(_number(quantiles[key]) for key in SHOWN_QUANTILES) if quantiles else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def _thousand(value: float | None) -> str:
    return "" if not value else f"{value / 1e3:.0f}" if value >= 2e4 else f"{value / 1e3:.1f}"


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
