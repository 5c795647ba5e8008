"""`mbrl policy`: show what a policy file holds, evaluate the policy, or merge several into one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console.verdict import Verdict, of_merge
from ..exceptions import ConfigurationError
from ._numbers import COUNT, SEED_NUMBER, real, whole
from ._settings import add_node_argument

if TYPE_CHECKING:
    from ..distillation.policy import Policy

STATES_JUDGED = 1000  # of each teacher, after a merge
COMMANDS_APART = (
    0.3  # a merged policy's commands from its teacher's, root mean square over the teacher's (teachers.distances)
)
CHOICE_APART = 0.1  # of a discrete one: mean total variation (choice.choice_distances)

HELP = "show what a policy file holds (info), evaluate the policy in simulation (evaluate), or merge several into one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("action", choices=("info", "evaluate", "merge"), help="what to do")
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a policy file, for info and merge also a discrete one; for merge: two or more",
    )
    parser.add_argument(
        "--targets", type=COUNT, default=20, metavar="N", help="for evaluate: number of unseen targets (default: 20)"
    )
    parser.add_argument(
        "--payload", type=real(0.0), default=0.0, metavar="KG", help="for evaluate: mass at the hand (default: 0)"
    )
    parser.add_argument(
        "--task",
        type=whole(0),
        metavar="N",
        help="for evaluate: which task, of a policy of several (default: 0)",
    )
    parser.add_argument(
        "--seed",
        type=SEED_NUMBER,
        default=0,
        help="of targets and noise for evaluate, of the student for merge (default: 0)",
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
        "--robot", help="for merge, not of discrete policies: a name from config/ or a YAML file (default: panda)"
    )
    add_node_argument(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE, too")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..distillation.choice import is_choice
    from ..distillation.policy import load

    discrete = is_choice(args.files[0])
    _refuse_what_means_nothing(args, discrete)
    if args.action == "merge":
        return _merge_choices(args) if discrete else _merge(args)
    if args.action == "info":
        _tell(_choice_info(args.files[0]) if discrete else _info(load(args.files[0])), args.json)
        return 0
    from ..demo.verdict import of_policy

    facts = _evaluated(load(args.files[0]), args)
    _tell(facts, args.json)
    return _judged(of_policy(facts))


def _refuse_what_means_nothing(args: argparse.Namespace, discrete: bool) -> None:
    """Raise ConfigurationError for an option or a file that the action does not use."""
    if args.action != "merge" and len(args.files) != 1:
        raise ConfigurationError(f"{args.action} takes one policy file, got {len(args.files)}", key="FILE")
    if args.action == "evaluate" and discrete:
        raise ConfigurationError("a discrete policy guides a planner and moves no robot by itself", key="FILE")
    if args.action != "evaluate" and args.task is not None:
        raise ConfigurationError("only evaluate takes a task", key="--task")
    if args.action != "merge" or discrete:
        what = "a merge of discrete policies" if args.action == "merge" else args.action
        for name in ("robot", "node"):
            if getattr(args, name):
                raise ConfigurationError(f"{what} takes no robot", key=f"--{name}")


def _judged(verdict: Verdict) -> int:
    """Print the verdict; return the exit code."""
    print(verdict.line())
    return verdict.code


def _choice_info(file: Path) -> dict[str, Any]:
    """Return what a discrete policy's file holds."""
    from ..distillation.choice import load_choice

    policy = load_choice(file)
    return {
        "options": list(policy.options),
        "tasks": policy.tasks,
        "features": policy.rows.shape[1],
        "hidden_units": len(policy.choice.W1),
        "taught_states": len(policy.rows),
        **policy.about,
    }


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

    task, tasks = args.task or 0, policy.shape.tasks
    if task >= tasks:
        raise ConfigurationError(f"the policy knows tasks 0 to {tasks - 1}, not {task}", key="--task", value=task)
    c = distill.configuration(distillation__task=task, distillation__tasks=tasks)
    targets = draw_targets(robot_of("panda"), args.targets, 10_000 + args.seed, np.array(distill.HOME_POSE))
    return evaluate_policy(
        lambda: distill.make_environment(c, args.seed, policy=policy),
        targets,
        distill.EVALUATION_SLOT,
        args.payload,
    )


def _merge(args: argparse.Namespace) -> int:
    """Write one student of several policies."""
    from ..distillation.inertia import PointMassInertia
    from ..distillation.merge import merge
    from ..distillation.policy import load
    from ..distillation.teachers import distances
    from ..robots import load_robot
    from ._policies import configuration_of

    configuration = configuration_of(args.robot or "panda", args.node)
    settings = configuration.distillation.replace(seed=args.seed)
    policies, robot = [load(file) for file in args.files], load_robot(configuration.robot)
    student, report = merge(policies, robot, settings, same_task=args.same_task)
    far = distances(
        *(student, policies, PointMassInertia(robot)), same_task=args.same_task, count=STATES_JUDGED, seed=args.seed
    )
    student.save(args.output)
    _tell({**_info(student), "distances": [round(d, 4) for d in far]}, args.json)
    if not args.same_task:
        first = 0
        for file, policy in zip(args.files, policies, strict=True):
            tasks = range(first, first + policy.shape.tasks)
            print(f"{file}: distillation.task {' '.join(map(str, tasks))}")
            first = tasks.stop
    print(f"wrote {args.output}: held-out loss {report.held_out:.4f} after {report.iterations} iterations")
    more = "more distillation.goal_units, gain_units or iterations"
    return _judged(of_merge(far, COMMANDS_APART, "the commands differ from the teacher's", more))


def _merge_choices(args: argparse.Namespace) -> int:
    """Write one student of several discrete policies."""
    from ..distillation.choice import choice_distances, load_choice, merge_choices

    if args.same_task:
        raise ConfigurationError("discrete policies are merged each a task of its own", key="--same-task")
    policies = [load_choice(file) for file in args.files]
    student = merge_choices(policies, seed=args.seed)
    student.save(args.output)
    far = choice_distances(student, policies)
    facts = {"options": list(student.options), "features": student.rows.shape[1], "tasks": student.tasks}
    _tell({**facts, "distances": [round(d, 4) for d in far]}, args.json)
    first = 0
    for file, policy in zip(args.files, policies, strict=True):
        print(f"{file}: planner.mcts.policy_task {' '.join(map(str, range(first, first + policy.tasks)))}")
        first += policy.tasks
    print(f"wrote {args.output}")
    return _judged(of_merge(far, CHOICE_APART, "the probabilities differ from the teacher's", "another --seed"))


def _tell(facts: dict[str, Any], file: Path | None) -> None:
    """Print what was found, and write it to `file`."""
    for key, value in facts.items():
        print(f"{key:20} {value}")
    if file is not None:
        file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
