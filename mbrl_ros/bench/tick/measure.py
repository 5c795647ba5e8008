"""What `mbrl bench tick` measures: the instructions of a tick, in a process of its own, and its time, in this one."""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..counted_process import RESULT, run_counted
from ..counters import available
from .count import Job
from .repeated import RepeatedTicks

TICK_MEANINGS = {
    "p50, p99, max": "median, 99th percentile and largest time of one tick, begun at the control rate [us]",
    "thousand instructions": "that the processor retires in a tick, whatever its speed and load",
    "share": "of the whole tick",
}


def measure(job: Job, show: Callable[[str], None]) -> dict[str, Any]:
    """Return what is measured of the job's ticks.

    Parameters
    ----------
    job
        What is measured.
    show
        Is told what is being done.

    Returns
    -------
    dict
        instructions (None where they could not be counted), by_part (of the same sum; empty then), counted_by
        ("perf", "valgrind" or None), reason (None, or why nothing was counted), correction (see count.Counts), p50_us,
        p99_us, max_us (of a tick at the control rate), late_fraction (of the ticks, longer than a period), ticks.
    """
    show("timing")
    times, period = durations(job), 1.0 / job.configuration.control.rate
    p50, p99 = np.percentile(times, (50, 99))
    tool, reason = available()
    counted: dict[str, Any] = {"instructions": None, "by_part": {}, "correction": None}
    if tool:
        show(f"counting with {tool}")
        counted = counted_in_a_process(job, tool)
    return {
        **counted,
        "counted_by": tool or None,
        "reason": reason or None,
        "p50_us": 1e6 * float(p50),
        "p99_us": 1e6 * float(p99),
        "max_us": 1e6 * max(times),
        "late_fraction": float(np.mean(np.array(times) > period)),
        "ticks": job.ticks,
    }


def durations(job: Job) -> list[float]:
    """Return how long [s] each of the job's ticks takes when one begins in every control period."""
    ticks, period, spent = RepeatedTicks(job.configuration, job.recording), 1.0 / job.configuration.control.rate, []
    ticks.run(job.warm_up)
    gc.collect()
    gc.freeze()
    due = time.perf_counter()
    try:
        for _ in range(job.ticks):
            ticks.prepare()
            due = max(due + period, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))
            begin = time.perf_counter()
            ticks.cycle.tick(ticks.arrival)
            spent.append(time.perf_counter() - begin)
    finally:
        gc.unfreeze()
    return spent


def counted_in_a_process(job: Job, tool: str) -> dict[str, Any]:
    """Return instructions, by_part and correction of the job, counted by `tool` in a process of its own.

    Raises
    ------
    MbrlError
        The process failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job.save(folder)
        run_counted("mbrl_ros.bench.tick.count", folder, tool)
        return json.loads((folder / RESULT).read_text(encoding="utf-8"))


def table(result: Mapping[str, Any]) -> str:
    """Return the result as Markdown."""
    times = ", ".join(f"{name} {result[f'{name}_us']:.0f} us" for name in ("p50", "p99", "max"))
    lines = [f"a tick takes {times} ({result['ticks']} ticks at the control rate)"]
    whole = result["instructions"]
    if whole is None:
        return "\n".join([*lines, f"instructions: not counted ({result['reason']})"])
    rows = sorted(result["by_part"].items(), key=lambda entry: -entry[1])
    lines += ["", "| part | thousand instructions | share |", "|---|---:|---:|"]
    lines += [f"| {part} | {value / 1e3:.1f} | {100.0 * value / whole:.1f} % |" for part, value in rows]
    lines += [f"| whole tick | {whole / 1e3:.1f} | 100 % |"]
    lines += [
        "",
        f"counted by {result['counted_by']}; the parts were corrected by {100.0 * result['correction']:+.2f} %",
    ]
    return "\n".join(lines)
