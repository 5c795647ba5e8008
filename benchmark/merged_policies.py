"""Two policies of different tasks become one: what each does on its own task, and what the merged one does there.

    python benchmark/merged_policies.py [--targets 40] [--seconds 120] [--unbounded] [--json FILE]

Task 0 reaches points with the arm about the demo's home pose, task 1 with the elbow turned to the side (HOMES): the
same points, other postures. Each policy is taught for `--seconds` of simulated time on 60 targets of its own; the
evaluation is on targets that neither saw (`evaluate_policy`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from mbrl_ros.demo import distill
from mbrl_ros.demo.environment import draw_targets
from mbrl_ros.demo.policy_evaluation import evaluate_policy
from mbrl_ros.distillation.merge import merge
from mbrl_ros.distillation.policy import Policy
from mbrl_ros.robots import load_robot

HOMES = (distill.HOME_POSE, (0.5, -0.3, -0.5, -2.0, 0.3, 1.7, 0.8))
SHOWN = ("success_1cm", "success_2cm", "median_mm", "falls", "stops", "max_speed_fraction")


def evaluated(policy: Policy, task: int, number: int, targets: int, unbounded: bool) -> dict[str, object]:
    """Return the numbers of `policy` on task `task`, which is its own `number`."""
    acting = distill.unbounded(policy) if unbounded else policy
    c = distill.configuration(
        reference__home=HOMES[task], distillation__task=number, distillation__tasks=policy.shape.tasks
    )
    points = draw_targets(load_robot(c.robot), targets, 5000 + task, np.array(distill.HOME_POSE))
    found = evaluate_policy(
        lambda: distill.make_environment(c, 300 + task, policy=acting), points, distill.EVALUATION_SLOT, 0.0
    )
    return {name: found[name] for name in SHOWN}


def main() -> None:
    """Teach, merge, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--unbounded", action="store_true", help="the policy acts whatever it observes")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    policies = []
    for task, home in enumerate(HOMES):
        taught = distill.teach_policy(distill.configuration(reference__home=home), args.seconds, 10 + task, fits=4)
        policies.append(taught.policy)
        print(f"task {task}: {taught.numbers}", flush=True)
    c = distill.configuration()
    student, report = merge(policies, load_robot(c.robot), c.distillation)
    print(f"merged: held-out loss {report.held_out:.4f}", flush=True)
    results: dict[str, object] = {}
    for task, policy in enumerate(policies):
        for name, one, number in (("own", policy, 0), ("merged", student, task)):
            results[f"task {task}, {name}"] = found = evaluated(one, task, number, args.targets, args.unbounded)
            print(f"task {task}, {name}: {found}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
