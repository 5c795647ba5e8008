"""How many instructions one decision of a planner takes, in iterations of iLQR of the same run.

    python benchmark/decision_instructions.py mcts [lqr ...]

The decision is that of `mbrl bench family`: P7 of the bench of planners over 30 stages, one plan after others from the
same state, with the planner's default settings. Counted are the user-space instructions, what three calls take less
what two of them take, by the processor's counter where the kernel permits it, else under valgrind, which knows no
AVX-512: what it runs is compiled for x86-64-v3 instead of this processor. An instruction is not a time, but it is the
same on an idle and a busy machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mbrl_ros.bench.counters import CallgrindCounter, PerfCounter, available, under_valgrind
from mbrl_ros.bench.family.decisions import STAGES, decision
from mbrl_ros.bench.planner.count import count
from mbrl_ros.bench.planner.ours import iteration
from mbrl_ros.bench.planner.problems import make

SINGLE = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}


def measure(names: list[str], tool: str, log: Path) -> None:
    """Count, and print a line for each planner; with the tool "none" only compile."""
    problem = make("P7", STAGES)
    runners = {"one iteration": iteration(problem, problem.planner("auto"))}
    runners |= {name: decision(problem, name) for name in names}
    if tool == "none":
        for prepare, run in runners.values():
            prepare()
            run()
        return
    counter = PerfCounter() if tool == "perf" else CallgrindCounter(log)
    found = {name: count(runner, counter) for name, runner in runners.items()}
    for name, instructions in found.items():
        print(
            f"{name}: {instructions} instructions, {instructions / found['one iteration']:.1f} iterations", flush=True
        )


def main() -> int:
    """Count in this process or start it again under valgrind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("planners", nargs="+", metavar="NAME")
    parser.add_argument("--tool", choices=("perf", "valgrind", "none"), help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tool:
        measure(args.planners, args.tool, args.log)
        return 0
    tool, reason = available()
    if not tool:
        print(reason)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        log, environment, words = Path(folder, "log"), {**os.environ, **SINGLE}, list[str]()
        if tool == "valgrind":
            words, needed = under_valgrind(log)
            environment |= needed
        command = [sys.executable, __file__, *args.planners, "--log", str(log), "--tool"]
        subprocess.run([*command, "none"], env=environment, check=True)
        return subprocess.run([*words, *command, tool], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
