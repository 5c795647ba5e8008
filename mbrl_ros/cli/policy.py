"""`mbrl policy`: show what a policy file holds, and evaluate the policy."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "show what a policy file holds (info), or evaluate the policy in simulation (evaluate)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("action", choices=("info", "evaluate"), help="what to do")
    parser.add_argument("file", type=Path, help="a policy file")
    parser.add_argument(
        "--targets", type=int, default=20, metavar="N", help="for evaluate: number of unseen targets (default: 20)"
    )
    parser.add_argument(
        "--payload", type=float, default=0.0, metavar="KG", help="for evaluate: mass at the hand (default: 0)"
    )
    parser.add_argument("--seed", type=int, default=0, help="for evaluate: seed of targets and noise (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE, too")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..demo.verdict import of_policy
    from ..distillation.policy import load

    policy = load(args.file)
    shape = policy.shape
    facts = {
        "joints": list(shape.joints),
        "interface": shape.interface,
        "target": shape.kind,
        "target_size": shape.nt,
        "tasks": shape.tasks,
        "window_s": shape.window,
        "parameters": shape.size,
        "goal_units": shape.goal_units,
        "gain_units": shape.gain_units,
        "point_masses_kg": policy.mu.round(4).tolist(),
        "own_inertias": policy.rotor_inertia.round(4).tolist(),
        "taught_targets": len(policy.targets.points),
        **policy.about,
    }
    if args.action == "evaluate":
        import numpy as np

        from ..demo import distill
        from ..demo.environment import draw_targets
        from ..demo.policy_evaluation import evaluate_policy
        from ._policies import robot_of

        c = distill.configuration()
        targets = draw_targets(robot_of("panda"), args.targets, 10_000 + args.seed, np.array(distill.HOME_POSE))
        facts = evaluate_policy(
            lambda: distill.make_environment(c, args.seed, policy=policy),
            targets,
            distill.EVALUATION_SLOT,
            args.payload,
        )
    for key, value in facts.items():
        print(f"{key:20} {value}")
    if args.json:
        args.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if args.action == "info":
        return 0
    verdict = of_policy(facts)
    print(verdict.line())
    return verdict.code
