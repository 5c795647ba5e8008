r"""What becomes of a goal that wants a trajectory to be followed: judged from what was measured in every tick.

With q, qd measured at the stamp t, the reference r(t), which begins at t_0 and rests from t_1 on, and the tolerances
e_p, e_g of path and goal, the first of these that holds ends the goal:

    taken over     the supervisor holds the arm, or commands what is safe                      aborted
    dropped        the reference serves another target, or none                                aborted
    off the path   t < t_1 and |q - r(t)| > e_p or |qd - dr/dt(t)| > e_p of velocities         aborted
    reached        t >= t_1 and |q - r(t_1)| <= e_g and |qd| <= e_g of velocities              succeeded
    out of time    t > t_0 + T + (goal_time_tolerance), T the time of its last point,          aborted
                   or, where the goal leaves that open, t > t_1 - (time for which the arm was
                   kept from following the reference) + `settle`

On the way r is the path, also while the reference comes back to it from where the arm was kept (rejoined_path.py).

Codes are those of control_msgs/FollowJointTrajectory, which has none for what interrupts a goal from outside: that is
INVALID_GOAL, as in joint_trajectory_controller, and the text tells.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import NamedTuple

from ..references.trajectory import SmoothReference
from ..references.trajectory_goal import TrajectoryGoal
from ..references.trajectory_progress import Progress, Stage
from ..safety.state_machine import Reason, State
from ..types import Array, Observation

WITHOUT_CONTROLLER = (State.HOLD, State.FAULT, State.E_STOP)


class Code(enum.IntEnum):
    """The error_code of a result."""

    SUCCESSFUL = 0
    INVALID_GOAL = -1
    PATH_TOLERANCE_VIOLATED = -4
    GOAL_TOLERANCE_VIOLATED = -5


class Verdict(NamedTuple):
    """How a goal ended; stop: the arm is still on its way and is to be stopped."""

    code: Code
    text: str
    stop: bool


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """What is known of a goal after a tick.

    state, cause: of the supervisor. progress: of the goal's trajectory. superseded: whether a later target was adopted.
    note: what was last said of a target that is not reached as asked for.
    """

    observation: Observation
    state: State
    cause: Reason
    progress: Progress
    superseded: bool = False
    note: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether the reference does not serve the goal any more, and nothing else that was asked for either."""
        dropped = self.progress.stage is Stage.DROPPED and not self.superseded
        return dropped and self.state not in WITHOUT_CONTROLLER


class Errors(NamedTuple):
    """Reference and errors at a sample: time [s] since the beginning; positions, velocities, accelerations (n,)."""

    time: float
    desired: tuple[Array, Array, Array]
    position: Array
    velocity: Array


class GoalJudge:
    """Judges `goal`, for `joints` in the robot's order, from every sample in turn."""

    def __init__(self, goal: TrajectoryGoal, joints: tuple[str, ...]):
        self._goal, self._joints = goal, joints
        self._begin = goal.stamp or math.nan  # t_0 [s]; NaN: not known yet
        self._watched = goal.path.bounded  # whether errors on the way count
        self._last: tuple[Observation, SmoothReference] | None = None

    def judge(self, sample: Sample) -> Verdict | None:
        """Return how the goal ended, None while it goes on."""
        if sample.state in WITHOUT_CONTROLLER:
            return Verdict(Code.INVALID_GOAL, f"the supervisor took over: {_supervisor(sample)}", False)
        stage, reference = sample.progress
        if stage is Stage.WAITING:
            return None
        if reference is None:
            return self._dropped(sample)
        if math.isnan(self._begin):
            self._begin = reference.begin
        stamp, text = sample.observation.stamp, ""
        self._last = sample.observation, reference
        if stamp < reference.end:
            if self._watched:
                errors = self._errors(sample.observation, reference)
                text = self._goal.path.violation(self._joints, errors.position, errors.velocity)
            if text:
                since = f"{stamp - self._begin:.3f} s after its beginning"
                return Verdict(Code.PATH_TOLERANCE_VIOLATED, f"{text}, {since}", True)
        else:
            errors = self._errors(sample.observation, reference)
            text = self._goal.goal.violation(self._joints, errors.position, errors.velocity)
            if not text:
                return Verdict(Code.SUCCESSFUL, "", False)
        return self._out_of_time(stamp, reference, text)

    def errors(self) -> Errors | None:
        """Return the errors at the last sample; None before the trajectory has begun."""
        return None if self._last is None else self._errors(*self._last)

    def _errors(self, observation: Observation, reference: SmoothReference) -> Errors:
        q, qd, qdd = reference.path_at(observation.stamp)
        return Errors(observation.stamp - self._begin, (q, qd, qdd), q - observation.q, qd - observation.qd)

    def _out_of_time(self, stamp: float, reference: SmoothReference, text: str) -> Verdict | None:
        """Return that the time is over, if it is; `text` tells which joint is not where it should be at the end."""
        goal = self._goal
        if goal.time is None:
            end, allowed, what = reference.end - reference.held_for, goal.settle, "the end of the motion"
        else:
            end, allowed = self._begin + float(goal.points.times[-1]), goal.time
            what = "the end of the trajectory by its own times"
        if not stamp > end + allowed:
            return None
        since = f"{stamp - end:.3f} s after {what}, where {allowed:g} s are allowed"
        if not text:
            left = reference.end - stamp
            why = "slowed down or delayed to keep the limits"
            if reference.held_for > 0.0:
                why = f"{reference.held_for:.3f} s late because the arm was kept from following it"
            text = f"the motion goes on for {left:.3f} s, {why}"
        return Verdict(Code.GOAL_TOLERANCE_VIOLATED, f"{text}, {since}", True)

    def _dropped(self, sample: Sample) -> Verdict:
        if sample.superseded:
            return Verdict(Code.INVALID_GOAL, "preempted: another target took its place", False)
        why = sample.note or f"it was interrupted; {_supervisor(sample)}"
        return Verdict(Code.INVALID_GOAL, f"the trajectory is not followed any more: {why}", True)


def _supervisor(sample: Sample) -> str:
    cause = sample.cause.name if sample.cause else ""
    return f"the state is {sample.state.name}" + (f" ({cause})" if cause else "")
