"""How much teaching each imitation method needs: several times and seeds, one table.

    python benchmark/distill_teachers.py [--seconds 30 60] [--seeds 5] [--methods clone dagger ...] [--no-refinement]

Panda in MuJoCo, lockstep, no ROS. Targets are uniform in the reachable half space in front of the base; while teaching
the arm visits a new one every two seconds, with a payload of 1.5 kg half of the time; the policy is evaluated on unseen
ones, five seconds each, alone and without a fallback. --no-refinement: end-effector goals straight from the goal
network.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from mbrl_ros.demo import distill
from mbrl_ros.distillation import expression


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["clone", "dagger", "plato", "gps", "mdgps"])
    parser.add_argument("--seconds", nargs="+", type=float, default=[30.0, 60.0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--no-refinement", action="store_true")
    parser.add_argument("--json")
    args = parser.parse_args()
    if args.no_refinement:
        expression.NEWTON_STEPS = 0
    results = []
    for seconds in args.seconds:
        for method in args.methods:
            for seed in range(args.seeds):
                begin = time.perf_counter()
                result = distill.evaluate_method(method, seconds, seed, targets=args.targets)
                results.append({"method": method, "seconds": seconds, "seed": seed, **result})
                print(
                    f"# {method} {seconds:g} s seed {seed}: {result['success_1cm']:.2f} {result['success_2cm']:.2f} "
                    f"({time.perf_counter() - begin:.0f} s)",
                    flush=True,
                )
    print(f"\n{'method':8} {'taught [s]':>10} {'within 1 cm':>18} {'within 2 cm':>18} {'payload 2 cm':>18}")
    for seconds in args.seconds:
        for method in args.methods:
            rows = [r for r in results if (r["method"], r["seconds"]) == (method, seconds)]
            cells = [np.array([r[key] for r in rows]) for key in ("success_1cm", "success_2cm", "payload_2cm")]
            print(f"{method:8} {seconds:10g} " + " ".join(f"{c.mean():9.2f} +- {c.std():4.2f}" for c in cells))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
