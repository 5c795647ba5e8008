"""The counted program: `python -m mbrl_ros.bench.planner.count FOLDER TOOL`, where FOLDER holds what `save` wrote.

What is counted of every solver is the difference between two calls and one, after a call that is not counted. TOOL is
perf, valgrind, or none: then the solvers are built, so that whatever is compiled for them is compiled.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...exceptions import CompileError
from ..counted_process import LOG, RESULT
from ..counters import CallgrindCounter, Counter, PerfCounter
from . import instruction_set, peers, problems
from .peer import Peer, Runner
from .quadratic import quadratise

JOBS = "jobs.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One solver for one problem: whether an iteration is counted, and with which variant and effort a solution is."""

    problem: str
    horizon: int
    solver: str
    iteration: bool
    variant: str | None
    effort: Any


def save(folder: Path, jobs: Sequence[Job]) -> None:
    """Write what is to be counted."""
    (folder / JOBS).write_text(json.dumps([dataclasses.asdict(job) for job in jobs]), encoding="utf-8")


def runners(job: Job, peer: Peer) -> dict[str, Runner]:
    """Return {"iteration" or "solution": (prepare, run)} of what is counted."""
    found: dict[str, Runner] = {}
    if job.iteration and peer.iteration is not None:
        found["iteration"] = peer.iteration
    for variant in peer.variants:
        if variant.name == job.variant:
            found["solution"] = variant.prepare, functools.partial(variant.run, job.effort)
    return found


def count(runner: Runner, counter: Counter) -> int:
    """Return the instructions of a call: what three calls take less what two of them take."""
    prepare, run = runner
    prepare()
    run()
    gc.collect()
    counter.start()
    first = len(counter.counts())
    counter.mark()
    for calls in (1, 2):
        for _ in range(calls):
            prepare()
            run()
        counter.mark()
    prepare()
    counter.mark()
    counter.mark()
    counter.stop()
    begin, one, three, prepared, end = counter.counts()[first:]
    return (three - one) - (one - begin) - ((prepared - three) - (end - prepared))


def main(folder: Path, tool: str) -> None:
    """Count, and write {problem: {horizon: {solver: {what: instructions, "binaries": paths}}}} into the folder.

    A solver that cannot be built in this process, for the instruction set that the tool needs, has a "reason" instead.
    """
    jobs = [Job(**entry) for entry in json.loads((folder / JOBS).read_text(encoding="utf-8"))]
    counter = None if tool == "none" else PerfCounter() if tool == "perf" else CallgrindCounter(folder / LOG)
    results: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    made: dict[tuple[str, int], Any] = {}
    for job in jobs:
        print(f"{job.problem} H={job.horizon} {job.solver}", flush=True)
        key = job.problem, job.horizon
        if key not in made:
            problem = problems.make(*key)
            made = {key: (problem, quadratise(problem))}
        entry: dict[str, Any] = {}
        try:
            peer = peers.build(job.solver, *made[key])
        except (ImportError, CompileError) as error:
            peer, entry["reason"] = None, str(error)
        if counter is None:
            continue
        if peer is not None:
            entry.update({what: count(runner, counter) for what, runner in runners(job, peer).items()})
            entry["binaries"] = instruction_set.loaded(peer.binaries)
        results.setdefault(job.problem, {}).setdefault(str(job.horizon), {})[job.solver] = entry
        written = folder / "written.json"  # the process may be ended at any time
        written.write_text(json.dumps(results), encoding="utf-8")
        written.replace(folder / RESULT)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
