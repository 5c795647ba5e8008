r"""How busy two workers are, and what they take in all: the numbers of doc/scaling.md.

    python benchmark/two_workers.py

Seeds of `pets` (100 rollouts) on `cartpole_swingup`, one after the other and in two workers of every backend that is
installed. For the workers: the share of the time from the first job's begin to the last one's end in which each has a
job in hand, and seconds of the processor in all jobs; beside them what the calling process and all that it started
took, with starting the workers. Times of the processor do not count what other programs on the machine take.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import time
from typing import Any

from mbrl_ros.cli._bench import one_thread
from mbrl_ros.console.jobs import JOB_BACKENDS, run_jobs, workers

TASK, METHOD, SETTINGS = "cartpole_swingup", "pets", {"rollouts": 100}


def timed(seed: int, episodes: int) -> tuple[int, float, float, float, Any]:
    """Return the process, begin and end [s], seconds of the processor, and the result of one seed."""
    from mbrl_ros.learning.experiment import run_experiment

    begin, before = time.time(), time.process_time()
    result = run_experiment(METHOD, TASK, [seed], episodes, settings=SETTINGS)
    return os.getpid(), begin, time.time(), time.process_time() - before, result


def spent() -> float:
    """Return the seconds of the processor that this process and those it waited for took."""
    found = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def main() -> None:
    """Print the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--backends", nargs="+", default=list(JOB_BACKENDS), choices=list(JOB_BACKENDS))
    args = parser.parse_args()
    calls = [(seed, args.episodes) for seed in range(args.seeds)]
    print("| workers | has a job in hand | processor, all jobs [s] | of serial | with start and end [s] | of serial |")
    print("|---|---|---:|---:|---:|---:|", flush=True)
    timed(*calls[0])  # what is compiled and cached once
    serial: tuple[float, float] | None = None
    first: list[Any] = []
    for backend in ("none", *args.backends):
        modules = JOB_BACKENDS.get(backend, ())
        if any(importlib.util.find_spec(module) is None for module in modules):
            continue
        before = spent()
        with workers(1 if backend == "none" else 2, "processes" if backend == "none" else backend):
            found = run_jobs(timed, calls)
        if backend == "processes":
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True)  # so that what they took is known
        total = spent() - before
        jobs = sum(entry[3] for entry in found)
        serial = serial or (jobs, total)
        first = first or [entry[4] for entry in found]
        assert [entry[4] for entry in found] == first, "the result is that of the serial run"
        span = max(entry[2] for entry in found) - min(entry[1] for entry in found)
        busy = [
            sum(end - begin for worker, begin, end, *_ in found if worker == pid) / span
            for pid in dict.fromkeys(entry[0] for entry in found)
        ]
        shares = ", ".join(f"{100 * share:.1f} %" for share in busy)
        print(
            f"| {backend} | {shares} | {jobs:.1f} | {jobs / serial[0]:.3f} | {total:.1f} | {total / serial[1]:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    one_thread()
    main()
