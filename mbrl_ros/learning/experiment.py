"""One method on one task for several seeds and settings, kept seed by seed, so that an interrupted experiment goes on.

The result is {"method", "task", "seeds": {seed: [{"step", "return", "acted"[, "predicted_return"]}]}}, one entry per
episode; `step` counts the steps of all episodes so far; "settings" holds those of the method that were changed, where
there are any. A seed's entries depend on method, settings, task, seed and the number of episodes alone. A sweep has
{"method", "task"[, "settings"], "sweep": [{"settings", "seeds"}]}, a point of its grid after the other.

Every seed of every point is a job (console/jobs.py); where there is one seed to run, it has the workers to itself, for
the members of its ensemble.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..console.jobs import finished_jobs, worker_count
from ..console.verdict import PASS, Verdict
from ..exceptions import ConfigurationError, DataError
from ..files import read_text, written_whole
from ..tasks.catalog import make_task
from ..tasks.recording import RECORDING_SOLVED, RECORDING_TASK
from . import offline
from .base import Episode
from .catalog import learner

Entry = dict[str, Any]
MOST_BYTES = 1 << 20  # of a file of one seed
MOST_OF_SWEEP = 1000  # of the grid of a sweep


def run_experiment(
    method: str,
    task: str,
    seeds: Sequence[int],
    episodes: int,
    folder: Path | None = None,
    show: Callable[[str], None] = lambda line: None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run `episodes` episodes for each seed; return the result.

    Parameters
    ----------
    folder
        Where each seed's entries are kept and, if they are there already, taken from; None: nowhere.
    show
        Is told how far it is, in one line.
    settings
        Those of the method that differ from their defaults, by name.

    Raises
    ------
    ConfigurationError : there is no such method, task or setting
    DataError : a file in `folder` is none that was kept there
    """
    head = _head(method, task, dict(settings or {}))
    return {**head, "seeds": _run_points([head], [folder], seeds, episodes, show)[0]}


def run_sweep(
    method: str,
    task: str,
    grid: Mapping[str, Sequence[Any]],
    seeds: Sequence[int],
    episodes: int,
    folder: Path | None = None,
    show: Callable[[str], None] = lambda line: None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run every combination of the values of `grid`, {setting: its values}, for each seed; return the result.

    The other parameters are those of `run_experiment`; the seeds of a point are kept in a folder of `folder` with its
    name.

    Raises
    ------
    ConfigurationError : there is no such method, task or setting, the grid is too large, or sets what `settings` sets
    DataError : a file in `folder` is none that was kept there
    """
    fixed = dict(settings or {})
    if twice := sorted(fixed.keys() & grid.keys()):
        raise ConfigurationError("is set and swept over; choose one", key=twice[0], value=fixed[twice[0]])
    size = math.prod(map(len, grid.values()))
    if size > MOST_OF_SWEEP:
        raise ConfigurationError(f"a sweep has at most {MOST_OF_SWEEP} points, got {size}", key="--sweep", value=size)
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    heads = [_head(method, task, {**fixed, **point}) for point in points]
    folders = [None if folder is None else folder / point_name(point) for point in points]
    for kept in folders:
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
    found = _run_points(heads, folders, seeds, episodes, show)
    sweep = [{"settings": point, "seeds": seeds_of} for point, seeds_of in zip(points, found, strict=True)]
    return {**_head(method, task, fixed), "sweep": sweep}


def point_name(point: Mapping[str, Any]) -> str:
    """Return the name of the folder of a point of a sweep, of its settings and their values."""
    return " ".join(f"{key}={value}" for key, value in point.items()).replace("/", "_")


def _head(method: str, task: str, changed: dict[str, Any]) -> dict[str, Any]:
    """Return what the entries of a seed are kept with; ConfigurationError if there is no such thing."""
    _learned(method, task, changed)
    return {"method": method, "task": task, **({"settings": changed} if changed else {})}


def _learned(method: str, task: str, changed: Mapping[str, Any]) -> Callable[[int, int], Iterator[Episode]]:
    """Return what yields the episodes of (seed, their number); ConfigurationError if there is no such thing."""
    if task.startswith(RECORDING_TASK):
        offline.check(method, changed)
        path = Path(task.removeprefix(RECORDING_TASK))
        return lambda seed, episodes: offline.learn(method, path, seed, episodes, changed)
    learn, built = learner(method, changed), make_task(task)
    return lambda seed, episodes: learn(built, seed, episodes)


def solved_from(task: str) -> float:
    """Return the return from which on an episode of `task` counts as solved; ConfigurationError if there is no task."""
    return RECORDING_SOLVED if task.startswith(RECORDING_TASK) else make_task(task).info.solved


def _run_points(
    heads: Sequence[dict[str, Any]],
    folders: Sequence[Path | None],
    seeds: Sequence[int],
    episodes: int,
    show: Callable[[str], None],
) -> list[dict[str, list[Entry]]]:
    """Return {seed: its entries} for every head: those that were kept, or new ones."""
    pairs = [(point, seed) for point in range(len(heads)) for seed in seeds]
    found: dict[tuple[int, int], list[Entry]] = {}
    for point, seed in pairs:
        path = _kept(folders[point], heads[point], seed, episodes)
        entries = None if path is None else _read(path, {**heads[point], "seed": seed})
        if entries is not None:
            found[point, seed] = entries
    missing = [pair for pair in pairs if pair not in found]
    told = [show] if len(missing) == 1 or worker_count() == 1 else []
    calls = [(heads[point], seed, episodes, folders[point], *told) for point, seed in missing]
    for number, entries in finished_jobs(_run_seed, calls):
        point, seed = missing[number]
        found[point, seed] = entries
        _keep(_kept(folders[point], heads[point], seed, episodes), heads[point], seed, entries)
        if not told:
            show(f"{len(found)}/{len(pairs)}, seed {seed}: return {entries[-1]['return']:.1f}")
    return [{str(seed): found[point, seed] for seed in seeds} for point in range(len(heads))]


def _run_seed(
    head: dict[str, Any],
    seed: int,
    episodes: int,
    folder: Path | None,
    show: Callable[[str], None] = lambda line: None,
) -> list[Entry]:
    """Return the entries of one seed, which are kept in `folder` where the worker has it.

    head: {"method", "task"[, "settings"]}.
    """
    entries: list[Entry] = []
    for episode in _learned(head["method"], head["task"], head.get("settings", {}))(seed, episodes):
        entries.append(_entry(episode, entries))
        show(f"seed {seed}, episode {len(entries)}/{episodes}, return {episode.reward:.1f}")
    if folder is not None and folder.is_dir():
        _keep(_kept(folder, head, seed, episodes), head, seed, entries)
    return entries


def _kept(folder: Path | None, head: dict[str, Any], seed: int, episodes: int) -> Path | None:
    """Return the file of a seed; None: nothing is kept."""
    if folder is None:
        return None
    task = head["task"].replace("/", "_").replace(":", "_")
    return folder / f"{head['method']}_{task}_{episodes}_episodes_seed_{seed}.json"


def _keep(path: Path | None, head: dict[str, Any], seed: int, entries: list[Entry]) -> None:
    """Write the entries of a seed, unless its worker has."""
    if path is not None and not path.exists():
        with written_whole(path) as file:
            file.write(json.dumps({**head, "seed": seed, "episodes": entries}, indent=1).encode())


def _entry(episode: Episode, before: Sequence[Entry]) -> Entry:
    step = (before[-1]["step"] if before else 0) + episode.steps
    entry: Entry = {"step": step, "return": episode.reward, "acted": episode.acted}
    return entry if math.isnan(episode.predicted) else {**entry, "predicted_return": episode.predicted}


def _read(path: Path, head: Entry) -> list[Entry] | None:
    """Return the entries that were kept in `path`; None if there are none."""
    if not path.exists():
        return None
    try:
        content = json.loads(read_text(path, MOST_BYTES))
        entries: list[Entry] = content.pop("episodes")
        same = {"method", "task", "seed"} <= set(content) and content == head
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no episodes of an experiment: remove it, or name another --output") from error
    if not same:
        raise DataError(f"{path} belongs to another experiment: remove it, or name another --output")
    return entries


def judge(result: dict[str, Any], solved: float) -> Verdict:
    """Judge an experiment: with every seed some episode's return is `solved` or more."""
    best = {seed: max(entry["return"] for entry in entries) for seed, entries in result["seeds"].items()}
    missed = [seed for seed, value in best.items() if not value >= solved]
    if not missed:
        return PASS
    returns = ", ".join(f"{best[seed]:.1f}" for seed in missed)
    return Verdict(
        False,
        f"{result['method']} did not solve {result['task']} with {len(missed)} of {len(best)} seeds "
        f"({', '.join(missed)}): best return{'s' if len(missed) > 1 else ''} {returns} of {solved:.0f}",
        None,
        "more --episodes, or another --method",
    )


def judge_sweep(result: dict[str, Any], solved: float) -> Verdict:
    """Judge a sweep: at one of its points at least, with every seed some episode's return is `solved` or more."""
    verdicts = [judge({**result, **point}, solved) for point in result["sweep"]]
    if any(verdict.passed for verdict in verdicts):
        return PASS
    return Verdict(
        False,
        f"{result['method']} did not solve {result['task']} with every seed at any of {len(verdicts)} points",
        None,
        "more --episodes, or other values",
    )
