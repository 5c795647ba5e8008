r"""The rule before contact: the arm slows down, stops with a clearance, and may move away.

Signed distances d_k(q) with g_k = dd_k/dq; c is the clearance. tau is the reaction time, or the delay that the
controller is told of where that is longer, and one period, for which a command holds. a (n,) is the deceleration that
the rule reckons with: a fraction of the acceleration limits, and no more than RELIED_ON of what the limiter lets a
velocity or position command brake with. An effort takes up to 1 / r periods more to change, where it may change by the
share r of its range in a period and r is below QUICK_RATE.

Velocity and position commands move the arm by v. Scaled to s v and braked evenly it comes to rest after the way
s tau v + s^2 T/2 v, T = max_j |v_j| / a_j, on which the distance falls by no more than r_k (s tau + s^2 T/2) with

    r_k = max(-g_k . v,  (d_k(q) - d_k(q + (tau + T/2) v)) / (tau + T/2)).

So the largest s in [0, 1] is taken with r_k (s tau + s^2 T/2) <= max(d_k - c, 0) for every k with r_k > 0. A position
command is judged where the last one was, to which the arm goes.

An effort is not a motion. There the arm's own motion is watched: braking joint by joint it would come to rest at
q + b, b_j = tau qd_j + qd_j |qd_j| / (2 a_j). Where a distance would fall below c, to first order or at that pose,
the safe command acts, which brakes at the acceleration limits (arrest.py). It is told what carries the arm: the last
efforts less what accelerated it, u - M qdd; the mean of the efforts of a motion does not. The arm is released when it
no longer approaches what it was stopped for, and the controller wants no motion towards what is nearer than c +
CLEARANCE_BAND: the motion of its plan, or what the effort u accelerates beyond what carries the arm,
M^-1 (u - u_c) AHEAD^2 / 2.

Of a distance from another arm that moves, only d_k - a_k is left (other_arm.py), with h = tau + T.

An obstacle that appears on the arm is another matter: which way is out is unknown. The safe command acts until the
obstacle no longer overlaps the arm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..collision.chain import reach
from ..collision.obstacles import Obstacle
from ..collision.scene import Scene
from ..config.sections.collision import CollisionSettings
from ..config.sections.safety import SupervisorSettings
from ..exceptions import listed
from ..robots import Robot
from ..types import Array, Decision, Observation
from .arrest import Arrest
from .command_limiter import CommandLimiter, command_braking
from .other_arm import OtherArm
from .recent_motion import RecentMotion
from .state_machine import Reason

CLEARANCE_BAND = 0.01  # [m] beyond the clearance within which an arm that was stopped is not moved on
APPROACH_NOISE = 5e-4  # [m] by which a distance must be about to fall to count as a motion, far from contact
WANTED_FALL = 1e-4  # [m] by which a distance falls on the way that a controller wants
AHEAD = 0.15  # [s] for which an effort is looked at
RELIED_ON = 0.8  # the rest is for distances that fall faster than they are about to
QUICK_RATE = 0.5  # share of its range by which an effort may change in a period
SMALL_SHARE = 1e-3  # of the way to rest, on which a distance changes to first order
NO_APPROACH = 1e-6  # [m/s or m/s^2] that counts as no approach


class CollisionRule:
    """Keeps `robot` from touching itself and the obstacles of `scene`.

    `supervisor`: the limits of its commands; `dt` [s]: the control period; `delay` [s]: the time until commands act.

    `held`: an arm moved by efforts is stopped. `slowed`: the last velocity or position command was. `overlapping`:
    names of what appeared on the arm. `notes`: what is to be said about the scene; `guessed`: links of guessed shape.
    """

    def __init__(
        self,
        robot: Robot,
        scene: Scene,
        settings: CollisionSettings,
        supervisor: SupervisorSettings,
        dt: float,
        delay: float = 0.0,
    ):
        self.scene = scene
        self._clearance, self._dt = settings.clearance, dt
        self._reaction = max(settings.reaction_time, delay) + dt
        self._deceleration = settings.deceleration * robot.acceleration_limit
        self._velocities, self._efforts = robot.interface == "velocity", robot.interface == "effort"
        if self._efforts:
            self._reaction += dt * max(0.0, 1.0 / min(supervisor.command_rate) - 1.0 / QUICK_RATE)
        else:
            braking = RELIED_ON * command_braking(robot, supervisor, dt)
            self._deceleration = np.minimum(self._deceleration, braking)
        self.held, self.slowed, self.overlapping = False, False, tuple[str, ...]()
        self.notes: list[str] = []
        self.guessed: Sequence[str] = ()
        self.refused = 0  # messages of obstacles
        self._given, self._names = list(scene.obstacles), set[str]()  # of the settings; names of the others
        self._appeared = False
        self._recent, self._other = RecentMotion(dt), OtherArm(robot)
        self._met: NDArray[np.bool_] = np.zeros(len(scene), dtype=bool)  # for which distances the arm was stopped
        self._nearest = (math.inf, -1)
        self._reach = reach(robot, scene.capsules)

    def lets_pass(self, Q: Array, V: Array, own: float, room: float) -> NDArray[np.bool_]:
        """Return (T,) whether an arm moved by efforts that passes Q with the velocities V (T, n) is not stopped.

        own, room: distances [m] between links, and from obstacles, that are asked for beyond the clearance.
        """
        B, least = self._way_to_rest(V), np.full(len(self.scene), self._clearance + room)
        least[: len(self.scene.pairs)] = self._clearance + own
        d = self.scene.sampled(Q)
        to_first_order = d + (self.scene.sampled(Q + SMALL_SHARE * B) - d) / SMALL_SHARE
        rest = np.minimum(to_first_order, self.scene.sampled(Q + B))
        return np.asarray(((rest >= least) | (rest >= d)).all(axis=1))

    def _way_to_rest(self, qd: Array) -> Array:
        return np.asarray(self._reaction * qd + 0.5 * qd * np.abs(qd) / self._deceleration)

    @property
    def acting(self) -> bool:
        """Whether the arm is slowed down or held."""
        return self.held or self.slowed or bool(self.overlapping)

    @property
    def nearest(self) -> tuple[str, float]:
        """Return which two bodies were nearest when distances were last computed, and how far apart [m]."""
        d, number = self._nearest
        return ("", d) if number < 0 else (self.scene.name(number), d)

    @property
    def text(self) -> str:
        """Say what is done, and before which contact."""
        if self.overlapping:
            return f"held: an obstacle has appeared on the arm: {listed(self.overlapping)}"
        name, d = self.nearest
        if not self.acting:
            return "no contact is near"
        return f"{'held' if self.held else 'slowed down'} before contact: {name}, {1e3 * d:.0f} mm apart"

    def report(self) -> list[tuple[str, object]]:
        """Return what diagnostics tell."""
        name, d = self.nearest
        return [
            ("nearest", name),
            ("distance [mm]", 1e3 * d),
            ("pairs", len(self.scene.pairs)),
            ("distances", len(self.scene)),
            ("obstacles", len(self.scene.obstacles)),
            ("messages of obstacles refused", self.refused),
            ("links whose shape is guessed", ", ".join(self.guessed)),
        ]

    def reset(self) -> None:
        """Start anew with an arm that is not held; obstacles stay."""
        self.held, self.slowed, self.overlapping, self._appeared = False, False, (), True
        self._recent.clear()

    def set_obstacles(self, obstacles: Sequence[Obstacle]) -> None:
        """Replace the obstacles that are not those of the settings."""
        self._names = {obstacle.name for obstacle in obstacles}
        self.scene.set_obstacles([*self._given, *obstacles])
        self._appeared, self._nearest, self._met = True, (math.inf, -1), np.zeros(len(self.scene), dtype=bool)

    def judge(self, decision: Decision, observation: Observation, u: Array, arrest: Arrest | None) -> int:
        """Return the Reason flags for which the safe command is to act: COLLISION (efforts only), OBSTACLE.

        Parameters
        ----------
        decision
            the controller's.
        observation
            the present state.
        u
            (n,) the last command.
        arrest
            knows what carries the arm; of efforts only.
        """
        q, scene = observation.q, self.scene
        if not len(scene):
            return 0
        if self._efforts:
            self._recent.add(observation, u)
        scene.place(observation.uncontrolled)
        self._other.update(observation.stamp, observation.uncontrolled)
        if not (self._efforts or self._appeared or self.overlapping):
            return 0
        d, gradient = scene.distances(q)
        self._note(d)
        flags = int(Reason.OBSTACLE) if self._overlaps(d) else 0
        if self._efforts and self._stops(d, gradient, decision, observation, arrest):
            flags |= int(Reason.COLLISION)
        return flags

    def limit(
        self,
        limiter: CommandLimiter,
        u: Array,
        observation: Observation,
        slower: float,
        near: Array | None,
        share: float,
    ) -> tuple[Array, int]:
        """Return what `limiter` makes of the command u (n,), slowed down where it must be; see its `limit`."""
        previous, step = limiter.previous, limiter.last_step
        limited, reasons = limiter.limit(u, observation, slower, near, share)
        if self._efforts or not len(self.scene):
            return limited, reasons
        if self._velocities:
            s = self._fraction(observation.q, limited)
            slowed = s * limited
        else:
            s = self._fraction(previous, (limited - previous) / (share * self._dt))
            slowed = previous + s * (limited - previous)
        self.slowed = s < 1.0
        if not self.slowed:
            return limited, reasons
        return limiter.slowed(slowed, previous, step, observation, share), reasons | int(Reason.COLLISION)

    def _fraction(self, q: Array, v: Array) -> float:
        """Return the largest s in [0, 1] for the motion v (n,) from q (n,); see the module's docstring."""
        d, gradient = self.scene.distances(q)
        self._note(d)
        braking = float(np.max(np.abs(v) / self._deceleration))
        ahead = self._reaction + 0.5 * braking
        falls = -(gradient @ v)
        if ahead > 0.0 and self._may_reach(d, ahead * v):
            falls = np.maximum(falls, (d - self.scene.values(q + ahead * v)) / ahead)
        approaching = falls > NO_APPROACH
        if not approaching.any():
            return 1.0
        near = d - self._other.approach(self.scene, q, d, self._reaction + braking)
        room = np.maximum(near - self._clearance, 0.0)
        way = float((room[approaching] / falls[approaching]).min())  # least s tau + s^2 T/2 that uses a room up
        if way >= ahead:
            return 1.0
        if way <= 0.0:
            return 0.0
        return 2.0 * way / (self._reaction + math.sqrt(self._reaction**2 + 2.0 * braking * way))

    def _stops(
        self, d: Array, gradient: Array, decision: Decision, observation: Observation, arrest: Arrest | None
    ) -> bool:
        """Return whether the safe command is to act on an arm moved by efforts."""
        q, qd, c = observation.q, observation.qd, self._clearance
        b = self._way_to_rest(qd)
        rest = d + gradient @ b
        if self._may_reach(d, b):
            rest = np.minimum(rest, self.scene.values(q + b))
        to_rest = self._reaction + float(np.max(np.abs(qd) / self._deceleration))
        near = rest - self._other.approach(self.scene, q, d, to_rest)
        noise = APPROACH_NOISE * np.minimum(np.maximum(2.0 * d / c - 1.0, 0.0), 1.0)  # none from half the clearance on
        falling = d - rest > noise
        if (falling & (near < c)).any():
            if not self.held and arrest is not None:
                self._recent.prepare(arrest, q)
            self._met = falling & (near < c) | (self._met if self.held else False)
            self.held = True
        elif self.held and not (falling & self._met).any():
            wanted = gradient @ self._wanted(decision, observation, arrest)
            self.held = bool(((wanted < -WANTED_FALL) & (d < c + CLEARANCE_BAND)).any())
        return self.held

    def _wanted(self, decision: Decision, observation: Observation, arrest: Arrest | None) -> Array:
        """Return the displacement (n,) [rad or m] that the controller wants."""
        n = observation.q.size
        if decision.plan is not None:
            return np.asarray(decision.plan.x_hat[-1, :n] - decision.plan.x_hat[0, :n])
        assert arrest is not None, "efforts come with a safe command that carries the arm"
        acceleration = np.linalg.solve(arrest.inertia(observation.q), decision.u - arrest.carrying)
        return np.asarray(0.5 * AHEAD**2 * acceleration)

    def _may_reach(self, d: Array, b: Array) -> bool:
        """Return whether a displacement b (n,) could bring a distance below the clearance."""
        return float(d.min()) - self._reach * float(np.abs(b).sum()) < self._clearance

    def _overlaps(self, d: Array) -> bool:
        """Return whether something that has appeared overlaps the arm, and note what."""
        if self._appeared or self.overlapping:
            pairs, known = len(self.scene.pairs), set(self.overlapping)
            names = {self.scene.parties(int(k))[1] for k in np.flatnonzero(d[pairs:] < 0.0) + pairs} & self._names
            self.overlapping = tuple(sorted(names if self._appeared else names & known))
            self._appeared = False
        return bool(self.overlapping)

    def _note(self, d: Array) -> None:
        number = int(d.argmin())
        self._nearest = float(d[number]), number
