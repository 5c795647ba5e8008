"""How long a policy takes to decide: in the node, as exported C, and for a new target.

    python benchmark/policy_time.py [POLICY] [--calls 20000] [--json FILE]

POLICY: a file for the Panda, such as the demo's; without one a policy is taught for ten seconds first. "node" is
CompiledPolicy.act with the window before it, as controllers/policy.py calls them every tick; "C" is the file of
`mbrl export`, compiled with -O2 and called in a loop. Random states inside the taught region, caches warm.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from mbrl_ros.demo import distill
from mbrl_ros.distillation.compiled_policy import CompiledPolicy
from mbrl_ros.distillation.export import to_c
from mbrl_ros.distillation.policy import load
from mbrl_ros.distillation.window import Window
from mbrl_ros.robots import load_robot

RATE = 1000.0  # [Hz]
HARNESS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "policy.c"
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e6 * t.tv_sec + 1e-3 * t.tv_nsec;
}
int main(int count, char **words) {
  const long calls = atol(words[1]), rows = 256;
  static double states[256][2 * MBRL_N];
  double target[MBRL_TARGET], scores[2], u[MBRL_N] = {0}, score = 0.0, begin;
  mbrl_policy p;
  long k;
  for (k = 0; k < rows * 2 * MBRL_N; ++k) if (scanf("%lf", &states[k / (2 * MBRL_N)][k % (2 * MBRL_N)]) != 1) return 1;
  for (k = 0; k < MBRL_TARGET; ++k) if (scanf("%lf", &target[k]) != 1) return 1;
  mbrl_policy_reset(&p);
  begin = now();
  for (k = 0; k < 1000; ++k) mbrl_policy_set_target(&p, target, 0, scores);
  printf("%.6f\n", (now() - begin) / 1000.0);
  for (int block = 0; block < 50; ++block) {
    begin = now();
    for (k = 0; k < calls / 50; ++k) score += mbrl_policy_step(&p, states[k % rows], states[k % rows] + MBRL_N, u, u);
    printf("%.6f\n", (now() - begin) / (calls / 50));
  }
  return score < 0.0;
}
"""


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("policy", nargs="?", type=Path)
    parser.add_argument("--calls", type=int, default=20000)
    parser.add_argument("--json")
    args = parser.parse_args()
    c = distill.configuration()
    robot = load_robot(c.robot)
    policy = load(args.policy) if args.policy else distill.teach_policy(c, 10.0, 0).policy
    taught = policy.taught[0]
    states = np.clip(
        np.random.default_rng(0).normal(taught.states.mean, 0.2, (256, 2 * robot.n)),
        taught.states.low,
        taught.states.high,
    )
    target = taught.targets.points[0]
    results = {
        "node": in_python(policy, robot, states, target, args.calls),
        "C": in_c(policy, robot, states, target, args.calls),
    }
    print("| decision | p50 [us] | p99 [us] | a new target [us] |\n|---|---|---|---|")
    for name, (new, times) in results.items():
        p50, p99 = np.percentile(times, (50, 99))
        print(f"| {name} | {p50:.2f} | {p99:.2f} | {new:.1f} |")
        results[name] = {"p50_us": p50, "p99_us": p99, "target_us": new}
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


def in_python(policy, robot, states, target, calls: int) -> tuple[float, np.ndarray]:
    """Return (time for a new target, times of the decisions) [us]."""
    student, window = CompiledPolicy(policy, robot), Window(robot.n, 1.0 / RATE, policy.shape.window)
    u, times = np.zeros(robot.n), []
    begin = time.perf_counter()
    for _ in range(1000):
        student.set_target(target)
    new = 1e3 * (time.perf_counter() - begin)
    for k in range(calls):
        q, qd = states[k % len(states), : robot.n], states[k % len(states), robot.n :]
        begin = time.perf_counter()
        u = student.act(q, qd, *window.update(k / RATE, qd, u)).copy()
        times.append(1e6 * (time.perf_counter() - begin))
    return new, np.array(times)


def in_c(policy, robot, states, target, calls: int) -> tuple[float, np.ndarray]:
    """Return the same of the exported C, with a time per block of calls."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "policy.c").write_text(to_c(policy, robot, RATE), encoding="utf-8")
        (Path(folder) / "main.c").write_text(HARNESS, encoding="utf-8")
        subprocess.run(["cc", "-O2", "-o", "main", "main.c", "-lm"], cwd=folder, check=True)
        rows = " ".join(repr(float(x)) for x in (*states.ravel(), *target))
        output = subprocess.run(
            ["./main", str(calls)], cwd=folder, input=rows, capture_output=True, text=True, check=True
        ).stdout
    new, *times = map(float, output.split())
    return new, np.array(times)


if __name__ == "__main__":
    main()
