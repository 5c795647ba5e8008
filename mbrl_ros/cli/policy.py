"""`mbrl policy`: show what a policy file holds, evaluate the policy, or merge several into one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from ._settings import add_node_argument

if TYPE_CHECKING:
    from ..distillation.policy import Policy

HELP = "show what a policy file holds (info), evaluate the policy in simulation (evaluate), or merge several into one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("action", choices=("info", "evaluate", "merge"), help="what to do")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a policy file; for merge: two or more")
    parser.add_argument(
        "--targets", type=int, default=20, metavar="N", help="for evaluate: number of unseen targets (default: 20)"
    )
    parser.add_argument(
        "--payload", type=float, default=0.0, metavar="KG", help="for evaluate: mass at the hand (default: 0)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of targets and noise for evaluate, of the student for merge (default: 0)"
    )
    parser.add_argument(
        "--same-task",
        action="store_true",
        help="for merge: the policies were taught the same task, on different data; otherwise each one's tasks become "
        "further tasks of the student, in the order of the files",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("merged.policy"), metavar="FILE", help="for merge: (default: merged.policy)"
    )
    parser.add_argument(
        "--robot", default="panda", help="for merge: a name from config/ or a YAML file (default: panda)"
    )
    add_node_argument(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE, too")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..distillation.policy import load

    if args.action == "merge":
        return _merge(args)
    if len(args.files) != 1:
        raise ConfigurationError(f"{args.action} takes one policy file, got {len(args.files)}", key="FILE")
    policy = load(args.files[0])
    facts = _evaluated(policy, args) if args.action == "evaluate" else _info(policy)
    _tell(facts, args.json)
    if args.action == "info":
        return 0
    from ..demo.verdict import of_policy

    verdict = of_policy(facts)
    print(verdict.line())
    return verdict.code


def _info(policy: Policy) -> dict[str, Any]:
    """Return what a policy holds."""
    shape = policy.shape
    return {
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
        "taught_targets": sum(len(part.targets.points) for part in policy.taught),
        **policy.about,
    }


def _evaluated(policy: Policy, args: argparse.Namespace) -> dict[str, Any]:
    """Return the numbers of an evaluation in simulation."""
    import numpy as np

    from ..demo import distill
    from ..demo.environment import draw_targets
    from ..demo.policy_evaluation import evaluate_policy
    from ._policies import robot_of

    c = distill.configuration()
    targets = draw_targets(robot_of("panda"), args.targets, 10_000 + args.seed, np.array(distill.HOME_POSE))
    return evaluate_policy(
        lambda: distill.make_environment(c, args.seed, policy=policy),
        targets,
        distill.EVALUATION_SLOT,
        args.payload,
    )


def _merge(args: argparse.Namespace) -> int:
    """Write one student of several policies."""
    from ..distillation.choice import is_choice
    from ..distillation.merge import merge
    from ..distillation.policy import load
    from ..robots import load_robot
    from ._policies import configuration_of

    if all(is_choice(file) for file in args.files):
        return _merge_choices(args)
    configuration = configuration_of(args.robot, args.node)
    settings = configuration.distillation.replace(seed=args.seed)
    policies = [load(file) for file in args.files]
    student, report = merge(policies, load_robot(configuration.robot), settings, same_task=args.same_task)
    student.save(args.output)
    _tell(_info(student), args.json)
    if not args.same_task:
        first = 0
        for file, policy in zip(args.files, policies, strict=True):
            tasks = range(first, first + policy.shape.tasks)
            print(f"{file}: distillation.task {' '.join(map(str, tasks))}")
            first = tasks.stop
    print(f"wrote {args.output}: held-out loss {report.held_out:.4f} after {report.iterations} iterations")
    return 0


def _merge_choices(args: argparse.Namespace) -> int:
    """Write one student of several discrete policies."""
    from ..distillation.choice import load_choice, merge_choices

    if args.same_task:
        raise ConfigurationError("discrete policies are merged each a task of its own", key="--same-task")
    policies = [load_choice(file) for file in args.files]
    student = merge_choices(policies, seed=args.seed)
    student.save(args.output)
    _tell({"options": list(student.options), "features": student.rows.shape[1], "tasks": student.tasks}, args.json)
    first = 0
    for file, policy in zip(args.files, policies, strict=True):
        print(f"{file}: planner.mcts.policy_task {' '.join(map(str, range(first, first + policy.tasks)))}")
        first += policy.tasks
    print(f"wrote {args.output}")
    return 0


def _tell(facts: dict[str, Any], file: Path | None) -> None:
    """Print what was found, and write it to `file`."""
    for key, value in facts.items():
        print(f"{key:20} {value}")
    if file is not None:
        file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
