"""One method on one task for several seeds, kept seed by seed, so that an interrupted experiment goes on.

The result is {"method", "task", "seeds": {seed: [{"step", "return", "acted"[, "predicted_return"]}]}}, one entry per
episode; `step` counts the steps of all episodes so far; "settings" holds those of the method that were changed, where
there are any. A seed's entries depend on method, settings, task, seed and the number of episodes alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..console.verdict import PASS, Verdict
from ..exceptions import DataError
from ..files import read_text, written_whole
from ..tasks.catalog import make_task
from .base import Episode
from .catalog import learner
from .jobs import run_jobs

Entry = dict[str, Any]
MOST_BYTES = 1 << 20  # of a file of one seed


def run_experiment(
    method: str,
    task: str,
    seeds: Sequence[int],
    episodes: int,
    folder: Path | None = None,
    show: Callable[[str], None] = lambda line: None,
    settings: Mapping[str, Any] | None = None,
    jobs: int = 1,
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
    jobs
        How many seeds run at the same time, each in a process of its own; 1: in this one. The result is the same.

    Raises
    ------
    ConfigurationError : there is no such method, task or setting
    DataError : a file in `folder` is none that was kept there
    """
    changed = dict(settings or {})
    learner(method, changed), make_task(task)
    head: dict[str, Any] = {"method": method, "task": task, **({"settings": changed} if changed else {})}
    found: dict[str, list[Entry]] = {}
    told = [show] if jobs == 1 else []
    calls = [(head, seed, episodes, folder, *told) for seed in seeds]
    for seed, entries in zip(seeds, run_jobs(_run_seed, calls, jobs), strict=True):
        found[str(seed)] = entries
        if jobs > 1:
            show(f"{len(found)}/{len(calls)} seeds, seed {seed}: return {entries[-1]['return']:.1f}")
    return {**head, "seeds": found}


def _run_seed(
    head: dict[str, Any],
    seed: int,
    episodes: int,
    folder: Path | None,
    show: Callable[[str], None] = lambda line: None,
) -> list[Entry]:
    """Return the entries of one seed: those kept in `folder`, or new ones, which are kept there.

    head: {"method", "task"[, "settings"]}.
    """
    method, task = head["method"], head["task"]
    kept = None if folder is None else folder / f"{method}_{task}_{episodes}_episodes_seed_{seed}.json"
    entries = None if kept is None else _read(kept, {**head, "seed": seed})
    if entries is not None:
        return entries
    entries = []
    for episode in learner(method, head.get("settings", {}))(make_task(task), seed, episodes):
        entries.append(_entry(episode, entries))
        show(f"seed {seed}, episode {len(entries)}/{episodes}, return {episode.reward:.1f}")
    if kept is not None:
        content = {**head, "seed": seed, "episodes": entries}
        with written_whole(kept) as file:
            file.write(json.dumps(content, indent=1).encode())
    return entries


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
