"""`mbrl learn`: learn a task in episodes with one of the methods."""

from __future__ import annotations

import argparse
import json
import platform
import shlex
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from ..files import written_whole
from ._bench import one_thread, writable
from ._numbers import COUNT, SEED_NUMBER
from ._settings import assignments

if TYPE_CHECKING:
    from ..console.verdict import Verdict

HELP = "learn a task in episodes with one of the methods, for several seeds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--method", metavar="NAME", help="how to learn; --list names all")
    parser.add_argument("--task", metavar="NAME", help="what to learn; --list names all, recording:FILE is a recording")
    parser.add_argument("--seeds", nargs="+", type=SEED_NUMBER, default=[0], metavar="SEED", help="(default: 0)")
    parser.add_argument("--episodes", type=COUNT, default=5, metavar="N", help="for each seed (default: %(default)d)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write {method, task, seeds: {seed: [{step, return, ...}]}}"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="keep every seed's episodes there and go on from what is there; write results.csv, curve.png, report.html",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="settings of the method, where it has any",
    )
    parser.add_argument(
        "--jobs",
        type=COUNT,
        default=1,
        metavar="N",
        help="seeds at the same time, each in a process of its own; of a single seed the members of its ensemble"
        " (default: 1)",
    )
    parser.add_argument(
        "--backend",
        default="processes",
        metavar="NAME",
        help="where the jobs run: processes of this machine, dask or ray (default: %(default)s)",
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="of dask's scheduler or of ray; without it both start --jobs workers here"
    )
    parser.add_argument(
        "--sweep",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=V1,V2,...",
        help="every combination of these values of the method's settings, each with all seeds",
    )
    parser.add_argument(
        "--list", action="store_true", help="print methods, tasks and what only a planner solves, and do nothing else"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    one_thread()
    from ..console.jobs import workers
    from ..console.progress import Progress
    from ..learning import report
    from ..learning.base import EPISODE_SEEDS
    from ..learning.catalog import learner
    from ..learning.experiment import judge, judge_sweep, run_experiment, run_sweep, solved_from

    if args.list:
        _list()
        return 0
    for key in ("method", "task"):
        if getattr(args, key) is None:
            raise ConfigurationError(f"--{key} is missing; mbrl learn --list names all", key=f"--{key}")
    if args.episodes > EPISODE_SEEDS:
        raise ConfigurationError(
            f"--episodes must be at most {EPISODE_SEEDS}, got {args.episodes}", key="--episodes", value=args.episodes
        )
    writable(json=args.json)
    changed, grid = assignments(args.set), sweeps(args.sweep)
    learner(args.method, changed)
    solved = solved_from(args.task)
    if args.output is not None:
        import matplotlib  # before the work, not after it

        matplotlib.use("Agg")
        args.output.mkdir(parents=True, exist_ok=True)
    seeds = list(dict.fromkeys(args.seeds))
    options = (seeds, args.episodes, args.output)
    with (
        workers(args.jobs, args.backend, args.cluster),
        Progress(f"{args.method} on {args.task}", quiet=args.quiet) as shown,
    ):
        if grid:
            result = run_sweep(args.method, args.task, grid, *options, shown.show, changed)
        else:
            result = run_experiment(args.method, args.task, *options, shown.show, changed)
    print(report.sweep_table(result) if grid else report.table(result))
    verdict = judge_sweep(result, solved) if grid else judge(result, solved)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
        print(f"wrote {args.json}")
    if args.output is not None:
        if grid:
            report.write_sweep_csv(args.output / "sweep.csv", result)
        else:
            _write(args.output, result, solved, verdict)
        print(f"wrote {args.output / ('sweep.csv' if grid else 'results.csv, curve.png and report.html')}")
    print(verdict.line())
    return verdict.code


def _list() -> None:
    """Print the methods, the tasks, and the problems of a planner."""
    from ..learning.catalog import LEARNING_METHODS
    from ..tasks.catalog import PLANNER_PROBLEMS, TASKS
    from ..tasks.recording import RECORDING_TASK

    listed = {
        "methods": LEARNING_METHODS,
        "tasks": {**TASKS, f"{RECORDING_TASK}FILE": "a recording of a robot: what a model fitted to it predicts"},
        "planner problems, with nothing to learn": {
            name: f"{line}: {command}" for name, (line, command) in PLANNER_PROBLEMS.items()
        },
    }
    for what, names in listed.items():
        print(f"{what}:")
        print("\n".join(f"  {name:<18} {line}" for name, line in names.items()))


def sweeps(entries: Iterable[str]) -> dict[str, list[Any]]:
    """Return {key: its values} of KEY=V1,V2,... entries, without repetitions; values are read as those of --set."""
    grid: dict[str, list[Any]] = {}
    for entry in entries:
        key, _, text = entry.partition("=")
        values = [assignments([f"{key}={value}"])[key] for value in text.split(",")] if text else []
        if not values or key in grid:
            why = "is swept over twice" if key in grid else f"'{entry}' must be KEY=V1,V2,..."
            raise ConfigurationError(why, key=key, value=entry)
        grid[key] = list(dict.fromkeys(values))
    return grid


def _command(result: dict[str, Any]) -> str:
    """Return the command that gives this result."""
    episodes = max(len(entries) for entries in result["seeds"].values())
    words = ["mbrl", "learn", "--method", result["method"], "--task", result["task"], "--seeds", *result["seeds"]]
    changed = [f"{key}={value}" for key, value in result.get("settings", {}).items()]
    return shlex.join([*words, "--episodes", str(episodes), *(["--set", *changed] if changed else [])])


def _write(folder: Path, result: dict[str, Any], solved: float, verdict: Verdict) -> None:
    """Write the result as rows, as a curve and as one page that holds both."""
    from ..codegen.processor import processor_name
    from ..demo.report import page
    from ..learning import report

    report.write_csv(folder / "results.csv", result)
    report.draw(folder / "curve.png", result, solved)
    method, task = result["method"], result["task"]
    text = (
        "Return over the episodes: every seed, the mean and its 95 % confidence band (Student's t), and what the model "
        "predicted where it did. The rows are those of results.csv."
    )
    made = {
        "command": _command(result),
        "processor": processor_name(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "casadi")},
    }
    content = page(
        f"mbrl learn, {method} on {task}",
        verdict,
        f"{method} on {task}",
        text,
        {**report.summary(result, solved), **made},
        {"curve": folder / "curve.png"},
        report.table(result),
    )
    with written_whole(folder / "report.html") as file:
        file.write(content.encode())
