r"""Jogging: streams of velocities, of the tool or of the joints, and the joints' velocities that they ask for.

A twist (v, w) of the tool, turned from the axes of its frame into those of the root link, asks for J qd = r with J the
tool's velocities at the reference (pose_kinematics.py). With W = diag(s)^2, s_j the speed that joint j may have, its
solution that is least in proportion to those speeds is

    qd = W J^T (J W J^T + mu E)^-1 r,        mu = 0 except at a singular posture.

s_j is the share of the limit that references use and, towards a stop at the distance d, at most

    s(d, a) = d / t_a  for d <= a t_a^2,  sqrt(2 a d - a^2 t_a^2) beyond,

along which it is slowed down with a at most. All joints come to rest at the same time, so that a slow one still goes
half of its speed times that time: t_a is a little more than half of the longest such time. Thus a joint near a stop
moves less, and those that the task leaves free do its part. Then all are multiplied by one factor, so that the tool
keeps its direction, until no joint exceeds s_j.

A singular posture is a stop, too. Where the inverse condition number c = sigma_min / sigma_max of J falls by c' along
qd, (c - c_stop) / c' [s] are left at full speed. They are the distance for the factor f = s(., min_j a_j / |qd_j|), at
most 1, of f qd. The way back stays free.

The limited accelerations of the joints take the tool off the path that it was told. So r also takes it back within
CORRECTION, where the arm has enough joints: the path is the integral of the twists, times those factors.

An arm that is blocked or held does not follow. e_j is how far the reference is ahead of the measured joint, b_j its way
in `reference.jog_lead` at the speed limit of references, at least LEAST_LEAD. The velocities are multiplied by
2 (1 - |e_j| / b_j), at most 1 and at least 0, for the largest |e_j| / b_j of the joints that would get further ahead.
Beyond b_j / 2 the reference begins anew at the arm where the jog ends or turns back.

Stamps are those of the states: a jog holds for `reference.jog_timeout` after its own.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import ArrayLike

from ..config.sections.references import ReferenceSettings
from ..exceptions import LONGEST, TargetError
from ..robots import Robot
from ..robots.frames import RobotFrames, named
from ..robots.pose_kinematics import PoseKinematics
from ..types import Array, JointVector, checked
from .targets import Target
from .tool_path import NO_ERROR, ToolPath

JOGS = ("twist", "velocities")  # kinds of targets that are velocities
APPROACH = 0.6  # of the time in which the arm comes to rest at most
GENTLE = 0.5  # of the acceleration limit, with which a joint is slowed down before a stop
SOON = 8.0  # times c_stop, below which c is looked at
TRIED = 0.01  # [s] along a motion, to see whether it leads to a singular posture
MOST_HINTS = 10  # errors that also say which frame is nearest
NO_SPEED = 1e-9  # [rad/s or m/s]
CORRECTION = 0.1  # [s]
LEAST_LEAD = 0.02  # [rad or m]: errors of joints that hardly move
LEAST_TICKS = 2.0  # for which a jog holds
JOG_FOLLOWED = 0.5  # of the lead, up to which an arm counts as following


class JogCounts:
    """What became of jogs: how many were accepted, `ignored` those without effect by reason, with the last `details`.

    slowed: the ticks in which a jog was slowed down, by reason.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.ignored: Counter[str] = Counter()
        self.slowed: Counter[str] = Counter()
        self.details: dict[str, str] = {}

    def report(self) -> list[tuple[str, int]]:
        """Return what the diagnostics tell, but for the jogs without effect, by name."""
        slowed = [(f"ticks with a jog slowed down {why}", count) for why, count in sorted(self.slowed.items())]
        return [("jogs accepted", self.accepted), *slowed]


class Jogging:
    """Jogs of `robot`, by the kinematics of its tool; `counts` tells what became of them."""

    def __init__(self, robot: Robot, settings: ReferenceSettings, kinematics: PoseKinematics, dt: float):
        self._robot, self._settings, self._kinematics = robot, settings, kinematics
        self._timeout = max(settings.jog_timeout, LEAST_TICKS * dt)  # it is looked at once in a period dt [s]
        self._frames, self._measured = RobotFrames(robot), (*robot.joints, *robot.uncontrolled)
        self._hints = MOST_HINTS
        self._acceleration = GENTLE * settings.acceleration_fraction * robot.acceleration_limit
        hardest, jerk = self._acceleration / GENTLE, settings.jerk_fraction * robot.jerk_limit
        fastest = settings.velocity_fraction * robot.velocity_limit
        self._time = APPROACH * float((fastest / hardest).max() + (hardest / jerk).max())  # [s]
        self._most_ahead = np.maximum(settings.jog_lead * fastest, LEAST_LEAD)
        self._path = ToolPath(kinematics)
        self.counts = JogCounts()

    # --- from messages ----------------------------------------------------------------------------------------------

    def twist(self, twist: ArrayLike, frame: str, stamp: float) -> Target:
        """Make a jog of [v; w] (6,) [m/s, rad/s] in the axes of the link `frame`; TargetError if it cannot be one."""
        value, s = _finite("twist", twist, 6), self._settings
        for name, part, most, unit in (
            ("linear", value[:3], s.jog_linear_speed, "m/s"),
            ("angular", value[3:], s.jog_angular_speed, "rad/s"),
        ):
            speed = math.hypot(*part)
            if speed > most:
                raise TargetError(
                    f"twist: its {name} speed is {speed:.4g} {unit}, more than {most:g} (reference.jog_{name}_speed)",
                    kind="too fast",
                )
        return Target("twist", value, stamp, frame=self._resolved(frame))

    def velocities(self, qd: ArrayLike, stamp: float) -> Target:
        """Make a jog of the joints' velocities (n,) [rad/s or m/s]; TargetError if it cannot be one."""
        value = _finite("joint jog", qd, self._robot.n)
        for name, speed, most in zip(self._robot.joints, value, self._robot.velocity_limit, strict=True):
            if abs(speed) > most:
                raise TargetError(
                    f"joint jog: the velocity of '{name}' is {speed:.4g}, more than its limit {most:.4g}",
                    kind="too fast",
                )
        return Target("velocities", value, stamp)

    def _resolved(self, frame: str) -> str:
        """Return the frame of the robot that a message calls so; '' is the root, and a leading slash is left out."""
        frames, name = self._frames, frame.removeprefix("/") or self._frames.root
        if name in frames.fixed or name in frames.measured:
            return name
        if name in frames.others:
            text = f"frame '{name}' is moved by joint '{frames.others[name]}', which is not measured"
            raise TargetError(text, kind="unknown frame")
        self._hints -= 1  # to find which frame is meant takes milliseconds
        hint = f"; {named((*frames.fixed, *frames.measured), name[:LONGEST])}" if self._hints >= 0 else ""
        raise TargetError(f"frame '{name[:LONGEST]}' is none of the robot{hint}", kind="unknown frame")

    # --- in the control thread --------------------------------------------------------------------------------------

    def until(self, jog: Target, stamp: float, refusal: str) -> float | None:
        """Return until when a jog holds that came before the state of `stamp` [s]; None: it has no effect.

        refusal: why targets are refused at present; '': they are not.
        """
        timeout, age = self._timeout, stamp - jog.stamp if jog.stamp else 0.0
        if refusal:
            self._ignore(jog, "refused at present", refusal)
            return None
        if age > timeout:
            text = f"it is stamped {age:.3f} s ago, more than {timeout:g} s (reference.jog_timeout)"
            self._ignore(jog, "too old", text)
            return None
        if age < -timeout:
            text = f"it is stamped {-age:.3f} s in the future, more than {timeout:g} s (reference.jog_timeout)"
            self._ignore(jog, "in the future", text)
            return None
        return stamp + timeout - max(0.0, age)

    def begin(self, jog: Target, before: Target | None = None) -> None:
        """Begin with a jog after the target `before`: the path of the tool goes on only from twist to twist."""
        if before is None or before.kind != jog.kind:
            self._path.forget()

    def left(self, lead: Array, qd: JointVector | None = None) -> bool:
        """Whether a reference `lead` (n,) ahead has left the arm behind, and qd (n,) leads back where it has."""
        behind = np.abs(lead) > JOG_FOLLOWED * self._most_ahead
        return bool(behind.any()) and (qd is None or bool((qd[behind] * lead[behind] < 0.0).all()))

    def wanted(self, jog: Target, q: JointVector, dt: float, fastest: Array, lead: Array) -> JointVector:
        """Return the joints' velocities (n,) of a jog.

        Parameters
        ----------
        jog
            a twist of the tool, or velocities of the joints.
        q
            (n,) where the reference is.
        dt
            [s] for how long they hold, about.
        fastest
            (n,) speeds that none exceeds.
        lead
            (n,) how far the reference is ahead of the measured arm [rad or m].
        """
        robot = self._robot
        down, up = self._allowed(q - robot.position_lower, fastest), self._allowed(robot.position_upper - q, fastest)
        if jog.kind == "velocities":
            share = min(1.0, 1.0 / max(float((np.abs(jog.value) / fastest).max()), 1.0))
            qd = share * jog.value
            limited: Array = np.clip(qd, -down, up)
            if (np.abs(qd - limited) > NO_SPEED).any():
                self.counts.slowed["near a joint stop"] += 1
            return self._following(limited, lead) * limited
        qd, v, w = self._of_twist(jog, q, fastest, down, up)
        share = self._following(qd, lead)
        self._path.go_on(share * dt * v, share * dt * w)
        return share * qd

    def _of_twist(
        self, jog: Target, q: JointVector, fastest: Array, down: Array, up: Array
    ) -> tuple[JointVector, Array, Array]:
        """Return the joints' velocities (n,) of a twist, none above `down`, `up` (n,), and the tool's v, w (3,)."""
        p, R, J = self._kinematics.velocity_map(q)
        sizes = _singular_values(J)
        if not sizes[0] > 0.0:  # nothing that the joints do moves the tool
            return np.zeros(len(q)), np.zeros(3), np.zeros(3)
        axes = self._axes(jog.frame, q)
        v, w = axes @ jog.value[:3], R.T @ (axes @ jog.value[3:])
        away, turned = self._path.error(p, R) if len(J) <= len(q) else NO_ERROR
        r = self._kinematics.weighted(v + away / CORRECTION, w + turned / CORRECTION)
        stop = sizes[0] / self._settings.jog_condition
        damping = max(0.0, stop**2 - sizes[-1] ** 2) if sizes[-1] < stop else 0.0
        free = _solution(J, r, fastest, damping)
        speeds = np.where(free < 0.0, down, up)
        qd = _solution(J, r, speeds, damping)
        if (reversed_ := free * qd < 0.0).any():  # it may have been given what it may do the other way
            qd = _solution(J, r, np.where(reversed_, np.minimum(down, up), speeds), damping)
        share = self._share(qd, down, up)
        if share < 0.99 * self._share(free, fastest, fastest):
            self.counts.slowed["near a joint stop"] += 1
        share *= self._before_singular(q, qd, sizes)
        return share * qd, share * v, share * w

    def _axes(self, frame: str, q: JointVector) -> Array:
        """Return the axes (3, 3) of a frame with the joints at q (n,)."""
        if (fixed := self._frames.fixed.get(frame)) is not None:
            return fixed[:3, :3]
        positions = np.concatenate((q, self._kinematics.uncontrolled)).tolist()
        return self._frames.moved(frame, dict(zip(self._measured, positions, strict=True)))[:3, :3]

    def _allowed(self, distance: Array, fastest: Array) -> Array:
        """Return the speeds (n,) that joints may have towards stops at `distance` (n,), infinite without one."""
        allowed: Array = np.minimum(_approaching(np.maximum(distance, 0.0), self._acceleration, self._time), fastest)
        return allowed

    def _share(self, qd: JointVector, down: Array, up: Array) -> float:
        """Return the factor (0, 1] for qd (n,) that keeps every joint within the speeds it may have."""
        speeds, most = np.abs(qd), np.where(qd < 0.0, down, up)
        moving = speeds > NO_SPEED
        return float(np.min(most[moving] / speeds[moving], initial=1.0))

    def _following(self, qd: JointVector, lead: Array) -> float:
        """Return the factor [0, 1] for qd (n,) with the reference `lead` (n,) ahead of the arm."""
        further = (qd * lead > 0.0) & (np.abs(qd) > NO_SPEED)
        most = float(np.max((np.abs(lead) / self._most_ahead)[further], initial=0.0))
        factor = min(1.0, max(0.0, (1.0 - most) / (1.0 - JOG_FOLLOWED)))
        if factor < 1.0:
            self.counts.slowed["because the arm does not follow"] += 1
        return factor

    def _before_singular(self, q: JointVector, qd: JointVector, sizes: Array) -> float:
        """Return the factor [0, 1] for qd (n,) towards a singular posture; `sizes`: the singular values at q (n,)."""
        stop, here, speeds = 1.0 / self._settings.jog_condition, float(sizes[-1] / sizes[0]), np.abs(qd)
        if here >= SOON * stop or not speeds.max() > NO_SPEED:
            return 1.0
        sizes = _singular_values(self._kinematics.velocity_map(q + TRIED * qd)[2])
        falling = (here - float(sizes[-1] / sizes[0])) / TRIED
        if falling <= 0.0:
            return 1.0
        left = np.array(max(0.0, here - stop) / falling)  # [s] at full speed
        slowing = (self._acceleration / np.maximum(speeds, NO_SPEED)).min()
        factor = min(1.0, float(_approaching(left, slowing, self._time)))
        if factor < 1.0:
            self.counts.slowed["near a singular posture"] += 1
        return factor

    def _ignore(self, jog: Target, reason: str, text: str) -> None:
        kind = f"{jog.kind}: {reason}"
        self.counts.ignored[kind] += 1
        self.counts.details[kind] = text


def _approaching(distance: Array, acceleration: Array, time: float) -> Array:
    """Return the speed at which a stop at `distance` may be approached; `time` is t_a [s]."""
    near = acceleration * time**2
    return np.asarray(
        np.where(distance <= near, distance / time, np.sqrt(np.maximum(2.0 * distance - near, 0.0) * acceleration))
    )


def _finite(what: str, values: ArrayLike, count: int) -> Array:
    value = checked(what, values, (count,))
    if not np.isfinite(value).all():
        raise TargetError(f"{what}: {value.tolist()} is not finite", kind="not finite")
    return value


def _singular_values(J: Array) -> Array:
    return np.asarray(np.linalg.svd(J, compute_uv=False), dtype=np.float64)


def _solution(J: Array, r: Array, speeds: Array, damping: float) -> JointVector:
    """Return qd (n,) with J qd = r that is least in proportion to `speeds` (n,); where there is none, the nearest."""
    scaled = J * speeds
    U, sizes, V = np.linalg.svd(scaled, full_matrices=False)
    most = float(sizes.max(initial=0.0))
    known = sizes > 1e-9 * most
    mu = damping * float(speeds.max(initial=0.0)) ** 2
    inverse = np.where(known, sizes / np.where(known, sizes * sizes + mu, 1.0), 0.0)
    qd: JointVector = speeds * (V.T @ (inverse * (U.T @ r)))
    return qd
