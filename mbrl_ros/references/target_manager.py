"""From targets to references: a queue of targets in time, and what the controller shall follow in the meantime.

A joint or end-effector target starts a smooth joint reference. A feature target has two phases, because nothing is
known of the camera: `look` moves every joint a little until the image Jacobian is known, `serve` moves the features'
reference to the target on a straight line in the image, while the joint reference stays where it was as a weak anchor.
While nothing is seen (`lost`) the arm rests.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..config.section import per_joint
from ..config.sections.references import ReferenceSettings
from ..exceptions import TargetError
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..types import Array
from .targets import Target, feature_target, joint_target, point_target, trajectory_target
from .trajectory import feature_reference, joint_reference

APART = 0.1  # a reference this far from the arm is not what it follows [rad or m]


@dataclass(frozen=True, eq=False, slots=True)
class Preview:
    """References over a horizon: `kind` of target, q (T, n), p (T, 3) for points, s (T, m) for features."""

    kind: str
    q: Array
    p: Array | None = None
    s: Array | None = None


class TargetManager:
    """Targets for `robot` in, references out: n joints, m feature coordinates, previews of horizon + 1 stages."""

    def __init__(self, robot: Robot, settings: ReferenceSettings, dt: float, m: int = 0, horizon: int = 0):
        self.robot, self.settings, self.dt, self.m = robot, settings, dt, m
        self.n = len(robot.joints)
        self.kinematics = Kinematics(robot)
        self._positions = self.kinematics.position_map(horizon + 1)
        self.joints = joint_reference(robot, settings, dt)
        self.features = feature_reference(m, settings, dt) if m else None
        self._queue: list[Target] = []
        self.accepted = self.adopted = 0  # targets since construction; adopted: those known in the last tick
        self._lock = threading.Lock()  # targets come from another thread than the one that advances
        self.target: Target | None = None
        self.phase = ""
        self._share, self._replan = 1.0, False
        self._refusal: Callable[[], str] = lambda: ""

    def reset(self, q: Array, stamp: float) -> None:
        """Rest at q (n,); targets that were queued stay queued."""
        self.joints.reset(q, stamp)
        self.target = Target("joints", np.array(q), stamp, np.array(q))
        self.phase = ""

    def hold(self, q: Array, qd: Array, stamp: float) -> None:
        """Come to rest within the joints' limits, from q, qd (n,), and forget every target. An arm that follows a moving
        reference slows down with it.
        """
        with self._lock:
            self._queue = []
        following = not self.phase and stamp < self.joints.end and np.abs(self.joints.at(stamp) - q).max() < APART
        fastest = 0.999 * self.settings.velocity_fraction * self.robot.velocity_limit
        goal = self.joints.stop(stamp, None if following else (q, np.clip(qd, -fastest, fastest), np.zeros(self.n)))
        self.target, self.phase = Target("joints", goal, stamp, goal), ""

    def resume(self, q: Array, stamp: float) -> None:
        """After an interruption: set out anew, from rest at q (n,), for the present target (a trajectory's: its end)."""
        target = self.target
        self.reset(q, stamp)
        if target is not None:
            self._queue = [dataclasses.replace(target, stamp=stamp, path=None), *self._queue]

    def rejoin(self, q: Array, qd: Array, stamp: float) -> None:
        """Someone else moved the arm: go to the present target from q, qd (n,) instead of from the old reference."""
        if self.target is not None and self.target.q is not None and self.target.path is None and not self.phase:
            fastest = 0.999 * self.settings.velocity_fraction * self.robot.velocity_limit
            self.joints.go_to(self.target.q, stamp, (q, np.clip(qd, -fastest, fastest), np.zeros(self.n)))

    def refuse_while(self, reason: Callable[[], str]) -> None:
        """Refuse every target while `reason()` is not empty; it tells why."""
        self._refusal = reason

    def joint_reference(self, stamp: float) -> Array:
        """Return the joint reference (n,) at `stamp` [s]."""
        reference: Array = self.joints.at(stamp)
        return reference

    @property
    def features_lost(self) -> bool:
        """Whether the target is one in the image and no recent frame shows the features."""
        return self.phase == "lost"

    def limit_speed(self, share: float) -> None:
        """References keep to `share` (0, 1] of their usual velocities and accelerations, the present one from the next tick on."""
        if share != self._share:
            self._share, self._replan = share, True
            for reference in filter(None, (self.joints, self.features)):
                reference.limit(share)

    def set_joint_target(self, q: Array, stamp: float = 0.0) -> Target:
        """Go to q (n,) [rad] from `stamp` [s] on (0: now). TargetError if it lies outside the limits."""
        return self._accept(joint_target(self.robot, q, stamp))

    def set_trajectory(self, times: Array, Q: Array, stamp: float = 0.0) -> Target:
        """Pass joint positions Q (T, n) `times` (T,) [s] after `stamp` (0: now), then rest. TargetError if malformed."""
        return self._accept(trajectory_target(self.robot, times, Q, stamp))

    def set_point_target(self, p: Array, stamp: float = 0.0) -> Target:
        """Bring the end effector to p (3,) [m, base frame] from `stamp` [s] on. TargetError if it is out of reach."""
        earlier = [queued for queued in self._queue if queued.stamp < stamp]
        last = earlier[-1] if earlier else self.target
        home = self.settings.home
        known = bool(home) or last is not None and last.q is not None
        seed = per_joint(home, self.n, "reference.home") if home else last.q if known else self._middle()
        target = point_target(self.kinematics, p, seed, self.settings, stamp)
        # without a pose to come from, the pose to go to is chosen when the target's time has come
        return self._accept(target if known else dataclasses.replace(target, q=None))

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """Bring the features to s (m,) [image coordinates] from `stamp` [s] on. TargetError if outside the image."""
        if not self.m:
            raise TargetError("a feature target needs features: set features.points to the number of points")
        return self._accept(feature_target(self.m, s, stamp))

    def advance(self, stamp: float, x: Array, *, fresh: bool = False, known: bool = False) -> None:
        """One tick at `stamp` [s] in state x (nx,): start due targets; `fresh`, `known`: recent frames, known Jacobian."""
        while (due := self._next_due(stamp)) is not None:
            self.target = target = due
            if target.kind == "features":
                self.joints.reset(x[: self.n], stamp)
                self.phase, self._since = "look", stamp
            else:
                if self.phase:  # the pose was free: the reference starts where the arm is
                    self.joints.reset(x[: self.n], stamp)
                self.phase = ""
                if target.q is None:
                    q, _ = self.kinematics.inverse(target.value, self.joints.at(stamp))
                    self.target = target = dataclasses.replace(target, q=q)
                if target.path is None:
                    self.joints.go_to(target.q, stamp)
                else:
                    self.joints.follow(*target.path, stamp)
        if self._replan:
            self._replan = False
            if not self.phase and self.target.path is None and self.target.q is not None and stamp < self.joints.end:
                self.joints.go_to(self.target.q, stamp)
        if self.phase:
            self._advance_image_phase(stamp, x, fresh, known)

    def preview(self, times: Array) -> Preview:
        """The references at `times` (horizon + 1,) [s], rising; valid until the next call."""
        q = self.joints.over(times)
        if self.phase == "look":
            q += self._looking_around(times)
        if self.target.kind == "point":
            return Preview("point", q, p=self._positions(q))
        if self.phase == "serve":
            return Preview("features", q, s=self.features.over(times))
        return Preview("joints", q)

    @property
    def end(self) -> float:
        """When the present target's reference comes to rest [s]; infinite while an image target cannot be served yet."""
        if self.phase in ("look", "lost"):
            return float("inf")
        return (self.features if self.phase == "serve" else self.joints).end

    def _advance_image_phase(self, stamp: float, x: Array, fresh: bool, known: bool) -> None:
        """Look -> serve when the Jacobian is known, serve -> look when it is not any more, lost while nothing is seen."""
        phase = "lost" if not fresh else "serve" if known else "look"
        if phase == self.phase:
            return
        if phase == "serve":
            self.features.reset(x[2 * self.n : 2 * self.n + self.m], stamp)
            self.features.go_to(self.target.value, stamp)
        self.joints.reset(x[: self.n], stamp)
        self.phase, self._since = phase, stamp

    def _looking_around(self, times: Array) -> Array:
        """Small sinusoids (T, n), a frequency for each joint, faded in over half a second."""
        c, since = self.settings, times[:, None] - self._since
        frequency = c.excitation_frequency * (0.6 + 0.8 * np.arange(self.n) / max(1, self.n - 1))
        return c.excitation_amplitude * np.clip(since / 0.5, 0.0, 1.0) * np.sin(2.0 * np.pi * frequency * since)

    def _next_due(self, stamp: float) -> Target | None:
        """Take the first target whose time has come from the queue."""
        with self._lock:
            self.adopted = self.accepted
            if self._queue and self._queue[0].stamp <= stamp + 0.25 * self.dt:
                return self._queue.pop(0)
        return None

    def _accept(self, target: Target) -> Target:
        """A target that holds from now on replaces all that were queued; a later one joins the queue in order of time,
        in place of one that would begin at the same tick.
        """
        if reason := self._refusal():
            raise TargetError(reason)
        with self._lock:
            kept = [t for t in self._queue if target.stamp > 0.0 and abs(t.stamp - target.stamp) > 0.5 * self.dt]
            self._queue = sorted([*kept, target], key=lambda t: t.stamp)
            self.accepted += 1
        return target

    def _middle(self) -> Array:
        lower, upper = self.robot.position_lower, self.robot.position_upper
        bounded = np.isfinite(lower) & np.isfinite(upper)
        return np.where(bounded, 0.5 * (np.where(bounded, lower, 0.0) + np.where(bounded, upper, 0.0)), 0.0)
