r"""How soon another arm of the robot comes near: its joints are measured (`Robot.watched`), its commands are not known.

While the own arm comes to rest, in the time h, the other arm may go on as it does now: the room that is left of a
distance d_k(q, r) with the other arm's joints at r (k,) is less by

    a_k = max(d_k(q, r) - d_k(q, r + h rd), 0)

with the velocities rd, at most the URDF's limits: what positions have changed by since they last did, as they may be
reported less often than in every period. Where both arms keep to this, and rest from the speeds v and v' in
the times T >= T', the first one keeps a room of v T/2 + v' T at least, which is more than both ways to rest, v T/2 and
v' T'/2. An arm at rest does not evade another one: that one stops.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ..collision.scene import Scene
from ..robots import Robot
from ..types import Array

RATE_WINDOW = 0.04  # [s] over which positions give a velocity
RATE_GAP = 0.1  # [s] without another position, after which the arm is taken to stand


class OtherArm:
    """The motion of the joints in `robot.watched`; the velocities of the others in `robot.uncontrolled` count as 0."""

    def __init__(self, robot: Robot):
        self._first = robot.displacing
        self._limit = np.array([joint.velocity for joint in robot.watched])
        self._rate = np.zeros(len(robot.uncontrolled))
        self._past: deque[tuple[float, Array]] = deque()  # stamp [s], positions of the watched joints
        self.moves = False

    def update(self, stamp: float, r: Array | None) -> None:
        """Take positions r (k,) [rad or m] reported at `stamp` [s], NaN for joints that were not; None: none were."""
        if r is None or not self._limit.size:
            return
        watched, past = r[self._first :], self._past
        if past:
            watched = np.where(np.isnan(watched), past[-1][1], watched)
            if not 0.0 < stamp - past[-1][0] < RATE_GAP:
                past.clear()
            elif np.array_equal(watched, past[-1][1], equal_nan=True):
                return
        past.append((stamp, watched))
        while len(past) > 2 and stamp - past[0][0] > RATE_WINDOW:
            past.popleft()
        rate = np.zeros_like(watched)
        if len(past) > 1:
            (begin, before), (end, after) = past[0], past[-1]
            rate = np.nan_to_num((after - before) / (end - begin))
        self._rate[self._first :] = np.clip(rate, -self._limit, self._limit)
        self.moves = bool(self._rate.any())

    def approach(self, scene: Scene, q: Array, d: Array, horizon: float) -> Array | float:
        """Return how far the distances d (N,) of `scene` at q (n,) may fall within `horizon` [s]: a (N,) [m], or 0."""
        if not self.moves:
            return 0.0
        r = scene.chain.placed
        scene.place(r + horizon * self._rate)
        later = scene.values(q)
        scene.place(r)
        return np.asarray(np.maximum(d - later, 0.0))
