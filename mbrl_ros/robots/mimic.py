r"""Joints that follow a controlled one, as in parallel linkages and grippers (<mimic> of a URDF).

A follower f of joint j stands at q_f = k q_j + c, k its multiplier and c its offset; one that follows another follower
follows what that one does. The positions of all N = n + (followers) joints and what acts on the n controlled ones are

    q_all = E q + c,     qd_all = E qd,     M = E^T M_all E,     tau = E^T tau_all

(Featherstone 2008, section 3.2: the virtual power of the constraint is zero), with E (N, n) constant.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..exceptions import RobotDescriptionError
from ..types import Array
from .urdf import MOVABLE, Joint, Tree


class Follower(NamedTuple):
    """A joint `name` at `multiplier` times the position of controlled joint number `master`, plus `offset`."""

    name: str
    master: int
    multiplier: float
    offset: float


def followers_of(tree: Tree, controlled: tuple[str, ...]) -> tuple[Follower, ...]:
    """Return the joints of `tree` that follow one of `controlled`, in the order of the file.

    Raises RobotDescriptionError where multiplier or offset of one of them is no number.
    """
    joints = {joint.name: joint for joint in tree.joints}
    found = (_resolved(joint, joints, controlled) for joint in tree.joints if joint.mimic and joint.kind in MOVABLE)
    return tuple(follower for follower in found if follower is not None)


def _resolved(joint: Joint, joints: dict[str, Joint], controlled: tuple[str, ...]) -> Follower | None:
    """Return `joint` as a follower; None where no controlled joint leads it."""
    k, c, at, passed = 1.0, 0.0, joint, {joint.name}
    while at.mimic:
        k, c = k * at.multiplier, c + k * at.offset
        if at.mimic in passed or at.mimic not in joints:
            return None  # followers in a ring, or of nothing: no controlled joint leads them
        passed.add(at.mimic)
        at = joints[at.mimic]
    if at.name not in controlled:
        return None
    if not (math.isfinite(k) and math.isfinite(c)):
        raise RobotDescriptionError(
            f"multiplier and offset of the <mimic> of joint '{joint.name}', and of those it follows, must be finite "
            "numbers; write digits with a decimal point, and no unit"
        )
    return Follower(joint.name, controlled.index(at.name), k, c)


def uncontrolled_of(
    tree: Tree, tip: str, controlled: tuple[str, ...], followers: tuple[Follower, ...]
) -> tuple[str, ...]:
    """Return the joints that move `tip`, and neither are `controlled` nor follow one that is, from the root on."""
    moving = {*controlled, *(follower.name for follower in followers)}
    return tuple(joint.name for joint in tree.chain(tip) if joint.kind in MOVABLE and joint.name not in moving)


class Coupling:
    """E and c of a robot with n controlled joints and its `followers`, which come after them.

    Attributes
    ----------
    E : (N, n)
    c : (N,) [rad or m]
    """

    def __init__(self, n: int, followers: tuple[Follower, ...]):
        self.E = np.vstack([np.eye(n), np.zeros((len(followers), n))])
        self.c = np.zeros(n + len(followers))
        for i, follower in enumerate(followers, n):
            self.E[i, follower.master], self.c[i] = follower.multiplier, follower.offset

    def positions(self, q: Array) -> Array:
        """Return E q + c (N,) for q (n,)."""
        positions: Array = self.E @ q + self.c
        return positions
