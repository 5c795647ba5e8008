r"""What becomes of a target after it was accepted, judged from what is measured: on the way, there, or why not.

With the tool at p, R and the target's p*, R* in the base frame, or the joints at q and its q*, the reference coming to
rest at t_1,

    distance = |p* - p|,   angle = |log(R^T R*)|,   joints = max |q* - q|,   time left = max(0, t_1 - t),

the angle about the axes with a weight in `reference.rotation_weights`. It is reached at the first t >= t_1 at which all
that it asks for is within the tolerances and every joint slow enough, and missed where that has not come
`action.goal_time` after t_1; the arm goes on towards it. A target in the image has no distance, and no such outcome;
a jog, which goes nowhere, is not judged, but takes the place of a target.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..config.sections.action import ActionSettings
from ..references.targets import Target
from ..robots.pose_kinematics import PoseKinematics
from ..robots.rotation import matrix_of
from ..safety.state_machine import Reason, State
from ..types import Array, Observation
from .goal_judge import WITHOUT_CONTROLLER


class Outcome(enum.IntEnum):
    """What became of a target."""

    ON_THE_WAY = 0
    REACHED = 1
    MISSED = 2
    REPLACED = 3
    GIVEN_UP = 4
    TAKEN_OVER = 5
    STOPPED = 6
    DEACTIVATED = 7


@dataclass(frozen=True, eq=False, slots=True)
class Situation:
    """What is known after a tick.

    target: the present one. reference_end: when its reference comes to rest [s]. uncontrolled: (k,), where joints are
    that are not controlled. state, cause: of the supervisor. note: what was last said of a target that is not reached
    as asked for.
    """

    observation: Observation
    target: Target | None
    reference_end: float
    uncontrolled: Array | None = None
    state: State = State.ACTIVE
    cause: Reason = Reason(0)
    note: str = ""


class Report(NamedTuple):
    """How far a target is; NaN for what it does not ask for.

    number: counts the targets that have begun. elapsed, time_left [s]; distance [m]; angle [rad]; joints [rad or m].
    text: why it ended so, empty while it is ON_THE_WAY.
    """

    number: int
    target: Target
    stamp: float
    elapsed: float
    time_left: float
    distance: float
    angle: float
    joints: float
    outcome: Outcome
    text: str = ""


class TargetJudge:
    """Judges the targets of a controller one after the other; each has one last Report, with its outcome."""

    def __init__(self, kinematics: PoseKinematics):
        self._kinematics = kinematics
        self._number = 0
        self._target: Target | None = None  # that is judged; None: the present one has its outcome
        self._identity: object = None  # of the newest target that was asked for
        self._begun = 0.0  # when [s]
        self._last: Report | None = None
        self._note = ""  # at the last call

    def judge(self, now: Situation, settings: ActionSettings) -> list[Report]:
        """Return what there is to tell: the outcome of a target that has ended, and where the present one is."""
        reports, present = [], now.target
        asked = present is not None and present.asked
        judged = asked and present is not None and present.kind in JUDGED
        same = present is not None and _identity(present) is self._identity
        if self._target is not None and not same:
            reports.append(self._dropped(now, replaced=asked))
        if judged and not same:
            assert present is not None
            self._number, self._identity, self._begun = self._number + 1, _identity(present), now.observation.stamp
            self._target, self._last = present, None
        if self._target is not None and present is not None:
            self._target = present  # its posture may have been searched anew
            reports.append(self._report(now, settings))
        self._note = now.note
        return reports

    def end(self) -> list[Report]:
        """Return what there is to tell when the node is deactivated."""
        if self._target is None or self._last is None:
            return []
        return [self._ended(self._last, Outcome.DEACTIVATED, "the node was deactivated")]

    def _report(self, now: Situation, settings: ActionSettings) -> Report:
        assert self._target is not None
        target, stamp = self._target, now.observation.stamp
        distance, angle, joints = self._errors(now, target)
        left = now.reference_end - stamp
        here = Report(
            self._number,
            target,
            stamp,
            stamp - self._begun,
            max(0.0, left),
            distance,
            angle,
            joints,
            Outcome.ON_THE_WAY,
        )
        self._last = here
        if now.state in WITHOUT_CONTROLLER:
            return self._ended(here, Outcome.TAKEN_OVER, f"the supervisor took over: {_supervisor(now)}")
        if left > 0.0 or target.kind not in MEASURED:
            return here
        missing = _missing(here, now, settings)
        if not missing:
            return self._ended(here, Outcome.REACHED, f"{_errors_of(here)} after {here.elapsed:.2f} s")
        if settings.goal_time and -left > settings.goal_time:
            late = f"{-left:.2f} s after the end of its reference (action.goal_time = {settings.goal_time:g} s)"
            return self._ended(here, Outcome.MISSED, f"{missing}, {late}")
        return here

    def _dropped(self, now: Situation, *, replaced: bool) -> Report:
        """Return the last report of a target that the reference does not serve any more."""
        assert self._target is not None
        last = self._last or Report(
            self._number, self._target, now.observation.stamp, 0.0, *(math.nan,) * 4, Outcome.ON_THE_WAY
        )
        if replaced:
            return self._ended(last, Outcome.REPLACED, "another target took its place")
        if now.state in WITHOUT_CONTROLLER:
            return self._ended(last, Outcome.TAKEN_OVER, f"the supervisor took over: {_supervisor(now)}")
        if now.note is not self._note:
            return self._ended(last, Outcome.GIVEN_UP, now.note)
        return self._ended(last, Outcome.STOPPED, f"it was stopped; {_supervisor(now)}")

    def _ended(self, report: Report, outcome: Outcome, text: str) -> Report:
        self._target = None
        return report._replace(outcome=outcome, text=text)

    def _errors(self, now: Situation, target: Target) -> tuple[float, float, float]:
        """Return the distance [m], the angle [rad] and the largest error of a joint [rad or m]."""
        q, kinematics = now.observation.q, self._kinematics
        if target.kind == "joints":
            return math.nan, math.nan, float(np.abs(q - target.value).max())
        if target.kind not in MEASURED:
            return math.nan, math.nan, math.nan
        if now.uncontrolled is not None:
            kinematics.place(now.uncontrolled)
        if target.kind == "point":
            return float(np.linalg.norm(kinematics.position(q) - target.value)), math.nan, math.nan
        return *kinematics.missed(target.value[:3], matrix_of(target.value[3:]), q), math.nan


MEASURED = ("joints", "point", "pose")  # kinds of targets whose distance is known
JUDGED = (*MEASURED, "features")  # others, as a jog, go nowhere


def _identity(target: Target) -> object:
    """Return what stays the same object while a target is served, however its posture changes."""
    return target.value if target.path is None else target.path


def _missing(report: Report, now: Situation, settings: ActionSettings) -> str:
    """Return in words why a target is not reached; empty if it is."""
    if report.distance > settings.point_tolerance:
        return (
            f"{1e3 * report.distance:.1f} mm from it (action.point_tolerance = {1e3 * settings.point_tolerance:g} mm)"
        )
    if report.angle > settings.angle_tolerance:
        allowed = f"action.angle_tolerance = {math.degrees(settings.angle_tolerance):.2f} degrees"
        return f"{math.degrees(report.angle):.2f} degrees from it ({allowed})"
    if report.joints > settings.goal_tolerance:
        return f"a joint is {report.joints:.4g} from it (action.goal_tolerance = {settings.goal_tolerance:g})"
    if (speed := float(np.abs(now.observation.qd).max())) > settings.stopped_velocity:
        return f"a joint moves with {speed:.3g} (action.stopped_velocity = {settings.stopped_velocity:g})"
    return ""


def _errors_of(report: Report) -> str:
    """Return in words how far the target is."""
    parts = {
        f"{1e3 * report.distance:.2f} mm": report.distance,
        f"{math.degrees(report.angle):.2f} degrees": report.angle,
        f"{report.joints:.2g} rad or m in a joint": report.joints,
    }
    return " and ".join(text for text, value in parts.items() if not math.isnan(value)) + " from it"


def _supervisor(now: Situation) -> str:
    cause = now.cause.name if now.cause else ""
    return f"the state is {now.state.name}" + (f" ({cause})" if cause else "")
