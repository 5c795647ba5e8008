"""First postures and targets of an arm, drawn by seed from what its URDF allows.

The first posture is, of the CANDIDATES usable ones drawn, that in which the tip moves most easily in its worst
direction. A target is where the tip is in a posture drawn uniformly, so that the arm can reach it. It is drawn again
when it is nearer than CLOSEST or further than FURTHEST of the arm's reach, when its reference does not leave REST_TIME
of its slot for rest, when its pose is near a joint stop, or when holding it takes more than HOLDABLE of an effort
limit; the last are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...config.configuration import Configuration
from ...exceptions import ConfigurationError
from ...references.trajectory import joint_reference
from ...robots import Robot
from ...robots.kinematics import Kinematics
from ...types import Array

HOLD_TIME, SLOT_TIME, REST_TIME = 0.5, 3.0, 1.25  # [s]
CLOSEST, FURTHEST = 0.1, 0.6  # of the reach
HOLDABLE = 0.7  # of the effort limit
NEAR_STOP = 0.05  # of a joint's range
CANDIDATES, DRAWS, TIPS = 20, 4000, 2000
WIDEST = np.pi  # [rad]: of joints that turn further only this much either way is drawn


@dataclass(frozen=True, eq=False)
class Course:
    """A first posture (n,), targets (k, 3) [m], and how many draws were refused because of their effort."""

    start: Array
    targets: Array
    redrawn: int


class Draws:
    """Draws postures and targets of `robot`.

    Parameters
    ----------
    robot
        whose limits hold.
    effort
        returns the effort (n,) [N m or N] that holds the arm at q (n,).
    rng
        draws.
    """

    def __init__(self, robot: Robot, effort: Callable[[Array], Array], rng: np.random.Generator):
        self.rng, self.kinematics, self.redrawn = rng, Kinematics(robot), 0
        self._robot, self._effort = robot, effort
        span = robot.position_upper - robot.position_lower
        self._margin = np.where(np.isfinite(span), NEAR_STOP * span, 0.0)
        low, high = np.maximum(robot.position_lower, -WIDEST), np.minimum(robot.position_upper, WIDEST)
        self.low, self.high = np.minimum(low, high), np.maximum(low, high)
        self.cloud = self.kinematics.positions(rng.uniform(self.low, self.high, (TIPS, robot.n)))
        self.reach = 0.5 * float(np.ptp(self.cloud, axis=0).max())

    def usable(self, q: Array) -> bool:
        """Return whether the arm can hold q (n,) with HOLDABLE of its efforts, away from its stops."""
        robot = self._robot
        if (q < robot.position_lower + self._margin).any() or (q > robot.position_upper - self._margin).any():
            return False
        if (np.abs(self._effort(q)) <= HOLDABLE * robot.effort_limit).all():
            return True
        self.redrawn += 1
        return False

    def course(self, start: Array, count: int, propose: Callable[[Array], Array], draws: int = DRAWS) -> Course:
        """Draw `count` targets, one reachable from the other.

        Parameters
        ----------
        start
            the first posture (n,).
        count
            how many targets.
        propose
            draws a point (3,) [m]; it is given where the tip is (3,) [m].
        draws
            at most.

        Raises
        ------
        ConfigurationError
            There are not enough targets.
        """
        reference = joint_reference(self._robot, Configuration.from_flat({}).reference, 0.01)
        targets: list[Array] = []
        q = start
        for _ in range(draws):
            if len(targets) == count:
                return Course(start, np.array(targets), self.redrawn)
            here = self.kinematics.position(q)
            p = propose(here)
            if not CLOSEST * self.reach <= np.linalg.norm(p - here) <= FURTHEST * self.reach:
                continue
            there, distance = self.kinematics.inverse(p, q, restarts=0)
            if distance > 1e-5 or not self.usable(there):
                continue
            reference.reset(q, 0.0)
            reference.go_to(there, 0.0)
            if reference.end <= SLOT_TIME - REST_TIME:
                targets.append(p)
                q = there
        raise ConfigurationError(
            f"found only {len(targets)} of {count} targets; {self.redrawn} draws need too much effort to hold"
        )


def draw(robot: Robot, effort: Callable[[Array], Array], seed: int, count: int) -> Course:
    """Draw a first posture and `count` targets, one reachable from the other.

    Parameters
    ----------
    robot
        whose limits hold.
    effort
        returns the effort (n,) [N m or N] that holds the arm at q (n,).
    seed, count
        of the draws, and of targets.

    Raises
    ------
    ConfigurationError
        The arm cannot hold itself, or there are not enough targets.
    """
    draws = Draws(robot, effort, np.random.default_rng([seed, 15]))
    return draws.course(_first(draws), count, lambda here: draws.cloud[draws.rng.integers(TIPS)])


def _first(draws: Draws) -> Array:
    """Return the usable posture of the first CANDIDATES whose Jacobian has the largest least singular value."""
    found: list[tuple[float, Array]] = []
    for _ in range(DRAWS):
        q = draws.rng.uniform(draws.low, draws.high)
        if draws.usable(q):
            found.append((float(np.linalg.svd(draws.kinematics.jacobian(q), compute_uv=False)[-1]), q))
        if len(found) == CANDIDATES:
            break
    if not found:
        raise ConfigurationError(f"none of {DRAWS} postures can be held with {HOLDABLE:.0%} of the effort limits")
    return max(found, key=lambda pair: pair[0])[1]
