"""The target manager: a queue of targets in time, and the references that the controller tracks.

A joint or end-effector target starts a smooth joint reference. A feature target has phases, because nothing is known of
the camera: EXCITE moves every joint a little until the image Jacobian is known, SERVO moves the features' reference to
the target on a straight line in the image, while the joint reference stays where it was as a weak anchor. While no
features are seen (FEATURES_LOST) the arm rests.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config.sections.references import ReferenceSettings
from ..exceptions import TargetError
from ..robots import Robot
from ..types import Array, Gain, JointVector, StateVector
from .image_motion import excitation, feature_share
from .jogging import JOGS
from .preview import TRACKING, Phase, Preview
from .target_intake import TargetIntake
from .targets import Target, shortest_turns
from .trajectory import feature_reference, joint_reference
from .trajectory_joins import Joining, left_of

AT_REST = 0.02  # of its speed limit: an arm that moves no faster than this rests
APART = 0.1  # a reference this far from the arm is not the one it moves along [rad or m]


class TargetManager(TargetIntake):
    """Targets for `robot` in, references out: n joints, m feature coordinates, previews of horizon + 1 stages.

    joints and features (None without a camera) are the references; least: see image_motion.excitation.
    """

    def __init__(self, robot: Robot, settings: ReferenceSettings, dt: float, m: int = 0, horizon: int = 0):
        super().__init__(robot, settings, dt, m, horizon)
        self.joints = joint_reference(robot, settings, dt)
        self.features = feature_reference(m, settings, dt) if m else None
        self.postponed: Target | None = None  # a trajectory that begins when the reference has come to rest
        self._jog_until = -np.inf  # [s]: until when the present target holds, if it is a jog
        self._notes: list[str] = []
        self.phase, self._since, self.least, self._share, self._replan = Phase.TRACK, 0.0, 0.0, 1.0, False

    def reset(self, q: Array, stamp: float) -> None:
        """Rest at q (n,); targets that were queued stay queued, but for jogs."""
        self.joints.reset(q, stamp)
        self.queue.take_jogs()
        self.postponed = self.joins.waiting = None
        self.target = Target("joints", np.array(q), stamp, np.array(q), asked=False)
        self.phase = Phase.TRACK

    def hold(self, q: Array, qd: Array, stamp: float) -> None:
        """Come to rest within the joints' limits, from q, qd (n,), and forget every target.

        An arm that moves along a reference slows down with it.
        """
        self.queue.clear()
        self.postponed = self.joins.waiting = None
        moves = self.phase is Phase.TRACK and stamp < self.joints.end
        along = moves and np.abs(self.joints.at(stamp) - q).max() < APART
        goal = self.joints.stop(stamp, None if along else self._start_at(q, qd))
        self.target, self.phase = Target("joints", goal, stamp, goal, asked=False), Phase.TRACK

    def resume(self, q: Array, qd: Array, stamp: float) -> None:
        """Begin anew after an interruption, from q, qd (n,), to the present target (of a trajectory: its end).

        A jog is over.
        """
        target = self.joins.waiting or self.target
        self.reset(q, stamp)
        self._rest(q, qd, stamp)
        if target is not None and target.kind not in JOGS:
            self.queue.put_first(dataclasses.replace(target, stamp=stamp, path=None))

    def rejoin(self, q: Array, qd: Array, stamp: float) -> None:
        """Go on to the target from q, qd (n,), where something moved the arm; a trajectory: see `rejoined_path`."""
        goal, target = self._goal(), self.target
        if goal is not None:
            self.joints.go_to(goal, stamp, self._start_at(q, qd))
        elif target is not None and target.path is not None and self.settings.wait_for_arm and stamp < self.joints.end:
            self.joints.rejoin(*self._start_at(q, qd)[:2], stamp)

    def ramp_in(self, q: Array, qd: Array, stamp: float) -> None:
        """Rejoin in every tick of a hold or ramp; the goal of position commands, which need none, waits for its end."""
        positions = self.robot.interface == "position"
        if self.target is not None and self.target.kind in JOGS:
            if not positions:
                self._jog_anew(self.target, q, qd, stamp)
        elif positions and self._goal() is not None and stamp < self.joints.end:
            self.joints.wait(stamp)  # begun anew where it is measured it would be led to and fro
        else:
            self._go_on(q, qd, stamp)

    def wait_for_arm(self, q: Array, qd: Array, stamp: float) -> None:
        """Rejoin in every tick in which commands are slowed down before contact; a jog keeps near the arm by itself."""
        if self.settings.wait_for_arm and not (self.target is not None and self.target.kind in JOGS):
            self._go_on(q, qd, stamp)

    def _go_on(self, q: Array, qd: Array, stamp: float) -> None:
        """Rejoin, or rest where a trajectory waits, whose motion is made for a reference that stays."""
        waits = self.joins.waiting is not None and self.settings.wait_for_arm
        if stamp < self.joints.end and not (waits and self.robot.interface == "position"):
            (self._rest if waits else self.rejoin)(q, qd, stamp)

    def _rest(self, q: JointVector, qd: JointVector, stamp: float) -> None:
        """Let the reference rest at q (n,), or slow down from q, qd (n,) of an arm that moves."""
        self.joints.reset(q, stamp)
        if (np.abs(qd) > AT_REST * self.robot.velocity_limit).any():
            self.joints.stop(stamp, self._start_at(q, qd))

    def _start_at(self, q: JointVector, qd: JointVector) -> tuple[JointVector, JointVector, JointVector]:
        """Return position, velocity and acceleration that a reference may begin with at q, qd (n,)."""
        fastest = 0.999 * self.settings.velocity_fraction * self.robot.velocity_limit
        return q, np.clip(qd, -fastest, fastest), np.zeros(self.n)

    def _goal(self) -> JointVector | None:
        """Return the joints' goal (n,); None where the target has none: a trajectory, or one in the image."""
        target = self.target
        return None if target is None or target.path is not None or self.phase is not Phase.TRACK else target.q

    def joint_reference(self, stamp: float) -> Array:
        """Return the joint reference (n,) at `stamp` [s]."""
        return self.joints.at(stamp)

    @property
    def features_lost(self) -> bool:
        """Whether the target is one in the image and no recent frame shows the features."""
        return self.phase is Phase.FEATURES_LOST

    def limit_speed(self, share: float) -> None:
        """Keep to `share` (0, 1] of the usual velocities and accelerations, from the next tick on."""
        if share != self._share:
            self._share, self._replan = share, True
            for reference in filter(None, (self.joints, self.features)):
                reference.limit(share)

    def take_notes(self) -> list[str]:
        """Return in words which targets that began since the last call are not reached as asked for."""
        notes, self._notes = self._notes + self._points.take_notes(), []
        return notes

    def advance(self, stamp: float, x: StateVector, *, fresh: bool = False, jacobian: Gain | None = None) -> None:
        """Begin the targets that are due at `stamp` [s] in state x (nx,), at least [q; qd].

        fresh: whether its features rest on a recent frame; jacobian (m, n): of the image, None while it is unknown.
        """
        self.joints.go_on(stamp)
        while (due := self.queue.next_due(stamp)) is not None:
            self._begin(due, stamp, x)
        if self.postponed is not None and stamp >= self.joints.end:
            self._begin(self.postponed, stamp, x)
        for jog in self.queue.take_jogs():
            self._begin_jog(jog, stamp, x)
        if self.target is not None and self.target.kind in JOGS:
            self._jog(self.target, stamp, x)
        if (begins := self.joins.advance(stamp, self.queue, self._joining)) is not None:
            self._begin_trajectory(*begins)
        if self.phase is TRACKING and (moved := self._points.followed(self.target)) is not None:
            assert self.target is not None
            self.target = dataclasses.replace(self.target, q=moved)
            self.joints.go_to(moved, stamp)
        goal = self._goal() if self._replan and stamp < self.joints.end else None
        self._replan = False
        if goal is not None:
            self.joints.go_to(goal, stamp)
        if self.phase is not TRACKING:
            self._advance_image_phase(stamp, x, fresh, jacobian)

    def _begin(self, target: Target, stamp: float, x: StateVector) -> None:
        """Begin to move to `target` at `stamp` [s] in state x (nx,)."""
        q, self.postponed, self.joins.waiting = x[: self.n], None, None
        if target.path is not None and self.joins.deferred:
            if self.phase is not Phase.TRACK:  # the pose was free
                self.reset(q, stamp)
            self.joins.waiting = target
            return
        self.target = target
        if target.kind == "features":
            self.joints.reset(q, stamp)
            self.phase, self._since = Phase.EXCITE, stamp
            return
        if self.phase is not Phase.TRACK:  # the pose was free: the reference starts where the arm is
            self.joints.reset(q, stamp)
        self.phase = Phase.TRACK
        if target.path is not None:
            self._begin_trajectory(target, stamp)
            return
        goal = self._points.begun(target, self.joints.at(stamp))
        if goal is not target.q:
            self.target = dataclasses.replace(target, q=goal)
        if (turns := self._turns(goal, stamp)).any():
            goal = goal + turns
            self.target = dataclasses.replace(target, q=goal, value=goal if target.kind == "joints" else target.value)
        try:
            self.joints.go_to(goal, stamp)
        except TargetError as error:
            self._give_up(f"{target.kind} target", error, stamp)

    def _begin_jog(self, jog: Target, stamp: float, x: StateVector) -> None:
        """Begin a jog, unless it came too late or may not act."""
        until = self.jogs.until(jog, stamp, self._refusal())
        if until is None:
            return
        self.postponed = self.joins.waiting = None
        if self.phase is not Phase.TRACK:
            self.joints.reset(x[: self.n], stamp)
        self.jogs.begin(jog, self.target)
        self.target, self.phase, self._jog_until = jog, Phase.TRACK, until

    def _jog(self, jog: Target, stamp: float, x: StateVector) -> None:
        """Move on with a jog at `stamp` [s] in state x (nx,), or come to rest once its time is over."""
        measured, q, robot = x[: self.n], self.joints.at(stamp), self.robot
        if stamp >= self._jog_until:
            if self.jogs.left(q - measured):
                self._jog_anew(jog, measured, x[self.n : 2 * self.n], stamp)
            rest = self.joints.goal  # the reference is about to come to rest by itself
            self.target = Target("joints", rest, stamp, rest, asked=False)
            return
        qd = self.jogs.wanted(jog, q, self.dt, self.joints.fastest, q - measured)
        if self.jogs.left(q - measured, qd):
            self._jog_anew(jog, measured, x[self.n : 2 * self.n], stamp)
            q = self.joints.at(stamp)
            qd = self.jogs.wanted(jog, q, self.dt, self.joints.fastest, q - measured)
        lower, upper = np.minimum(robot.position_lower, q), np.maximum(robot.position_upper, q)
        try:
            self.joints.jog(qd, stamp, self._jog_until, lower, upper)
        except TargetError as error:
            self._give_up("jog", error, stamp)

    def _jog_anew(self, jog: Target, q: JointVector, qd: JointVector, stamp: float) -> None:
        """Let a jog go on from where the arm is, q, qd (n,), instead of from the reference that it did not follow."""
        self.joints.stop(stamp, self._start_at(q, qd))
        self.jogs.begin(jog)

    def _give_up(self, what: str, error: TargetError, stamp: float) -> None:
        """Come to rest, because there is no motion to the target within the limits."""
        rest = self.joints.stop(stamp)
        self.target = Target("joints", rest, stamp, rest, asked=False)
        self._notes.append(f"{what}: given up: {error}")

    def _joining(self, target: Target, stamp: float) -> Joining:
        """Return what the motion is made of if a trajectory joins at `stamp` [s]; TargetError if it is over."""
        left, late = left_of(target, stamp)
        return self.joints.joining(left.moved(self._turns(left.Q[0], stamp)), stamp, late=late)

    def _begin_trajectory(self, target: Target, stamp: float) -> None:
        """Begin to track what is left of a trajectory at `stamp` [s]; from rest where it cannot be joined in motion."""
        self.target = target
        try:
            joining = self._joining(target, stamp)
            self.target = dataclasses.replace(target, value=joining.points.Q[-1], q=joining.points.Q[-1])
            note = self.joints.track(self.joins.motion(joining), joining, stamp)
        except TargetError as error:
            if stamp >= self.joints.end:
                self._give_up("trajectory", error, stamp)
                return
            self.joints.stop(stamp)
            self.postponed = dataclasses.replace(target, stamp=target.stamp or stamp)
            note = "the arm rests before it begins"
        if note:
            self._notes.append(f"trajectory: {note}")

    def _turns(self, q: JointVector, stamp: float) -> JointVector:
        """Return the whole turns (n,) that bring q (n,) nearest to the reference at `stamp` [s]."""
        if not self.settings.shortest_way:
            return np.zeros(self.n)
        return shortest_turns(self.robot, q, self.joints.at(stamp))

    def preview(self, times: Array) -> Preview:
        """Return the references at `times` (horizon + 1,) [s], rising; valid until the next call."""
        q = self.joints.over(times)
        if self.phase is Phase.EXCITE:
            q += excitation(self.robot, self.settings, times - self._since, self.least)
        if self.target is not None and self.target.kind == "point":
            return Preview("point", q, p=self._points.positions(q), uncontrolled=self.uncontrolled)
        if self.phase is Phase.SERVO and self.features is not None:
            return Preview("features", q, s=self.features.over(times), uncontrolled=self.uncontrolled)
        return Preview("joints", q, uncontrolled=self.uncontrolled)

    @property
    def end(self) -> float:
        """When the present target's reference comes to rest [s]; infinite while the features cannot be moved yet."""
        if self.phase in (Phase.EXCITE, Phase.FEATURES_LOST):
            return np.inf
        return self.features.end if self.phase is Phase.SERVO and self.features is not None else self.joints.end

    def _advance_image_phase(self, stamp: float, x: StateVector, fresh: bool, jacobian: Gain | None) -> None:
        """EXCITE -> SERVO once the Jacobian is known, back when it is not any more, FEATURES_LOST without frames."""
        phase = Phase.FEATURES_LOST if not fresh else Phase.EXCITE if jacobian is None else Phase.SERVO
        if phase is self.phase:
            return
        if fresh and jacobian is not None and self.features is not None and self.target is not None:
            s, goal = x[2 * self.n : 2 * self.n + self.m], self.target.value
            self.features.slow_down(feature_share(self.robot, self.settings, jacobian, goal - s))
            self.features.reset(s, stamp)
            self.features.go_to(goal, stamp)
        self.joints.reset(x[: self.n], stamp)
        self.phase, self._since = phase, stamp
