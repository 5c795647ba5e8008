"""`mbrl evaluate`: measure how well every estimator with every prior predicts recordings of a robot."""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..config import registry
from ..config.configuration import Configuration
from ..console.progress import Progress
from ..console.verdict import Verdict, first, of_recording, unreadable
from ..data import Recording, store
from ..dynamics.priors import Prior
from ..evaluation.details import Details, detailed
from ..evaluation.identifiability import aligned, delay_of
from ..evaluation.scores import (
    ESTIMATORS,
    LEARNED,
    WITHOUT_U,
    Scores,
    Trace,
    constant_velocity,
    cross_fitted,
    dynamics_for,
    evaluate,
    learned_prior,
    unknown_robot_prior,
)
from ..exceptions import ConfigurationError, DataError, nearest
from ..robots import Robot
from . import _recordings, _report
from ._numbers import real
from ._settings import assignments

HELP = "score the predictions of every estimator and prior on recordings of a robot"
PAGE_HEAD = (
    "| estimator | prior | nmse_1_qd | with warm-up | nmse_10_q | nll | coverage |",
    "|---|---|---:|---:|---:|---:|---:|",
)
SCORE_MEANINGS = {
    "nmse_1_qd": "squared error of the velocities one tick ahead, as a share of that of 'no change'; 0 is perfect",
    "with warm-up": "the same with the first second, in which the model begins to learn",
    "nmse_10_q": "squared error of the positions ten ticks ahead, likewise",
    "nll": "negative log likelihood of the measured velocities [nats per tick]; less is better",
    "coverage": "share of the ticks inside the predicted 95 % ellipsoid; 0.95 is right",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    _recordings.add_arguments(parser)
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=ESTIMATORS, help="estimators to score")
    parser.add_argument(
        "--priors",
        nargs="+",
        metavar="PRIOR",
        default=None,
        help=f"integrator, rigid_body (needs --robot), {', '.join(LEARNED)} (each half of the recording "
        "is predicted from the other half) or a file of fit-prior (default: all of them)",
    )
    parser.add_argument(
        "--change-at",
        type=real(0.0),
        default=None,
        metavar="S",
        help="time of a change such as a payload, from the beginning of the recording (default: found in the one-step "
        "errors)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write {file: {estimator: {prior: scores}}} to FILE; scores without u are under ESTIMATOR_without_u, "
        "intervals, input gain and changes with the first estimator and prior",
    )
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots of every recording to DIR")
    _report.add_argument(parser)
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    _report.check(args.report)
    with tempfile.TemporaryDirectory() as folder:
        return _run(args, args.plots or (Path(folder) if args.report else None))


def _run(args: argparse.Namespace, plots: Path | None) -> int:
    """Evaluate every file, with pictures in `plots` (None: no pictures); return the exit code."""
    results, failed, verdicts, told = {}, [], [], _Told()
    for path in args.files:
        try:
            recording = _recordings.read(args, path)
        except DataError as error:
            if len(args.files) == 1:
                raise
            print(f"{error}\n")
            failed.append(Path(path).name)
            continue
        print(recording.summary())
        recording, said = with_delay(recording)
        print(f"  {said}")
        robot = _recordings.robot_for(args, recording, ("robot", "prior"))
        with Progress(Path(path).name, quiet=args.quiet) as shown:
            traces = traces_of(args, recording, robot, shown)
            found = details_of(args, recording, robot, shown)
        scores = {key: trace.scores() for key, trace in traces.items()}
        print(table(scores, recording))
        told.add(recording, said, scores)
        name = Path(path).name if Path(path).name not in results else path
        results[name] = nested(scores)
        if found:
            (estimator, prior), details = found
            results[name][estimator][prior].update(details.to_json())
            text = f"{estimator} with the {prior} prior:\n{details.text(recording.period)}"
            told.lines.append(f"```\n{text}\n```")
            print(f"\n{text}")
        print()
        verdicts.append(judged(name, recording, scores))
        if plots:
            from ..evaluation.detail_plots import write_details
            from ..evaluation.plots import write_plots

            files = write_plots(plots, recording, traces)
            if found:
                files.append(write_details(plots, recording, *found))
            told.add_pictures(name, files)
            if args.plots:
                print("\n".join(f"wrote {file}" for file in files))
    if args.json:
        args.json.write_text(json.dumps(results, indent=2, allow_nan=False))
    verdict = first([*verdicts, unreadable(failed)])
    told.write(args.report, verdict)
    print(verdict.line())
    return verdict.code


class _Told:
    """What the page of --report tells: `lines` of text and Markdown, and pictures."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._pictures: dict[str, bytes] = {}

    def add(self, recording: Recording, said: str, scores: dict[tuple[str, str], Scores]) -> None:
        """Add the scores of a recording, and what was said of its delay."""
        rows = [
            f"| {estimator} | {prior} | {s.nmse_1_qd:.3f} | {s.nmse_1_qd_all:.3f} | {s.nmse_10_q:.4f} | {s.nll:.2f} | "
            f"{s.coverage_95:.3f} |"
            for (estimator, prior), s in scores.items()
        ]
        simple = [
            "| no change | | 1.000 | 1.000 | 1.0000 | | |",
            f"| constant velocity | | 1.000 | 1.000 | {constant_velocity(recording):.4f} | | |",
        ]
        self.lines += [recording.summary(), said, "\n".join([*PAGE_HEAD, *simple, *rows])]

    def add_pictures(self, name: str, files: list[Path]) -> None:
        """Add the pictures of the recording `name`."""
        self._pictures |= {f"{name}: {file.stem}": file.read_bytes() for file in files}

    def write(self, file: Path | None, verdict: Verdict) -> None:
        """Write the page."""
        _report.write(
            file,
            verdict,
            "Evaluation of recordings",
            "Every transition of the recordings is predicted before the model learns from it.",
            "\n".join(self.lines),
            pictures=self._pictures,
            meanings=SCORE_MEANINGS,
        )


def judged(name: str, recording: Recording, scores: dict[tuple[str, str], Scores]) -> Verdict:
    """Judge whether the scores mean anything."""
    joined = recording.joined()
    return of_recording(
        name,
        float(np.ptp(recording.q, axis=0).max()),
        all(math.isfinite(s.nmse_1_qd) and math.isfinite(s.nll) for s in scores.values()),
        1.0 - float(joined.mean()) if joined.size else 1.0,
    )


def traces_of(
    args: argparse.Namespace, recording: Recording, robot: Robot, shown: Progress | None = None
) -> dict[tuple[str, str], Trace]:
    """Return {(estimator, prior): Trace}, with u and without; what cannot be evaluated is reported and left out."""
    shown = shown or Progress(recording.name, quiet=True)
    wanted = args.priors or ["integrator", *(["rigid_body"] if args.robot else []), *LEARNED]
    traces: dict[tuple[str, str], Trace] = {}
    for with_u in (True, False):
        if with_u and recording.u is None:
            continue
        suffix = WITHOUT_U if not with_u and recording.u is not None else ""
        seen = recording if with_u else recording.without_u()
        for prior in wanted if with_u else ("integrator",):
            try:
                shown.show(f"prior {prior}")
                scored = _scorer(args, seen, robot, prior, shown)
            except (ConfigurationError, DataError) as error:
                if args.priors:
                    raise
                print(f"  {prior} left out: {error}")
                continue
            for estimator in args.estimators:
                shown.show(f"{estimator} with prior {prior}")
                traces[estimator + suffix, Path(prior).stem] = scored(estimator)
    if not traces:
        raise DataError(f"{recording.name}: nothing could be evaluated")
    return traces


def details_of(
    args: argparse.Namespace, recording: Recording, robot: Robot, shown: Progress
) -> tuple[tuple[str, str], Details] | None:
    """Return ((estimator, prior), details) of the first estimator and prior; None where each prior is cross-fitted."""
    priors = [name for name in args.priors or ["integrator"] if name not in LEARNED]
    if not priors:
        return None
    estimator, name = args.estimators[0], priors[0]
    shown.show(f"intervals, input gain and changes of {estimator} with prior {name}")
    dynamics = dynamics_for(recording, robot, estimator, _prior(args, recording, robot, name))
    return (estimator, Path(name).stem), detailed(recording, dynamics, robot.command_scale, args.change_at)


def with_delay(recording: Recording) -> tuple[Recording, str]:
    """Return the recording with its commands when they act, and what it tells of their delay."""
    if recording.u is None:
        return recording, "delay of u: unknown without commands"
    estimate, (shifted, ticks, told) = delay_of(recording), aligned(recording)
    if not told:
        taken = f"; taken as {ticks:g} ticks" if ticks else ""
        return shifted, f"delay of u: not identifiable from this recording{taken}"
    assert estimate is not None, "told"
    milliseconds = 1e3 * estimate.ticks * recording.period
    return shifted, f"delay of u at its end: {estimate.ticks:.2f} +- {estimate.std:.2f} ticks ({milliseconds:.1f} ms)"


def _scorer(
    args: argparse.Namespace, recording: Recording, robot: Robot, name: str, shown: Progress
) -> Callable[[str], Trace]:
    """Return a function that evaluates an estimator, by name, with one prior."""
    if name in LEARNED:
        return cross_fitted(recording, robot, name, lambda steps: shown.counted(f"fitting {name}", steps))
    prior = _prior(args, recording, robot, name)
    return lambda estimator: evaluate(recording, dynamics_for(recording, robot, estimator, prior))


def _prior(args: argparse.Namespace, recording: Recording, robot: Robot, name: str) -> Prior:
    """Return the prior `name`: a file of fit-prior, or one that is not fitted to data."""
    if name.endswith(".npz"):
        kind, owner, arrays = store.load(name, most=store.MOST_OF_MODEL)
        if kind not in LEARNED:
            raise DataError(f"{name} holds a '{kind}', not a prior that was fitted: {', '.join(LEARNED)}")
        store.check_owner(name, owner, store.Owner(robot.joints, robot.interface, recording.period))
        return learned_prior(kind).from_arrays(arrays, robot, recording.period)
    if name == "integrator" and (not robot.urdf or recording.u is None):
        return unknown_robot_prior(robot, recording.period)
    if name == "rigid_body" and not robot.urdf:
        raise ConfigurationError("the rigid_body prior needs --robot")
    configuration = Configuration.from_flat(assignments(args.changes))
    if name not in configuration.priors:
        raise ConfigurationError(f"no prior '{name}'; did you mean '{nearest(name, configuration.priors)}'?")
    prior: Prior = registry.load("prior", name).build(configuration.priors[name], robot, recording.period)
    return prior


def table(scores: dict[tuple[str, str], Scores], recording: Recording) -> str:
    """Format the scores, one row per estimator and prior."""
    lines = [
        f"{'estimator':<26}{'prior':<16}{'nmse_1_qd':>10}{'(warm-up too)':>15}{'nmse_10_q':>11}{'nll':>9}"
        f"{'coverage':>10}",
        f"{'no change':<26}{'':<16}{1.0:10.3f}{1.0:15.3f}{1.0:11.4f}",
        f"{'constant velocity':<26}{'':<16}{1.0:10.3f}{1.0:15.3f}{constant_velocity(recording):11.4f}",
    ]
    for (estimator, prior), s in scores.items():
        lines.append(
            f"{estimator:<26}{prior:<16}{s.nmse_1_qd:10.3f}{s.nmse_1_qd_all:15.3f}{s.nmse_10_q:11.4f}"
            f"{s.nll:9.2f}{s.coverage_95:10.3f}"
        )
    return "\n".join(lines)


def nested(scores: dict[tuple[str, str], Scores]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return {estimator: {prior: {score: value}}}; a score that is not finite is null."""
    result: dict[str, dict] = {}
    for (estimator, prior), s in scores.items():
        result.setdefault(estimator, {})[prior] = {
            key: value if math.isfinite(value) else None for key, value in s.to_json().items()
        }
    return result
