"""`mbrl fit-prior`: fit a prior to recordings, or add recordings to its data."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..console.jobs import workers
from ..console.progress import Progress
from ..data import store
from ..data.dataset import Dataset
from ..data.store import Owner
from ..evaluation.scores import LEARNED
from ..exceptions import DataError
from . import _recordings
from ._numbers import COUNT

HELP = "fit a global model to past recordings, as the prior of online learning"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    _recordings.add_arguments(parser)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="PRIOR.npz", help="file to write")
    parser.add_argument("--kind", choices=LEARNED, default="ensemble", help="kind of model")
    parser.add_argument(
        "--dataset",
        type=Path,
        metavar="DATA.npz",
        help="collected transitions: read if the file exists, and written with those of the recordings added",
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
    from ..console.verdict import of_prior
    from ..evaluation.prior_fit import fit_prior

    if not args.output.parent.is_dir():
        raise DataError(f"{args.output.parent} is no folder; the prior could not be saved")
    recordings = []
    for path in args.files:
        recordings.append(_recordings.read(args, path))
        print(recordings[-1].summary())
    robot = _recordings.robot_for(args, recordings[0])
    past = Dataset.load(args.dataset) if args.dataset and args.dataset.exists() else None
    old = None
    if args.extend:
        _, owner, old = store.load(args.extend, args.kind, store.MOST_OF_MODEL)
        store.check_owner(args.extend, owner, Owner(robot.joints, robot.interface, recordings[0].period))
    with workers(args.jobs), Progress("fit-prior", quiet=args.quiet) as shown:
        fitted = fit_prior(
            recordings,
            robot,
            args.kind,
            dataset=past,
            extend=old,
            progress=lambda steps: shown.counted("fitting", steps),
        )
    owner = Owner(robot.joints, robot.interface, fitted.data.owner.dt)
    store.save(args.output, args.kind, owner, fitted.arrays)
    if args.dataset:
        fitted.data.save(args.dataset)
        print(f"{args.dataset}: {len(fitted.data)} transitions of {len(fitted.data.runs)} runs")
    print(f"\n{args.output}: {args.kind} prior from {len(fitted.data)} transitions at {1.0 / owner.dt:.4g} Hz")
    print("held-out half, refit with this prior at a fraction of the spread of an unknown robot:")
    print(f"{'fraction':>10} {'nmse_1_qd':>10} {'nmse_10_q':>10} {'nll':>8} {'coverage':>9}")
    for fraction, s in fitted.held_out.items():
        chosen = "  chosen" if fraction == fitted.fraction else ""
        print(f"{fraction:10.2f} {s.nmse_1_qd:10.3f} {s.nmse_10_q:10.4f} {s.nll:8.2f} {s.coverage_95:9.3f}{chosen}")
    print(f"use it with: dynamics.prior: {args.kind}, prior.{args.kind}.file: {args.output}")
    if args.report:
        args.report.write_text(
            json.dumps(
                {
                    "kind": args.kind,
                    "transitions": len(fitted.data),
                    "runs": list(fitted.data.runs),
                    "fraction": fitted.fraction,
                    "held_out": {str(fraction): s.to_json() for fraction, s in fitted.held_out.items()},
                },
                indent=2,
            )
        )
    verdict = of_prior(fitted.held_out[fitted.fraction].nmse_1_qd)
    print(verdict.line())
    return verdict.code
