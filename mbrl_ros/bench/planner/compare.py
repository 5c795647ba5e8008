"""Compare solvers on a reference problem: times, accuracy, instructions, and the ratios that follow from them."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...exceptions import CompileError, MbrlError
from ..counted_process import RESULT, run_counted
from ..counters import available
from . import instruction_set, peers, timing
from .count import Job, save
from .peer import Peer, Runner, Solved, solved
from .problems import make
from .quadratic import quadratise

Results = dict[str, dict[str, dict[str, dict[str, Any]]]]  # problem, horizon, solver, what is known of it
LONGEST_COUNTED = 0.05  # [s] of a call under valgrind, which makes it some fifty times longer
COUNTING_TIME = 480.0  # [s] for all that is counted, so that the default run ends within 20 minutes
NOT_IN_TIME = f"a call takes longer than {LONGEST_COUNTED:g} s, or all together {COUNTING_TIME / 60:g} minutes"
COMPARED_ROWS = (peers.NATIVE_ROW, peers.PLAIN_ROW)


@dataclasses.dataclass(eq=False, slots=True)
class Comparison:
    """What was measured so far.

    left_out: {solver: why it did not run}; unsolved: {QP solver and problem: why there is no row}; jobs: what is to be
    counted.
    """

    results: Results = dataclasses.field(default_factory=dict)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    unsolved: dict[str, str] = dataclasses.field(default_factory=dict)
    jobs: list[Job] = dataclasses.field(default_factory=list)

    def add(
        self, name: str, horizon: int, solvers: Sequence[str], calls: int, period: float, show: Callable[[str], None]
    ) -> None:
        """Measure the times of the solvers on one problem.

        Parameters
        ----------
        name, horizon
            The problem.
        solvers
            By name; those that cannot run get into left_out.
        calls, period
            See timing.measure; period [s] of the paced mode.
        show
            Is told what is being done.
        """
        problem = make(name, horizon)
        quadratic = quadratise(problem)
        rows: dict[str, dict[str, Any]] = {}
        once: dict[str, Runner] = {}
        exact: dict[str, Solved] = {}
        for solver in solvers:
            show(f"preparing {solver}")
            try:
                peer = peers.build(solver, problem, quadratic)
            except (ImportError, CompileError) as error:
                self.left_out[solver] = str(error)
                continue
            if peer is None:
                continue
            found, reason = solved(quadratic, peer.variants) if peer.variants else (None, peer.reason)
            runner = peer.iteration if peer.iteration is not None else found.runner if found else None
            if runner is None:
                self.unsolved[f"{solver}, {name} H={horizon}"] = reason
                continue
            once[solver], rows[solver] = runner, _row(peer, found, reason)
            if found is not None:
                exact[solver] = found
            self.jobs.append(_job(name, horizon, solver, peer, found))
        for mode, runners, every in (
            ("hot", once, None),
            ("paced", once, period),
            ("to_1e6", {solver: found.runner for solver, found in exact.items()}, None),
        ):
            times = timing.measure(runners, calls, every, functools.partial(show, f"timing {mode}"))
            for solver, quantiles in times.items():
                rows[solver][mode] = {**(rows[solver].get(mode) or {}), **quantiles}
        self.results.setdefault(name, {})[str(horizon)] = rows

    def count(self, show: Callable[[str], None]) -> None:
        """Count the instructions of everything that was timed, in a process of its own."""
        tool, reason = available()
        wanted = [self._short(job) if tool == "valgrind" else job for job in self.jobs if tool]
        # what the claims need comes first: the specification in numpy and in CasADi's interpreter takes the longest
        wanted = sorted(
            (job for job in wanted if job.iteration or job.variant),
            key=lambda job: job.solver in peers.OWN_ROWS and job.solver not in COMPARED_ROWS,
        )
        counted: Results = {}
        if wanted:
            counted, failed = _counted(wanted, tool, show)
            reason = reason or failed
        for job in self.jobs:
            row = self.results[job.problem][str(job.horizon)][job.solver]
            entry = counted.get(job.problem, {}).get(str(job.horizon), {}).get(job.solver, {})
            of_call = entry.get("solution" if row["whole_solution"] else "iteration")
            why = None if of_call else entry.get("reason") or reason or NOT_IN_TIME
            row.update(instructions=of_call, instructions_reason=why, counted_by=tool or None)
            row["counted_set"] = instruction_set.widest(entry.get("binaries", ()))[0]
            if row["to_1e6"]:
                row["to_1e6"]["instructions"] = entry.get("solution")

    def relate(self) -> None:
        """Write into every other solver's row what this package's rows take relative to it."""
        for horizons in self.results.values():
            for rows in horizons.values():
                for solver, row in rows.items():
                    if solver not in peers.OWN_ROWS:
                        row["ratios"] = {ours: ratios(rows[ours], row) for ours in COMPARED_ROWS if ours in rows}

    def _short(self, job: Job) -> Job:
        """Return the job without what takes too long under valgrind."""
        row, longest = self.results[job.problem][str(job.horizon)][job.solver], 1e6 * LONGEST_COUNTED
        solution = bool(row["to_1e6"]) and row["to_1e6"]["p50_us"] <= longest
        return dataclasses.replace(
            job,
            iteration=job.iteration and row["hot"]["p50_us"] <= longest,
            variant=job.variant if solution else None,
        )


def _counted(jobs: Sequence[Job], tool: str, show: Callable[[str], None]) -> tuple[Results, str]:
    """Return what `tool` counts of the jobs, and "" or why it came to an end too early."""
    with tempfile.TemporaryDirectory() as name:
        folder, failed = Path(name), ""
        save(folder, jobs)
        module = "mbrl_ros.bench.planner.count"
        try:
            run_counted(module, folder, tool, lambda line: show(f"counting {line}"), time_limit=COUNTING_TIME)
        except MbrlError as error:  # the times are worth having without
            failed = str(error).splitlines()[-1]
        file = folder / RESULT
        return (json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}), failed


def ratios(ours: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return {view: {time, instructions, claim}} of one row over another, in both views.

    The claim is the larger of both ratios; None where one of the two is not known. A QP solver has no iteration that
    could be compared.
    """
    found: dict[str, Any] = {}
    if not other["whole_solution"]:
        times = ours["hot"]["p50_us"] / other["hot"]["p50_us"]
        found["iteration"] = _ratio(times, ours["instructions"], other["instructions"])
    mine, its = ours["to_1e6"], other["to_1e6"]
    if mine and its:
        counts = mine.get("instructions"), its.get("instructions")
        found["to_1e6"] = _ratio(mine["p50_us"] / its["p50_us"], *counts)
    return found


def _ratio(times: float, ours: float | None, other: float | None) -> dict[str, float | None]:
    counts = ours / other if ours and other else None
    return {"time": times, "instructions": counts, "claim": None if counts is None else max(times, counts)}


def _row(peer: Peer, found: Solved | None, reason: str) -> dict[str, Any]:
    name, why = instruction_set.widest(instruction_set.loaded(peer.binaries))
    return {
        "instruction_set": name,
        "instruction_set_reason": why or None,
        "whole_solution": peer.iteration is None,
        "variant": found.variant.name if found else None,
        "to_1e6": {"iterations": found.iterations, "residual": found.residual} if found else None,
        "to_1e6_reason": reason or None,
        "note": peer.note or None,
    }


def _job(name: str, horizon: int, solver: str, peer: Peer, found: Solved | None) -> Job:
    variant, effort = (found.variant.name, found.effort) if found else (None, None)
    return Job(name, horizon, solver, peer.iteration is not None, variant, effort)
