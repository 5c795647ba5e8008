"""`mbrl fit-prior`: fit a prior to recordings, or add recordings to its data."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console.jobs import workers
from ..console.progress import Progress
from ..console.verdict import Verdict, of_prior
from ..data import store
from ..data.dataset import Dataset
from ..data.store import Owner
from ..evaluation.scores import LEARNED
from ..exceptions import DataError
from ..robots import Robot
from . import _recordings
from ._numbers import COUNT, real

if TYPE_CHECKING:
    from ..evaluation.prior_fit import Fitted

HELP = "fit a global model to past recordings, as the prior of online learning"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    _recordings.add_arguments(parser, fewest=0)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="PRIOR.npz", help="file to write")
    parser.add_argument("--kind", choices=LEARNED, default="ensemble", help="kind of model")
    parser.add_argument(
        "--dataset",
        type=Path,
        metavar="DATA.npz",
        help="collected transitions: read if the file exists, and written with those of the recordings added; alone, "
        "without FILE, the prior is fitted to them",
    )
    parser.add_argument(
        "--delay",
        type=real(0.0),
        metavar="TICKS",
        help="of the commands, where a recording does not tell it (default: that of control.delay for commands of a "
        "topic, 0 for efforts that were measured)",
    )
    parser.add_argument(
        "--extend", type=Path, metavar="PRIOR.npz", help="a fitted gmm that is to be extended with these recordings"
    )
    parser.add_argument(
        "--jobs",
        type=COUNT,
        default=1,
        metavar="N",
        help="members of an ensemble fitted at the same time, each in a process of its own (default: 1)",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report to FILE as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..evaluation.prior_fit import fit_prior

    if not args.output.parent.is_dir():
        raise DataError(f"{args.output.parent} is no folder; the prior could not be saved")
    past = Dataset.load(args.dataset) if args.dataset and args.dataset.exists() else None
    recordings = []
    for path in args.files:
        recordings.append(_recordings.read(args, path))
        print(recordings[-1].summary())
    first = recordings[0] if recordings else past
    if first is None:
        raise DataError("nothing to fit to: name recordings, or a data set that exists with --dataset")
    robot = _recordings.robot_for(args, first)
    old = None
    if args.extend:
        period = first.owner.dt if isinstance(first, Dataset) else first.period
        _, owner, old = store.load(args.extend, args.kind, store.MOST_OF_MODEL)
        store.check_owner(args.extend, owner, Owner(robot.joints, robot.interface, period))
    with workers(args.jobs), Progress("fit-prior", quiet=args.quiet) as shown:
        fitted = fit_prior(
            recordings,
            robot,
            args.kind,
            dataset=past,
            extend=old,
            delay=args.delay,
            progress=lambda steps: shown.counted("fitting", steps),
        )
    owner = Owner(robot.joints, robot.interface, fitted.data.owner.dt)
    store.save(args.output, args.kind, owner, fitted.arrays)
    if args.dataset and recordings:
        fitted.data.save(args.dataset)
        print(f"{args.dataset}: {len(fitted.data)} transitions of {len(fitted.data.runs)} runs")
    print(f"\n{args.output}: {text(fitted, robot)}")
    print(f"use it with: dynamics.prior: {args.kind}, prior.{args.kind}.file: {args.output}")
    verdict = judged(fitted, robot)
    if args.report:
        args.report.write_text(json.dumps({**facts(fitted, robot), "verdict": verdict.to_json()}, indent=2))
    print(verdict.line())
    return verdict.code


def judged(fitted: Fitted, robot: Robot) -> Verdict:
    """Judge a prior by what it predicts and by what its data tell of the commands."""
    from ..evaluation.identifiability import DIRECTION_ERROR

    gain, untold = fitted.gain, [name for name, (_, told) in fitted.delays.items() if not told]
    nmse = fitted.held_out[fitted.fraction].nmse_1_qd if fitted.held_out else float("nan")
    return of_prior(nmse, gain.unknown(robot.joints), gain.worst, DIRECTION_ERROR, untold)


def text(fitted: Fitted, robot: Robot) -> str:
    """Describe a prior for the user."""
    gain, rate = fitted.gain, 1.0 / fitted.data.owner.dt
    lines = [f"{fitted.kind} prior from {len(fitted.data)} transitions at {rate:.4g} Hz"]
    for name, (ticks, told) in fitted.delays.items():
        how = "told by it" if told else "not told by it: taken as configured"
        lines.append(f"{name}: commands act {ticks:g} ticks later ({how})")
    lines.append("input gain, acceleration by a full command, with its standard error:")
    lines += [
        f"  {joint:<24}{value:11.4g} +- {std:.2g} ({100.0 * error:.1f} %)"
        for joint, value, std, error in zip(robot.joints, gain.gain, gain.std, gain.errors, strict=True)
    ]
    lines.append(f"  worst direction of the commands {100.0 * gain.worst:.1f} %, condition {gain.condition:.3g}")
    lines.append("held-out half, refit with this prior at a fraction of the spread of an unknown robot:")
    lines.append(f"{'fraction':>10} {'nmse_1_qd':>10} {'nmse_10_q':>10} {'nll':>8} {'coverage':>9}")
    for fraction, s in fitted.held_out.items():
        chosen = "  chosen" if fraction == fitted.fraction else ""
        lines.append(
            f"{fraction:10.2f} {s.nmse_1_qd:10.3f} {s.nmse_10_q:10.4f} {s.nll:8.2f} {s.coverage_95:9.3f}{chosen}"
        )
    return "\n".join(lines)


def facts(fitted: Fitted, robot: Robot) -> dict[str, Any]:
    """Return what there is to know of a prior, as JSON values."""
    gain = fitted.gain
    return {
        "kind": fitted.kind,
        "transitions": len(fitted.data),
        "runs": list(fitted.data.runs),
        "fraction": fitted.fraction,
        "held_out": {str(fraction): s.to_json() for fraction, s in fitted.held_out.items()},
        "delays": {name: {"ticks": ticks, "told": told} for name, (ticks, told) in fitted.delays.items()},
        "input_gain": {
            joint: {"mean": float(value), "std": float(std)}
            for joint, value, std in zip(robot.joints, gain.gain, gain.std, strict=True)
        },
        "worst_gain_error": gain.worst,
        "condition": gain.condition,
    }
