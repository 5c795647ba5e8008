"""How steady this machine is: the same computation every period, alone, without ROS and without a controller.

    python benchmark/machine_jitter.py [--rate 500] [--work 0.0005] [--seconds 10] [--priority 50]

Reported: how late the thread woke, how long the computation took, and by how much that changed from one period to the
next. No controller on the machine can be steadier; compare it with the period of `mbrl bench node`.
"""

from __future__ import annotations

import argparse
import gc
import os
import time

import numpy as np


def work(count: int) -> int:
    """Compute for a time that is proportional to `count`."""
    total = 0
    for k in range(count):
        total += k * k
    return total


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=500.0, help="[Hz]")
    parser.add_argument("--work", type=float, default=5e-4, help="[s], the median it is scaled to while running hot")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--priority", type=int, default=0, help="SCHED_FIFO, where permitted")
    args = parser.parse_args()
    if args.priority:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(args.priority))
    gc.disable()
    hot = []
    for _ in range(400):
        begin = time.perf_counter()
        work(1000)
        hot.append(time.perf_counter() - begin)
    count = round(1000 * args.work / float(np.median(hot)))
    woke, took, begin = [], [], time.perf_counter()
    for k in range(1, round(args.seconds * args.rate)):
        deadline = begin + k / args.rate
        if (left := deadline - time.perf_counter()) > 0.0:
            time.sleep(left)
        started = time.perf_counter()
        work(count)
        woke.append(1e6 * (started - deadline))
        took.append(1e6 * (time.perf_counter() - started))
    print("| [us] | p50 | p99 | max |\n|---|---|---|---|")
    for name, values in (("woke late", woke), ("computed", took), ("change of that", np.abs(np.diff(took)))):
        print(f"| {name} | {np.percentile(values, 50):.0f} | {np.percentile(values, 99):.0f} | {np.max(values):.0f} |")


if __name__ == "__main__":
    main()
