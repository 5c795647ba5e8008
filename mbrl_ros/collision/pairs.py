r"""Which pairs of capsules can touch, found by trying postures.

Of all pairs of capsules that move against each other, left out are

    adjacent          the two bodies, links without a controlled joint between them, are joined by a controlled joint
    always touching   closer than the clearance in more than TOUCHING of the postures
    never touching    further apart than the clearance and PAIR_MARGIN in all of them, and where a descent ends that
                      starts from the nearest postures: q <- q - (d - c) g / |g|^2, g = dd/dq, inside the joint limits

Postures are drawn evenly between the joint limits, half a turn either way for a continuous joint; so are those of
another arm's joints, `Robot.watched`, while a descent leaves that arm where it is. Joints of another arm join its
bodies as controlled ones do, but only pairs count that a controlled joint moves against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..exceptions import ConfigurationError
from ..robots import Robot, urdf
from ..types import Array
from .capsules import Capsule
from .obstacles import Obstacle
from .scene import Index, Scene

TOUCHING = 0.5  # of the postures; a pair that is mostly too near would keep the arm from moving
PAIR_MARGIN = 0.02  # [m]
STARTS, DESCENT_STEPS, DESCENT_STEP = 3, 40, 0.2  # of the descents; [rad or m] in a step
FIXED = 1e-3  # [m] by which a distance must change to count as one that can be kept


class Pairs(NamedTuple):
    """Numbers (P, 2) of capsules that can touch; the pairs of links that are nearly always too near."""

    pairs: Index
    touching: list[tuple[str, str]]


def postures(robot: Robot, count: int, seed: int) -> Array:
    """Return postures (count, n) [rad or m] drawn evenly between the limits of the joints."""
    low = np.where(np.isfinite(robot.position_lower), robot.position_lower, -np.pi)
    high = np.where(np.isfinite(robot.position_upper), robot.position_upper, np.pi)
    return np.random.default_rng(seed).uniform(low, high, (count, robot.n))


def others_postures(robot: Robot, count: int, seed: int) -> Array | None:
    """Return positions (count, k) [rad or m] of `Robot.uncontrolled`, drawn for `Robot.watched`, else zero.

    None where no other arm is watched.
    """
    if not robot.watched:
        return None
    R = np.zeros((count, len(robot.uncontrolled)))
    low, high = np.array([(joint.lower, joint.upper) for joint in robot.watched]).T
    R[:, robot.displacing :] = np.random.default_rng([seed, 1]).uniform(low, high, (count, len(low)))
    return R


def find_pairs(
    robot: Robot,
    capsules: Sequence[Capsule],
    clearance: float,
    *,
    samples: int,
    seed: int,
    disabled: frozenset[frozenset[str]] = frozenset(),
) -> Pairs:
    """Return the pairs of capsules that can touch.

    Parameters
    ----------
    robot, capsules
        which stand for its links.
    clearance
        [m] below which a pair counts as touching.
    samples, seed
        of the postures.
    disabled
        pairs of links that are left out.
    """
    candidates = _candidates(robot, capsules, disabled)
    if not len(candidates):
        return Pairs(candidates, [])
    scene, Q = Scene(robot, capsules, candidates), postures(robot, samples, seed)
    R = others_postures(robot, samples, seed)
    d = scene.sampled(Q, R)
    touching = (d < clearance).mean(axis=0) > TOUCHING
    lowest = d.min(axis=0)
    for number in np.flatnonzero(~touching & (lowest > clearance + PAIR_MARGIN)):
        for start in np.argsort(d[:, number], kind="stable")[:STARTS]:
            scene.place(None if R is None else R[start])
            lowest[number] = min(lowest[number], _descend(scene, Q[start], int(number), clearance))
    kept = ~touching & (lowest <= clearance + PAIR_MARGIN)
    named = {tuple(sorted(capsules[i].link for i in pair)) for pair in candidates[touching].tolist()}
    return Pairs(candidates[kept], sorted((pair[0], pair[1]) for pair in named))


def find_ignored(
    robot: Robot,
    capsules: Sequence[Capsule],
    obstacles: Sequence[Obstacle],
    clearance: float,
    *,
    samples: int,
    seed: int,
) -> frozenset[tuple[int, str]]:
    """Return {(capsule, obstacle)} whose distance no posture changes, or that are too near in all of them.

    ConfigurationError where an obstacle is too near to every capsule in all of them: nothing would be kept from it.
    """
    scene = Scene(robot, capsules, np.empty((0, 2), dtype=np.intp), obstacles)
    if not len(scene):
        return frozenset()
    d = scene.sampled(postures(robot, samples, seed))
    near = d.max(axis=0) < clearance
    parties = [scene.parties(number) for number in range(len(scene))]
    kept = {name for (_, name), too_near in zip(parties, near.tolist(), strict=True) if not too_near}
    for _, name in parties:
        if name not in kept:
            raise ConfigurationError(
                f"no posture keeps any link away from the obstacle '{name}' of 'collision.planes', '.boxes' or "
                f"'.keep_in': none of {samples} that were tried; look at its place and size, in the root link's frame",
                key="collision.planes",
            )
    ignored = (np.ptp(d, axis=0) < FIXED) | near
    return frozenset(parties[number] for number in np.flatnonzero(ignored))


def _candidates(robot: Robot, capsules: Sequence[Capsule], disabled: frozenset[frozenset[str]]) -> Index:
    """Return the pairs (M, 2) of capsules that move against each other, not on adjacent bodies, nor `disabled`."""
    tree = urdf.parse(robot.urdf)
    joints = (*robot.joints, *(joint.name for joint in robot.watched))
    own, carriers = tree.carriers(robot.joints), tree.carriers(joints)
    moved, body = ([by[capsule.link] for capsule in capsules] for by in (own, carriers))
    below = {joint.name: carriers[joint.parent] for joint in tree.joints if joint.name in joints}
    found = [
        (i, j)
        for i in range(len(capsules))
        for j in range(i + 1, len(capsules))
        if moved[i] != moved[j]
        and below.get(body[i]) != body[j]
        and below.get(body[j]) != body[i]
        and frozenset((capsules[i].link, capsules[j].link)) not in disabled
    ]
    return np.array(found, dtype=np.intp).reshape(-1, 2)


def _descend(scene: Scene, q: Array, number: int, clearance: float) -> float:
    """Return the smallest distance [m] of one pair on a descent from q (n,)."""
    robot, best = scene.robot, np.inf
    for _ in range(DESCENT_STEPS):
        d, gradient = scene.distances(q)
        best, g = min(best, float(d[number])), gradient[number]
        squared = float(g @ g)
        if best <= clearance + PAIR_MARGIN or squared < 1e-12:
            break
        step = -(d[number] - clearance) / squared * g
        step *= min(1.0, DESCENT_STEP / float(np.abs(step).max()))
        moved = np.clip(q + step, robot.position_lower, robot.position_upper)
        if np.abs(moved - q).max() < 1e-9:
            break
        q = moved
    return best
