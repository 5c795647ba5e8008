"""First postures and targets of an arm, drawn by seed from what its URDF allows (references/workspace.py).

A target is where the tip is in a posture drawn uniformly, so that the arm can reach it. It is drawn again when it is
too near or too far, when its reference does not leave REST_TIME of its slot for rest, when its pose is near a joint
stop, or when holding it takes too much of an effort limit; the last are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...config.configuration import Configuration
from ...exceptions import ConfigurationError
from ...references.trajectory import joint_reference
from ...references.workspace import DRAWS, TIPS, Workspace
from ...robots import Robot
from ...types import Array

HOLD_TIME, SLOT_TIME, REST_TIME = 0.5, 3.0, 1.25  # [s]


@dataclass(frozen=True, eq=False)
class Course:
    """A first posture (n,), targets (k, 3) [m], and how many draws were refused because of their effort."""

    start: Array
    targets: Array
    redrawn: int


def course(work: Workspace, start: Array, count: int, propose: Callable[[Array], Array], draws: int = DRAWS) -> Course:
    """Draw `count` targets, one reachable from the other.

    Parameters
    ----------
    work
        draws.
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
    reference = joint_reference(work.robot, Configuration.from_flat({}).reference, 0.01)
    targets: list[Array] = []
    q = start
    for _ in range(draws):
        if len(targets) == count:
            return Course(start, np.array(targets), work.redrawn)
        p = propose(work.kinematics.position(q))
        there = work.go(q, p, reference, SLOT_TIME - REST_TIME)
        if there is not None:
            targets.append(p)
            q = there
    raise ConfigurationError(
        f"found only {len(targets)} of {count} targets; {work.redrawn} draws need too much effort to hold"
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
    work = Workspace(robot, effort, np.random.default_rng([seed, 15]))
    return course(work, work.start(), count, lambda here: work.cloud[work.rng.integers(TIPS)])
