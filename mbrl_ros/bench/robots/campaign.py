"""Run many cells of the bench in several processes, keep each as soon as it is done, and go on where a run ended."""

from __future__ import annotations

import json
import multiprocessing
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...console.progress import Progress
from ...exceptions import ConfigurationError
from .conditions import CONDITIONS, NOMINAL
from .controllers import OURS
from .run import Numbers, Task, attempt

# {arm: {interface: {condition: {controller: {seed: numbers}}}}}
Results = dict[str, dict[str, dict[str, dict[str, dict[str, Numbers]]]]]


@dataclass(frozen=True)
class Choice:
    """What is run. drawn: how many of the arms, drawn by seed, meet a condition other than the nominal; 0: all."""

    arms: tuple[str, ...]
    interfaces: tuple[str, ...]
    conditions: tuple[str, ...]
    controllers: tuple[str, ...]
    seeds: tuple[int, ...]
    targets: int
    drawn: int
    descriptions: Mapping[str, str]
    overrides: Mapping[str, object]


def tasks(choice: Choice) -> list[Task]:
    """Return every cell of a choice; the controllers of one cell follow one another."""
    return [
        Task(
            arm,
            interface,
            condition,
            controller,
            seed,
            choice.targets,
            choice.descriptions.get(arm, ""),
            dict(choice.overrides) if controller == OURS else {},
        )
        for seed in choice.seeds
        for condition in choice.conditions
        for arm in _arms(choice, condition, seed)
        for interface in choice.interfaces
        for controller in choice.controllers
        if interface == "effort" or controller == OURS  # the rivals command efforts
        if not CONDITIONS[condition].interfaces or interface in CONDITIONS[condition].interfaces
    ]


def _arms(choice: Choice, condition: str, seed: int) -> Sequence[str]:
    """Return the arms that meet a condition."""
    if condition == NOMINAL or not 0 < choice.drawn < len(choice.arms):
        return choice.arms
    order = np.random.default_rng([seed, 16]).permutation(len(choice.arms))
    return [choice.arms[i] for i in sorted(order[: choice.drawn])]


def check_folder(folder: Path, chosen: Sequence[Task], *, seeds_given: bool) -> None:
    """Raise ConfigurationError if the runs that `folder` holds are not those of `chosen`, or are not known to be.

    Parameters
    ----------
    folder
        of --resume; it need not exist.
    chosen
        what is to be run.
    seeds_given
        whether the seeds were asked for; new ones never are those of a folder.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"--resume {folder} is not a folder", value=str(folder))
    kept = [entry["task"] for file in sorted(folder.glob("*.json")) if (entry := _entry(file)) is not None]
    if kept and not seeds_given:
        seeds = " ".join(map(str, sorted({task["seed"] for task in kept})))
        raise ConfigurationError(f"{folder} holds runs of other seeds: go on with --seeds {seeds}", value=str(folder))
    for task in chosen:
        entry, wanted = _entry(_file(folder, task)), _plain(task)
        if entry is not None and entry["task"] != wanted:
            other = next(key for key in wanted if entry["task"].get(key) != wanted[key])
            raise ConfigurationError(
                f"{folder} is of another run: '{other}' was {entry['task'].get(other)!r} and is {wanted[other]!r}; "
                "give another folder",
                value=str(folder),
            )


def run_all(chosen: Sequence[Task], jobs: int, folder: Path | None, shown: Progress) -> Results:
    """Run every task that `folder` does not hold yet.

    Parameters
    ----------
    chosen
        the tasks.
    jobs
        processes at a time.
    folder
        where each run is kept in a file of its own, and found again; None: they are not kept.
    shown
        gets a line for every run.

    Returns
    -------
    Results
        Of all the tasks, in their order.
    """
    done = {} if folder is None else {task.path: kept for task in chosen if (kept := _kept(folder, task)) is not None}
    left = [task for task in chosen if task.path not in done]
    if done:
        shown.note(f"{len(done)} of {len(chosen)} runs are in {folder} already")
    begin = time.monotonic()
    for number, (task, numbers) in enumerate(_run(left, jobs), 1):
        done[task.path] = numbers
        if folder is not None:
            _keep(folder, task, numbers)
        rate = (time.monotonic() - begin) / number
        shown.show(f"{describe(task, numbers)}; about {_span(rate * (len(left) - number))} left", number)
    return nested([(task, done[task.path]) for task in chosen])


def nested(pairs: Sequence[tuple[Task, Numbers]]) -> Results:
    """Return the numbers as {arm: {interface: {condition: {controller: {seed: numbers}}}}}."""
    results: Results = {}
    for task, numbers in pairs:
        arm, interface, condition, controller, seed = task.path
        by_condition = results.setdefault(arm, {}).setdefault(interface, {})
        by_condition.setdefault(condition, {}).setdefault(controller, {})[seed] = numbers
    return results


def describe(task: Task, numbers: Numbers) -> str:
    """Return one run in a few words."""
    head = f"{task.arm} {task.interface} {task.condition} {task.controller} seed {task.seed}"
    return f"{head}: {numbers['reached']}/{numbers['targets']}{', ' if numbers['cause'] else ''}{numbers['cause']}"


def _run(left: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Numbers]]:
    """Yield every task with its numbers as they come; with one job in this process."""
    if jobs == 1:
        yield from ((task, attempt(task)) for task in left)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        futures = {pool.submit(attempt, task): task for task in left}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _file(folder: Path, task: Task) -> Path:
    return folder / (re.sub(r"[^\w.+-]", "_", "-".join(task.path)) + ".json")


def _plain(task: Task) -> dict[str, Any]:
    """Return `task` as it is read back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(task)))
    return plain


def _entry(file: Path) -> dict[str, Any] | None:
    """Return what `_keep` wrote to a file; None where there is none."""
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        return {"task": dict(entry["task"]), "numbers": dict(entry["numbers"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _kept(folder: Path, task: Task) -> Numbers | None:
    """Return the numbers of `task` kept in `folder`; None where there are none, of another task, or of a failure."""
    entry = _entry(_file(folder, task))
    if entry is None or entry["task"] != _plain(task) or "failed" in entry["numbers"]:
        return None
    return entry["numbers"]


def _keep(folder: Path, task: Task, numbers: Numbers) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scratch = _file(folder, task).with_suffix(".part")
    scratch.write_text(json.dumps({"task": asdict(task), "numbers": numbers}, indent=1), encoding="utf-8")
    scratch.replace(_file(folder, task))


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120.0 else f"{seconds / 60.0:.0f} min"
