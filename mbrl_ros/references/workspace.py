"""What an arm can reach and hold: postures and points drawn from what its URDF allows.

A posture q is usable if it is away from the joint stops and held by less than HOLDABLE of the effort limits.
The reach is half the widest extent of the TIPS places where the tip is when joints are drawn uniformly. A starting
posture is the one, of the first CANDIDATES that are usable, in which the tip moves most easily in its worst direction:
that of the largest least singular value of the Jacobian dp/dq.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..exceptions import ConfigurationError
from ..robots import Robot
from ..robots.gravity import GravityEffort
from ..robots.kinematics import Kinematics
from ..types import Array
from .trajectory import SmoothReference

CLOSEST, FURTHEST = 0.1, 0.6  # of the reach: how far a target is from where the tip was
HOLDABLE = 0.7  # of the effort limit
NEAR_STOP = 0.05  # of a joint's range
CANDIDATES, DRAWS, TIPS = 20, 4000, 2000
WIDEST = np.pi  # [rad]: of joints that turn further only this much either way is drawn
NEAR_BASE, NEAR_FLOOR = 0.2, 0.1  # of the reach: clear of the axis and of the plane z = 0 of the root link
START_SEED = 0  # of the starting posture
ROUNDING_OF_SVD = 1e-9  # singular values below this share of the largest are those of directions without motion


class Workspace:
    """The postures and points of `robot` that are drawn by one generator.

    Attributes
    ----------
    cloud : (TIPS, 3) [m] where the tip is in postures drawn uniformly
    postures : (TIPS, n) those postures
    reach : half the widest extent of the cloud [m]
    redrawn : how many postures needed too much effort to hold
    """

    def __init__(self, robot: Robot, effort: Callable[[Array], Array], rng: np.random.Generator):
        """Draw the cloud; `effort` returns the effort (n,) [N m or N] that holds the arm at q (n,)."""
        self.rng, self.kinematics, self.redrawn = rng, Kinematics(robot), 0
        self.robot, self._effort = robot, effort
        span = robot.position_upper - robot.position_lower
        self._margin = np.where(np.isfinite(span), NEAR_STOP * span, 0.0)
        low, high = np.maximum(robot.position_lower, -WIDEST), np.minimum(robot.position_upper, WIDEST)
        self.low, self.high = np.minimum(low, high), np.maximum(low, high)
        self.postures = rng.uniform(self.low, self.high, (TIPS, robot.n))
        self.cloud = self.kinematics.positions(self.postures)
        self.reach = 0.5 * float(np.ptp(self.cloud, axis=0).max())
        same = np.random.default_rng(START_SEED).uniform(self.low, self.high, (TIPS, robot.n))  # whatever `rng` draws
        self._side = 1.0 if np.median(self.kinematics.positions(same)[:, 2]) >= 0.0 else -1.0

    def usable(self, q: Array) -> bool:
        """Return whether the arm can hold q (n,) with HOLDABLE of its efforts, away from its stops."""
        robot = self.robot
        if (q < robot.position_lower + self._margin).any() or (q > robot.position_upper - self._margin).any():
            return False
        if (np.abs(self._effort(q)) <= HOLDABLE * robot.effort_limit).all():
            return True
        self.redrawn += 1
        return False

    def clear(self, p: Array) -> bool:
        """Return whether a point (3,) [m] is clear of the base and of the floor, or of the ceiling.

        That is: at least NEAR_BASE of the reach from the vertical axis of the root link, and NEAR_FLOOR from its plane
        z = 0, on the side where most of the reach is.
        """
        aside = float(np.hypot(p[0], p[1])) >= NEAR_BASE * self.reach
        return aside and self._side * float(p[2]) >= NEAR_FLOOR * self.reach

    def go(self, q: Array, p: Array, reference: SmoothReference, seconds: float) -> Array | None:
        """Return a usable posture (n,) at p (3,) [m] that a reference from q (n,) reaches within `seconds`, or None.

        None, too, for a point nearer than CLOSEST or further than FURTHEST of the reach.
        """
        if not CLOSEST * self.reach <= np.linalg.norm(p - self.kinematics.position(q)) <= FURTHEST * self.reach:
            return None
        there, distance = self.kinematics.inverse(p, q, restarts=0)
        if distance > 1e-5 or not self.usable(there):
            return None
        reference.reset(q, 0.0)
        reference.go_to(there, 0.0)
        return there if reference.end <= seconds else None

    def start(self, fits: Callable[[Array], bool] = lambda _: True) -> Array:
        """Draw a posture (n,) to start from, of those that `fits` takes: where the tip moves most easily.

        That is by the least singular value of its Jacobian in the directions in which it can move at all: a planar
        arm's cannot leave its plane.

        Raises
        ------
        ConfigurationError
            The arm cannot hold itself.
        """
        found: list[tuple[Array, Array]] = []
        for _ in range(DRAWS):
            q = self.rng.uniform(self.low, self.high)
            if self.usable(q) and fits(q):
                values = np.asarray(np.linalg.svd(self.kinematics.jacobian(q), compute_uv=False), dtype=np.float64)
                found.append((values, q))
            if len(found) == CANDIDATES:
                break
        if not found:
            raise ConfigurationError(f"none of {DRAWS} postures can be held with {HOLDABLE:.0%} of the effort limits")
        directions = max(int(np.sum(values > ROUNDING_OF_SVD * values[0])) for values, _ in found)
        return max(found, key=lambda pair: float(pair[0][directions - 1]))[1]


def starting_posture(robot: Robot) -> Array:
    """Return a posture (n,) [rad or m] for a simulated robot to start from, always the same one.

    Usable by the masses of the URDF, with the tip clear of base and floor, rounded to hundredths.

    Raises
    ------
    ConfigurationError
        The arm cannot hold itself.
    """
    work = Workspace(robot, GravityEffort(robot), np.random.default_rng(START_SEED))
    start: Array = np.round(work.start(lambda q: work.clear(work.kinematics.position(q))), 2)
    return np.clip(start, robot.position_lower, robot.position_upper)
