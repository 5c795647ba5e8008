"""The bench's table and plot."""

from __future__ import annotations

from pathlib import Path

from .problems import make

Results = dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]  # problem, horizon, solver, mode, quantile
REFERENCE = "crocoddyl_box"


def table(results: Results) -> str:
    """One line per problem, horizon and solver; `ratio` compares hot medians with Crocoddyl's BoxFDDP."""
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
    """Hot median over the horizon for every problem, and over nx at the horizon most problems have; PNG to `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    solvers = list(dict.fromkeys(s for horizons in results.values() for by in horizons.values() for s in by))
    colours = {solver: f"C{i}" for i, solver in enumerate(solvers)}
    figure, axes = pyplot.subplots(1, len(results) + 1, figsize=(4.2 * (len(results) + 1), 4.6), sharey=True)
    for axis, (problem, horizons) in zip(axes, results.items()):
        for solver in solvers:
            points = [(int(h), by[solver]["hot"]["p50_us"]) for h, by in horizons.items() if solver in by]
            axis.plot(*zip(*points), marker="o", color=colours[solver], label=solver) if points else None
        axis.set(title=problem, xlabel="horizon H [ticks]")
    horizons = list(dict.fromkeys(h for by in results.values() for h in by))
    common = max(horizons, key=lambda h: (sum(h in by for by in results.values()), h == "30"))
    for solver in solvers:
        points = sorted(
            (make(problem, 2).nx, by[common][solver]["hot"]["p50_us"])
            for problem, by in results.items()
            if solver in by.get(common, {})
        )
        axes[-1].plot(*zip(*points), marker="o", color=colours[solver]) if points else None
    axes[-1].set(title=f"H = {common}", xlabel="state size nx")
    axes[0].set(ylabel="one iteration, median [us]", yscale="log")
    for axis in axes:
        axis.grid(True, which="both", alpha=0.3)
    handles = [pyplot.Line2D([], [], marker="o", color=colours[solver], label=solver) for solver in solvers]
    figure.tight_layout(rect=(0.0, 0.08, 1.0, 1.0))
    figure.legend(handles=handles, loc="lower center", ncol=len(solvers))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
